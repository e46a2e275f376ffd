#!/usr/bin/env python3
"""Records on their way into the collector: spools, segments, lines, and what cannot be read."""

import fcntl
import json
import os
import shutil
import socket
import subprocess

import service
from service import Service, append, check, database, equal, event, losses, record


def equal_events_are_one_finding_with_a_count():
    with Service(start=False) as s:
        append(s.directory, *[event("a", f"b-{i}-1-1", pid=i) for i in range(5)], event("b", "b-9-1-1"))
        s.once()
        rows = {row["place"]: row["count"] for row in s.findings()}
        equal(rows, {"open_a src/app.c:10": 5, "open_b src/app.c:10": 1})


def what_arrives_twice_counts_once():
    with Service(start=False) as s:
        for _ in range(3):
            append(s.directory, event("a", "b-1-1-1"), event("a", "b-1-1-1"),
                   record("summary", "b-1-1-2", seconds=3600, exit="status 0"), record("step", "b-1-1-3", rule=1),
                   record("sonnet", "b-1-1-4"))
            s.once()
            if s.ask("steer")["rules"] == []:  # the first time
                s.command("steer", "set", "--options", "halt=0", "--because", "x")
                append(s.directory, record("step", "b-1-1-5", rule=1))
        equal([row["count"] for row in s.findings()], [1])
        equal([s.ask("status")[name] for name in ("processes", "hours")], [1, 1.0])
        equal((s.ask("steer")["rules"][0]["reached"], sum(losses(s).values())), (1, 1))


def ids_that_came_in_first_are_forgotten_where_there_are_too_many():
    """A quarter of a million stay, in whole transactions, and those of late still count once."""
    def others():
        return b"".join(os.urandom(8) + bytes(8) for _ in range(60000))

    def batches():
        return [batch for batch, in database(s).execute("SELECT batch FROM seen ORDER BY batch")]

    with Service(start=False) as s:
        append(s.directory, event("a", "old"))
        s.once()
        for _ in range(4):
            database(s).execute("INSERT INTO seen(ids) VALUES(?)", (others(),))
        for number, count in (("late", 2), ("late", 2), ("later", 3)):
            append(s.directory, event("a", number))
            s.once()
            equal(s.findings()[0]["count"], count)
        equal(batches(), [1, 2, 3, 4, 5, 6, 7])
        database(s).execute("INSERT INTO seen(ids) VALUES(?)", (others(),))
        append(s.directory, event("a", "last"))
        s.once()
        equal(batches(), [2, 3, 4, 5, 6, 7, 8, 9])
        append(s.directory, event("a", "later"), event("a", "last"), event("a", "late"))
        s.once()
        equal(s.findings()[0]["count"], 4)
        append(s.directory, event("a", "old"))
        s.once()
        equal(s.findings()[0]["count"], 5, "which was forgotten")


def a_segment_that_was_committed_and_not_deleted_counts_once():
    """As after a crash between commit and unlink; without ids, so that only the position can tell."""
    with Service(start=False) as s:
        append(s.directory, event("a", ""), event("a", ""))
        os.rename(s.directory + "/spool/current", s.directory + "/spool/taken-1")
        shutil.copy(s.directory + "/spool/taken-1", s.root + "/saved")
        s.once()
        shutil.copy(s.root + "/saved", s.directory + "/spool/taken-1")
        append(s.directory, event("a", ""))
        s.once()
        equal([row["count"] for row in s.findings()], [3])
        equal(os.listdir(s.directory + "/spool"), [])


def segments_of_a_server_that_was_killed_are_taken_in_their_order_before_new_ones():
    with Service(start=False) as s:
        for number in range(12, 0, -1):
            build = {"version": str(number), "commit": "", "build_id": "ab"}
            append(s.directory, event("a", f"n-{number}", ago=60 - number, build=build))
            os.rename(s.directory + "/spool/current", s.directory + f"/spool/taken-{number}")
        append(s.directory, event("a", "new", build=dict(build, version="new")))
        s.once()
        equal(s.ask("status")["events"], 13)
        seen = database(s).execute("SELECT version FROM build ORDER BY id").fetchall()
        equal([version for version, in seen], [str(i) for i in range(1, 13)] + ["new"])
        append(s.directory, event("a", "next"))
        s.once()  # whose numbers go on behind those that the store knows
        equal(s.ask("status")["events"], 14)


def segments_of_processes_count_also_where_their_names_come_again():
    with Service(start=False) as s:
        for i in range(4):
            append(s.directory, event("a", ""))
            os.rename(s.directory + "/spool/current", s.directory + "/spool/segment-9")
            with open(s.directory + "/spool/new-3", "wb") as file:
                file.write(b"half a")
            s.once()
        equal([row["count"] for row in s.findings()], [4])
        equal(os.listdir(s.directory + "/spool"), ["new-3"])


def a_repeat_counts_for_the_finding_that_it_names():
    with Service(start=False) as s:
        append(s.directory, event("a", "b-1-1-1"), record("repeat", "b-1-1-2", of="b-1-1-1", count=16))
        s.once()
        append(s.directory, record("repeat", "b-1-1-3", of="b-1-1-1", count=3))
        s.once()
        equal([row["count"] for row in s.findings()], [20])
        equal(losses(s), {})


def what_cannot_be_read_is_counted_and_harms_nothing_else():
    half = service.line_of(event("lost", "b-8-1-1"))[:100]
    with Service(start=False) as s:
        append(s.directory, b"no json\n", b"{}\n", b"\n", b"[" * 200 + b"\n", half[:70], half, event("a", "b-1-1-1"),
               b'{"record":"finding","version":1,"id":"' + b"x" * 300000 + b'"}\n', b"y" * 3000000 + b"\n",
               event("b", "b-1-1-2"), half)
        s.once()
        equal(sorted(row["count"] for row in s.findings()), [1, 1])
        got = losses(s)
        equal(got["lines that are no records"], 2)
        equal(got["half-written lines"], 2)
        equal(got["lines too long"], 2)


def what_is_no_file_in_the_spool_holds_nobody_up():
    for number, make in enumerate((os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path),
                                   lambda path: open(path + "9" * 18, "wb").close(),
                                   lambda path: open(path + "9" * 20, "wb").close())):
        with Service(start=False) as s:
            os.mkdir(s.directory + "/spool", 0o700)
            for i in range(300 if number == 0 else 1):
                make(s.directory + f"/spool/taken-{i + 1}")
            append(s.directory, event("a", "1"))
            s.once()
            append(s.directory, event("a", "2"))
            s.once()
            equal([row["count"] for row in s.findings()], [2], number)


def many_lines_and_segments_are_taken_in_to_the_last():
    """More than a transaction has, in more files than are looked at at once; of other names none."""
    with Service(start=False) as s:
        for number in range(300):
            append(s.directory, event("a", "", pid=number))
            os.rename(s.directory + "/spool/current", s.directory + f"/spool/segment-{number}")
        for name in ("taken-5x", "taken-", "taken--5", "taken-0"):
            with open(s.directory + "/spool/" + name, "wb") as file:
                file.write(service.line_of(event("other", name)))
        append(s.directory, b"".join(service.line_of(event("b", f"{i}")) for i in range(2500)))
        s.start()
        s.wait(lambda: s.ask("status")["events"] == 2800)
        s.wait(lambda: len(os.listdir(s.directory + "/spool")) == 4)
        equal(s.ask("status")["waiting_bytes"],
              sum(os.path.getsize(s.directory + "/spool/" + name) for name in os.listdir(s.directory + "/spool")))
        s.stop()
        check(database(s).execute("SELECT count(*) FROM segment").fetchone()[0] <= 1)
        check(not os.path.exists(s.directory + "/doorbell"))


def a_line_that_is_too_long_counts_once_while_the_collector_runs():
    with Service() as s:
        append(s.directory, b"y" * 5000000 + b"\n", event("a", "1"))
        s.wait(lambda: s.findings() != [])
        equal(losses(s)["lines too long"], 1)


def bytes_that_are_no_utf_8_leave_the_answers_json():
    with Service(start=False) as s:
        line = service.line_of(event("a", "1", labels={"name": "AB"}))
        append(s.directory, line.replace(b'"AB"', b'"A\xffB\xc3\xa9"'))
        s.once()
        record = json.loads(s.command("show", "1", "--json"))["record"]
        equal(record["labels"]["name"], "A\ufffdB\u00e9")


def bytes_that_are_no_utf_8_leave_texts_of_commands_utf_8():
    with Service(start=False) as s:
        for id, place in enumerate("ab"):
            line = service.line_of(event(place, str(id), host="h-XY", program="/srv/XY", mode="mXY", environment="eXY",
                                         build={"version": "vXY", "commit": "", "build_id": "XY" * 8},
                                         f_allocator="aXY", f_detail="dXY"))
            append(s.directory, line.replace(b"XY", b"\xff\xc3\xa9\xe2\x82"))
        s.once()
        for words, count in ((("findings",), 0), (("show", "1"), 6), (("builds",), 1), (("why", "1", "2"), 0),
                             (("ignore", "1", "--because", "b\udcff\u00e9\udce2\udc82"), 0),
                             (("fix", "2", "--in", "b\udcff\u00e9\udce2\udc82"), 1),
                             (("export", "--as", "text", "--state", "all"), 4)):
            equal(s.command(*words).count("\ufffd\u00e9\ufffd\ufffd"), count, words)  # it reads them as UTF-8
        check("#\ufffd is not the number of a finding" in s.command("show", "#\udcff", status=2))


def what_is_not_known_is_kept_as_it_is():
    future = {"record": "finding", "version": 2, "id": "f-1", "finding": {"new": [1, 2]}}
    kind = {"record": "sonnet", "version": 1, "id": "f-2", "lines": 14}
    bug = event("a", "f-3", f_bug="heap-of-trouble")
    with Service(start=False) as s:
        append(s.directory, future, kind, bug, event("a", "b-1", extra={"field": True}))
        s.once()
        kept = [json.loads(text) for text, in database(s).execute("SELECT text FROM other ORDER BY id")]
        equal(kept, [future, kind, bug])
        equal(s.ask("show", "1")["record"]["extra"], {"field": True})


def a_segment_that_a_writer_holds_is_left_for_later():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        with open(s.directory + "/spool/current", "ab") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            check("still writing" in s.command("serve", "--once"))
            equal(s.findings(), [])
            append(s.directory, event("b", "2"))
            s.once()
            equal(len(s.findings()), 1)
            held.write(service.line_of(event("c", "3")))
        s.once()
        equal(len(s.findings()), 3)


def folders_that_processes_fall_back_on_are_looked_at():
    shared = f"/dev/shm/ringfence-{os.getuid()}"
    if os.access("/dev/shm", os.R_OK):
        turn = os.open("/dev/shm", os.O_RDONLY)  # until this process ends
        fcntl.flock(turn, fcntl.LOCK_EX)  # the same test, of another build on this machine, has that folder as well
    if os.path.exists(shared) or not os.access("/dev/shm", os.W_OK):
        print("     (/dev/shm is in use, or not there: left out)")
        return
    with Service(start=False) as s:
        try:
            elsewhere = os.path.join(s.root, "elsewhere")
            os.mkdir(elsewhere, 0o700)
            append(elsewhere, event("b", "2"))
            os.symlink(elsewhere, shared)
            s.command("serve", "--once", alone=False)
            subprocess.run([service.SERVE, "forward", "--to", "http://127.0.0.1:1", "--once"], check=False,
                           stdout=subprocess.DEVNULL, env=dict(os.environ, RINGFENCE_COLLECTOR=s.directory))
            equal((s.findings(), os.listdir(elsewhere + "/spool")), ([], ["current"]), "a link may be another's trap")
            os.unlink(shared)
            os.mkdir(shared, 0o700)
            append(shared, event("a", "1"))
            os.chmod(shared, 0o777)
            s.command("serve", "--once", alone=False)
            equal(s.findings(), [], "open to others")
            os.chmod(shared, 0o700)
            os.environ["RINGFENCE_NO_SHARED"] = "1"
            s.command("serve", "--once", alone=False)
            equal(s.findings(), [], "left out by the environment")
            del os.environ["RINGFENCE_NO_SHARED"]
            s.command("serve", "--once", alone=False)
            append(shared, event("a", "b-1-1-1"))
            append(s.directory, event("a", ""), record("repeat", "b-1-1-2", of="b-1-1-1", count=4))
            s.command("serve", "--once", alone=False)
            equal(([row["count"] for row in s.findings()], losses(s)), ([7], {}))
            equal(os.listdir(shared + "/spool"), [])
            append(shared, event("b", "held"))
            with open(shared + "/spool/current", "ab") as held:
                fcntl.flock(held, fcntl.LOCK_SH)
                check("still writing" in s.command("serve", "--once", alone=False))
        finally:
            os.environ.pop("RINGFENCE_NO_SHARED", None)
            if os.path.islink(shared):
                os.unlink(shared)
            shutil.rmtree(shared, ignore_errors=True)


def the_doorbell_is_heard_at_once_and_the_spool_is_looked_at_without_it():
    with Service() as s:
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        append(s.directory, event("a", "1"))
        folder = os.open(s.directory, os.O_RDONLY)  # names of sockets are short
        bell.sendto(b"1", f"/proc/self/fd/{folder}/doorbell")
        s.wait(lambda: s.findings() != [])
        append(s.directory, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
        check("another `ringfence serve` runs" in s.command("serve", "--once", status=1))


def what_is_not_known_takes_bounded_room():
    with Service(start=False) as s:
        line = b"".join(service.line_of({"record": "sonnet", "version": 1, "id": f"s{i}", "count": 9})
                        for i in range(10010))
        append(s.directory, line)
        s.once()
        equal(database(s).execute("SELECT count(*), max(id) FROM other").fetchone(), (10000, 10010))
        equal(list(losses(s).values()), [10010])


def recorded_samples_are_read():
    """Lines as version 1 has them: what is read today must be read tomorrow."""
    with Service(start=False) as s:
        with open(os.path.join(os.path.dirname(__file__), "samples.jsonl"), "rb") as file:
            append(s.directory, *file.readlines())
        s.once()
        status = s.ask("status")
        equal((status["findings"], status["events"], status["processes"], losses(s)), (2, 19, 2, {}))
        shown = s.ask("processes", "1")
        equal((shown["program"], shown["bytes"], [x["bytes"] for x in shown["snapshot"]["sites"]]),
              ("/srv/app/server", 135168, [131072, 4096]))
        equal([(m["path"], m["sites"], m["watched"]) for m in s.ask("coverage")["modules"]],
              [("/srv/app/parser", 5, 2), ("/usr/lib/x86_64-linux-gnu/libc.so.6", 3, 1)])


service.main([
    bytes_that_are_no_utf_8_leave_texts_of_commands_utf_8, equal_events_are_one_finding_with_a_count,
    what_arrives_twice_counts_once, a_segment_that_was_committed_and_not_deleted_counts_once,
    segments_of_a_server_that_was_killed_are_taken_in_their_order_before_new_ones,
    segments_of_processes_count_also_where_their_names_come_again, a_repeat_counts_for_the_finding_that_it_names,
    what_cannot_be_read_is_counted_and_harms_nothing_else, what_is_no_file_in_the_spool_holds_nobody_up,
    a_line_that_is_too_long_counts_once_while_the_collector_runs, bytes_that_are_no_utf_8_leave_the_answers_json,
    what_is_not_known_is_kept_as_it_is, a_segment_that_a_writer_holds_is_left_for_later,
    folders_that_processes_fall_back_on_are_looked_at,
    the_doorbell_is_heard_at_once_and_the_spool_is_looked_at_without_it,
    many_lines_and_segments_are_taken_in_to_the_last, ids_that_came_in_first_are_forgotten_where_there_are_too_many,
    what_is_not_known_takes_bounded_room, recorded_samples_are_read,
])
