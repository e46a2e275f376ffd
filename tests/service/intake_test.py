#!/usr/bin/env python3
"""The collector takes records in, counts them and keeps them."""

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess

import service
from service import Service, append, check, equal, event, record


def losses(s):
    return {entry["what"]: entry["count"] for entry in s.ask("status")["losses"]}


def database(s):
    return sqlite3.connect(s.directory + "/ringfence.db", isolation_level=None)


def equal_events_are_one_finding_with_a_count():
    with Service(start=False) as s:
        append(s.directory, *[event("a", f"b-{i}-1-1", pid=i) for i in range(5)], event("b", "b-9-1-1"))
        s.once()
        rows = {row["place"]: row["count"] for row in s.findings()}
        equal(rows, {"open_a src/app.c:10": 5, "open_b src/app.c:10": 1})


def what_arrives_twice_counts_once():
    with Service(start=False) as s:
        for _ in range(3):
            append(s.directory, event("a", "b-1-1-1"), event("a", "b-1-1-1"))
            s.once()
        equal([row["count"] for row in s.findings()], [1])


def ids_that_came_in_first_are_forgotten_where_there_are_too_many():
    """A quarter of a million stay: the older half goes, and those of late still count once."""
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
        equal(batches(), [6, 7, 8, 9])
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
        append(s.directory, record("repeat", "b-1-1-3", of="b-1-1-1", count=3),
               record("repeat", "b-1-1-4", of="?", count=2))
        s.once()
        equal([row["count"] for row in s.findings()], [20])
        equal(losses(s), {"repeats whose finding is not known": 2})


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
                                   lambda path: open(path + "9" * 18, "wb").close())):
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


def clocks_that_step_put_nothing_into_the_future():
    with Service(start=False) as s:
        append(s.directory, event("a", "1", ago=-864000), event("b", "2", time="yesterday"),
               event("c", "3", ago=864000))
        s.once()
        now = service.timestamp()
        check(all(row["last_seen"] <= now for row in s.findings()))
        equal(sum(s.ask("findings")["trend"]), 3)
        equal(s.findings()[-1]["place"], "open_c src/app.c:10")


def a_clock_that_was_never_set_is_none():
    """A device without one is not older than all others: its build has the fix, its finding is new."""
    with Service(start=False) as s:
        unset = [f"{day}T00:00:{i:02}Z" for i, day in enumerate(("1970-01-01", "1980-01-01", "2000-01-01"))]
        append(s.directory, *[event("a", f"{i}", time=time) for i, time in enumerate(unset)])
        s.once()
        finding = s.ask("show", "1")
        check(finding["first_seen"] > service.timestamp(3600) and finding["new"], finding["first_seen"])
        equal(sum(finding["trend"]), 3)
        s.command("fix", "1")
        append(s.directory, event("a", "later", time=unset[0], build={"version": "1.1"}))
        s.once()
        equal(s.ask("show", "1")["state"], "reopened")
        append(s.directory, event("old", "log", time="2001-01-01T00:00:00Z"))
        s.once()
        equal(s.ask("show", "2")["first_seen"][:10], "2001-01-01", "as an old log has it")


def a_crash_loop_is_named_and_a_busy_test_is_not():
    with Service(start=False) as s:
        append(s.directory, *[event("loop", f"l-{i}", pid=i) for i in range(40)],
               *[event("spread", f"s-{i}", pid=i, ago=i * 60) for i in range(40)],
               *[event("same", f"m-{i}", pid=3) for i in range(40)])
        s.once()
        by_place = {row["place"].split()[0]: s.ask("show", str(row["id"]))["crash_loops"] for row in s.findings()}
        equal([loop["processes"] for loop in by_place["open_loop"]], [40])
        equal(by_place["open_spread"] + by_place["open_same"], [])


def frames_of_the_c_library_make_no_event_rich():
    """Not even twenty of them with names."""
    with Service(start=False) as s:
        rich, poor = event("a", "rich"), event("a", "poor")
        rich["finding"]["found"]["frames"].insert(1, service.frame("compare", 70))
        poor["finding"]["found"]["frames"][1:1] = [
            {"pc": hex(0x7F0000 + i), "module": "/usr/lib/x86_64-linux-gnu/libc.so.6", "build_id": "11",
             "offset": hex(i), "function": f"__libc_{i}"} for i in range(20)]
        append(s.directory, rich, poor)
        s.once()
        row = next(e for e in s.ask("show", "1")["events"] if e["richest"])
        frames = s.ask("show", "1", "--event", str(row["id"]))["record"]["finding"]["found"]["frames"]
        equal(frames[1]["function"], "compare", [f["function"] for f in frames])


def first_last_and_richest_stay_while_the_middle_is_thinned():
    with Service(start=False) as s:
        for i in range(60):
            more = {"f_released": {"thread": 1, "frames": [service.frame("free_it", 5)] * 9}} if i == 31 else {}
            append(s.directory, event("a", f"id-{i}", ago=6000 - i, **more))
            s.once()
        shown = s.ask("show", "1")
        equal(shown["count"], 60)
        check(len(shown["events"]) < 20, len(shown["events"]))
        roles = {role: [e for e in shown["events"] if e[role]] for role in ("first", "last", "richest")}
        equal({role: len(found) for role, found in roles.items()}, {"first": 1, "last": 1, "richest": 1})
        ids = dict(database(s).execute("SELECT id, record FROM event"))
        equal(ids[roles["first"][0]["id"]], "id-0")
        equal(ids[roles["last"][0]["id"]], "id-59")
        equal(ids[roles["richest"][0]["id"]], "id-31")
        equal(database(s).execute("SELECT count(*) FROM body").fetchone()[0], len(ids))


def limits_of_age_and_size_drop_only_the_middle():
    for option, value, pad in (("--keep-days", "1", 0), ("--max-size", "1", 150000)):
        with Service(start=False) as s:
            for i in range(30):
                append(s.directory, event("a", f"id-{i}", ago=864000 + 600 - i, f_pad=pad))
                s.once()
            before = len(s.ask("show", "1")["events"])
            s.options += [option, value]
            s.start()
            s.wait(lambda: len(s.ask("show", "1")["events"]) < before)
            shown = s.ask("show", "1")
            equal(shown["count"], 30)
            check(any(e["first"] for e in shown["events"]) and any(e["last"] for e in shown["events"]))


def bytes_are_kept_as_the_rules_say():
    cases = [
        ([], "guard", "development", "696a6b6c6d00fdfd", "uuuuu!gg"),
        ([], "sample", "development", "000000000000fdfd", "?????!gg"),
        (["--bytes", "production=none"], "guard", "production", "0000000000000000", "????????"),
        (["--bytes", "production=none"], "guard", "ci", "696a6b6c6d00fdfd", "uuuuu!gg"),
        (["--bytes", "*=guards"], "guard", "ci", "000000000000fdfd", "?????!gg"),
    ]
    for options, mode, environment, data, classes in cases:
        with Service(start=False) as s:
            append(s.directory, event("a", "1", mode=mode, environment=environment, f_mode=mode))
            s.command("serve", "--once", *options)
            window = s.ask("show", "1")["record"]["finding"]["window"]
            equal((window["bytes"], window["classes"]), (data, classes), options, mode)


def a_window_that_is_not_whole_has_no_bytes_left():
    secret = {"bytes": "736563726574", "expected": "736563726574", "classes": "uuuuuu"}
    with Service(start=False) as s:
        for number, missing in enumerate(secret):
            window = {name: value for name, value in secret.items() if name != missing}
            append(s.directory, event("a", str(number), f_window=window))
        s.command("serve", "--once", "--bytes", "*=none")
        equal(s.findings()[0]["count"], 3)
        check("736563" not in "".join(row[0] for row in database(s).execute("SELECT text FROM body")))


def bytes_are_hidden_whatever_the_line_looks_like():
    secret = "5ec2e75ec2e7"

    def line(number, window, **more):
        return event(f"place{number}", f"{number}", mode="sample", **{"f_window": window, **more})

    whole = {"address": "0x1", "bytes": secret, "expected": secret, "classes": "uuuuuu"}
    labels = {"window": "a", "bytes": "00", "expected": "00", "classes": "u", "finding": "{"}
    text = json.dumps(line(4, whole))
    lines = [service.line_of(line(0, whole, labels=labels)), (json.dumps(line(1, whole)) + "\n").encode(),
             (json.dumps(line(2, whole)).replace(": ", "\t: \t").replace(", ", " , ") + "\n").encode(),
             service.line_of(line(3, {"window": whole, "finding": whole, "x": ["}", "]", "\\"], **whole})),
             text.replace('"window"', '"w\\u0069ndow"').replace('"bytes"', '"b\\u0079tes"').encode() + b"\n",
             service.line_of(line(5, {**whole, "classes": "uuuuu"})), service.line_of(line(6, secret)),
             service.line_of(line(7, {**whole, "bytes": [secret, 1]})), service.line_of(line(8, [secret])),
             text.replace('"bytes"', '"bytes": "%s", "bytes"' % secret).replace('"4"', '"9"').encode() + b"\n",
             service.line_of(line(10, whole, f_bug="heap-of-trouble")), service.line_of(line(11, whole, version=9))]
    with Service(start=False) as s:
        append(s.directory, *lines)
        s.once()
        kept = [text for table in ("body", "other") for text, in database(s).execute(f"SELECT text FROM {table}")]
        equal(len(kept), len(lines))
        for text in kept:
            seen = json.loads(text)["finding"]["window"]
            if not (isinstance(seen, dict) and "window" in seen):
                check(secret not in text, text)
            check(not isinstance(seen, dict) or seen.get("bytes") in (None, "0" * 12), text)
        equal(losses(s).get("lines that are no records"), None)


def written_bytes_and_single_bits_are_counted_over_all_events():
    with Service(start=False) as s:
        append(s.directory, *[event("nul", f"n-{i}") for i in range(7)],
               *[event("bit", f"b-{i}", f_value=0xFC, host="host-bad") for i in range(3)],
               event("bit", "b-9", f_value=0x41))
        s.once()
        shown = {row["place"].split()[0]: s.ask("show", str(row["id"])) for row in s.findings()}
        equal(shown["open_nul"]["written"], [{"offset": 0, "expected": 0xFD, "value": 0, "count": 7}])
        equal((shown["open_nul"]["one_bit"], shown["open_bit"]["one_bit"], shown["open_bit"]["damaged"]), (0, 3, 4))
        equal([(h["name"], h["count"]) for h in shown["open_bit"]["one_bit_hosts"]], [("host-bad", 3)])


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
            append(shared, event("a", ""))
            append(s.directory, event("a", ""))
            s.command("serve", "--once", alone=False)
            equal([row["count"] for row in s.findings()], [3])
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


def runs_of_bazel_have_one_program_and_their_labels():
    sandbox = "/home/u/.cache/bazel/sandbox/linux-sandbox/%d/execroot/w/bazel-out/k8-fastbuild/bin/a/b_test"
    with Service(start=False) as s:
        for i, tail in enumerate(("", ".runfiles/w/a/b_test", "")):
            append(s.directory, event("a", f"{i}", program=sandbox % i + tail,
                                      labels={"bazel_target": "//a:b_test", "attempt": str(i % 2 + 1)}))
        s.once()
        shown = s.ask("show", "1")
        equal([(p["name"], p["count"]) for p in shown["programs"]], [("a/b_test", 3)])
        equal({label["name"]: label["count"] for label in shown["labels"]},
              {"bazel_target=//a:b_test": 3, "attempt=1": 2, "attempt=2": 1})


def summaries_are_process_hours_and_drops_are_shown():
    with Service(start=False) as s:
        append(s.directory, *[record("summary", f"s-{i}", seconds=1800.0, allocations=10, dropped=i, exit=exit)
                              for i, exit in enumerate(("status 0", "signal 11", "unknown"))])
        s.once()
        status = s.ask("status")
        equal((status["processes"], status["hours"]), (3, 1.5))
        equal(losses(s), {"findings that processes dropped": 3})


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


def a_record_of_many_events_counts_them_everywhere():
    with Service(start=False) as s:
        for i, (host, mode, environment, program, count, days) in enumerate((
                ("host-1", "guard", "ci", "/srv/app", 5, 3), ("host-2", "page", "live", "/srv/tool", 2, 0))):
            append(s.directory, event("a", f"{i}", f_value=0xFC, count=count, ago=86400 * days, host=host, mode=mode,
                                      environment=environment, program=program,
                                      labels={"team": host, "other": {"no": "text"}, "number": 3},
                                      build={"version": "", "commit": "ab"[i] * 40, "build_id": ""}))
            s.once()
        shown = s.ask("show", "1")
        counts = {"hosts": {"host-1": 5, "host-2": 2}, "one_bit_hosts": {"host-1": 5, "host-2": 2},
                  "modes": {"guard": 5, "page": 2}, "environments": {"ci": 5, "live": 2},
                  "programs": {"/srv/app": 5, "/srv/tool": 2}, "builds": {"b" * 40: 2, "a" * 40: 5},
                  "labels": {"team=host-1": 5, "team=host-2": 2, "number=3": 7}}
        for names, wanted in counts.items():
            equal({x["name"]: x["count"] for x in shown[names]}, wanted, names)
            if names != "builds":
                equal([x["count"] for x in shown[names]], sorted(wanted.values(), reverse=True), names)
        equal([x["name"][0] for x in shown["builds"]], ["b", "a"], "the newest first")
        equal(shown["written"], [{"offset": 0, "expected": 0xFD, "value": 0xFC, "count": 7}])
        equal((shown["count"], shown["damaged"], shown["one_bit"]), (7, 7, 7))
        trend = s.ask("findings")["trend"]
        equal([shown["trend"][-4:], trend[-4:], s.findings()[0]["trend"][-4:]], [[5, 0, 0, 2]] * 3)
        equal((s.ask("status")["events"], s.ask("status")["events_kept"]), (7, 2))
        equal({b["name"][0]: b["events"] for b in s.ask("builds")["builds"]}, {"a": 5, "b": 2})
        equal(database(s).execute("SELECT sum(count) FROM counter WHERE finding = 0 AND kind = 9").fetchone(), (7,))
        names = ("count", "host", "environment", "mode", "program", "pid")
        equal([[e[name] for name in names] for e in shown["events"]],
              [[2, "host-2", "live", "page", "/srv/tool", 7], [5, "host-1", "ci", "guard", "/srv/app", 7]])
        s.start()
        equal(s.http("POST", "/api/v1/records", body=service.line_of(event("a", "3", count=40))).json()["taken"], 1,
              "of records")


def events_that_come_together_are_thinned_by_their_count():
    with Service(start=False) as s:
        poor = {"f_found": {"thread": 1, "frames": []}, "f_allocated": {"thread": 1, "frames": []}, "f_window": None}
        for group in (range(9), range(9, 10), range(10, 12)):
            append(s.directory, *(event("a", f"{i}", ago=100 - i, pid=i, **poor) for i in group))
            s.once()
        equal([(e["pid"], e["richest"]) for e in s.ask("show", "1")["events"]], [(11, False), (8, False), (0, True)])


def only_bytes_that_differ_are_damage():
    """Three bits are more than a fault of the memory; a block that is whole is none."""
    window = {"address": "0x1058", "bytes": "696a6b6c6dfdfdfd", "expected": "696a6b6c6dfdfdfd", "classes": "uuuuuggg"}
    with Service(start=False) as s:
        append(s.directory, event("a", "1", f_window=window, count=3), event("b", "2", f_value=0xFD ^ 3),
               event("c", "3", f_value=0xFD ^ 0x80), event("d", "4", f_value=0xFD ^ 1))
        s.once()
        equal([(row["damaged"], row["one_bit"]) for row in sorted(s.findings(), key=lambda row: row["id"])],
              [(0, 0), (1, 0), (1, 1), (1, 1)])
        s.command("merge", "3", "4")
        shown = [s.ask("show", id) for id in "123"]
        equal([(one["damaged"], one["one_bit"], one["new"]) for one in shown],
              [(0, 0, True), (1, 0, True), (2, 2, True)])


def a_finding_begins_with_its_oldest_event_and_ends_with_its_newest():
    def build(name):
        return {"version": name, "commit": "", "build_id": ""}

    with Service(start=False) as s:
        now = service.timestamp(5)
        for at, name in ((service.timestamp(900), "one"), (service.timestamp(2000), "two"), (now, "three"),
                         (now, "four"), (service.timestamp(1000), "five")):
            append(s.directory, event("a", name, time=at, build=build(name)))
        s.once()
        row = s.findings()[0]
        equal((row["first_build"], row["last_build"], row["last_seen"]), ("one", "four", now[:23] + "Z"))
        check(row["first_seen"] < service.timestamp(1900), row["first_seen"])
        append(s.directory, event("a", "later", ago=3000, build=build("five")))
        s.once()
        row = s.findings()[0]
        equal((row["last_build"], row["last_seen"]), ("four", now[:23] + "Z"))
        check(row["first_seen"] < service.timestamp(2900), row["first_seen"])
        shown = s.ask("show", "1")
        equal([e["build"] for e in shown["events"] if e["last"]], ["four"])
        equal({b["name"]: (b["count"], b["first_seen"] < b["last_seen"]) for b in shown["builds"]}["five"], (2, True))
        append(s.directory, event("a", "last", build=build("six")), record("repeat", "r", of="last", count=2, ago=2500,
                                                                           build=build("six")))
        s.once()
        shown = s.ask("show", "1")
        equal((shown["modes"][0]["first_seen"], shown["modes"][0]["last_seen"], shown["modes"][0]["count"]),
              (row["first_seen"], shown["last_seen"], 9))
        check(shown["last_seen"] > now and shown["first_seen"] == row["first_seen"], shown)


def a_crash_loop_is_of_one_program_and_is_told_once():
    with Service(start=False) as s:
        append(s.directory, *[event("a", f"{i}", pid=i, program=f"/srv/{'one' if i % 3 else 'two'}", ago=60 - i)
                              for i in range(45)])
        s.once()
        shown = s.ask("show", "1")
        equal([(loop["program"], loop["processes"]) for loop in shown["crash_loops"]], [("/srv/one", 30)])
        check(shown["crash_loops"][0]["began"] < shown["crash_loops"][0]["last"], shown["crash_loops"])
        equal([(a["kind"], a["text"]) for a in shown["activity"] if a["kind"] != "new"], [("crash loop", "/srv/one")])
        append(s.directory, *[event("a", f"n{i}", pid=100 + i, program="/srv/one") for i in range(19)])
        s.once()
        equal(len(s.ask("show", "1")["crash_loops"]), 1, "nineteen are none")
        append(s.directory, event("a", "late", pid=200, program="/srv/one", ago=-3600))
        s.once()
        equal(s.ask("status")["crash_loops"], 1, "of another collector's start")


def what_is_not_known_takes_bounded_room():
    with Service(start=False) as s:
        line = b"".join(service.line_of({"record": "sonnet", "version": 1, "id": f"s{i}", "count": 9})
                        for i in range(10010))
        append(s.directory, line)
        s.once()
        equal(database(s).execute("SELECT count(*), max(id) FROM other").fetchone(), (10000, 10010))
        equal(list(losses(s).values()), [10010])


def figures_of_runs_are_added_up_each_for_itself():
    with Service(start=False) as s:
        for i, end in enumerate(("status 0", "signal 9", "running")):
            append(s.directory, record("summary", f"b-{i}-1-1", ago=[86400 * 5, 0, 0][i], seconds=3600.0,
                                       allocations=10,
                                       findings=20, dropped=i, peak=5, exit=end, continued=i == 2, sites_dropped=i))
        s.once()
        row = s.ask("coverage")["coverage"][0]
        equal([row[name] for name in ("processes", "hours", "allocations", "findings", "dropped", "killed")],
              [2, 3.0, 30, 60, 3, 1])
        check(row["last_day"] > service.timestamp(2 * 86400), row["last_day"])
        equal([p["peak"] for p in s.ask("processes")["programs"]], [5])
        equal(losses(s), {"findings that processes dropped": 3, "call sites that were not listed": 3})


# Statements that undo each step of the schema, from version 1 on.
STEPS = [
    ["DROP TABLE symbol"],
    ["DROP TABLE symbol_file", "DROP TABLE nameless", "DROP INDEX finding_split"] +
    ["ALTER TABLE finding DROP COLUMN " + column for column in ("split_by", "split_stay", "split_from")],
    ["DROP TABLE process", "DROP TABLE snapshot", "DROP TABLE snapshot_body", "ALTER TABLE usage DROP COLUMN peak",
     "ALTER TABLE finding DROP COLUMN split_left", "ALTER TABLE finding DROP COLUMN split_wanted"],
    ["DROP TABLE steer", "DROP TABLE steer_step", "DROP TABLE steer_site"],
    ["DROP TABLE module", "DROP TABLE module_usage", "DROP TABLE site", "DROP TABLE site_watched"],
    ["DROP TABLE outgoing"],
    ["DROP INDEX finding_waits"],
    ["DROP TABLE serial_file"], ["ALTER TABLE serial_file DROP COLUMN generation"],
]


def an_older_database_is_migrated_and_a_newer_one_refused():
    for version in range(1, len(STEPS) + 1):
        with Service(start=False) as s:
            append(s.directory, event("a", "1"), record("summary", "b-1-1-1", seconds=36, peak=5, exit="status 0"))
            s.once()
            db = database(s)
            newest = db.execute("PRAGMA user_version").fetchone()[0]
            equal(newest, len(STEPS) + 1, "add what the new step made to STEPS")
            for step in reversed(STEPS[version - 1:]):
                for change in step:
                    db.execute(change)
            db.execute(f"PRAGMA user_version = {version}")
            check("to migrate it" in s.command("findings", status=1))
            s.once()
            equal((len(s.findings()), s.ask("status")["processes"]), (1, 1), "from version", version)
            equal(db.execute("PRAGMA user_version").fetchone()[0], newest)
            append(s.directory, record("summary", "b-1-1-2", seconds=36, peak=7, exit="status 0"))
            s.once()
            equal([p["peak"] for p in s.ask("processes")["programs"]], [7])
            equal((s.ask("coverage")["modules"], len(s.ask("coverage")["coverage"])), ([], 1))
            equal([db.execute("PRAGMA " + name).fetchone()[0] for name in ("auto_vacuum", "journal_mode")], [2, "wal"])
            db.execute(f"PRAGMA user_version = {newest + 1}")
            db.close()
            for words in (("serve", "--once"), ("findings",)):
                check("newer Ringfence" in s.command(*words, status=1), words)


def an_older_database_that_is_damaged_is_named_and_left():
    """Cut short, with a page of zeros, with the wrong version, and one of another program: nothing waits in vain."""
    def cut(path):
        os.truncate(path, os.path.getsize(path) // 2)

    def clear(path):
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(bytes(os.path.getsize(path) - 4096))

    def set_version(path):
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 2")
        db.close()

    def replace(path):
        os.unlink(path)
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE meta(x)")
        db.close()

    for damage in (cut, clear, set_version, replace):
        with Service(start=False) as s:
            append(s.directory, *[event(f"p{i}", str(i)) for i in range(50)])
            s.once()
            db = database(s)
            version = len(STEPS) if damage in (cut, clear) else len(STEPS) + 1
            for change in [change for step in reversed(STEPS[version - 1:]) for change in step]:
                db.execute(change)
            db.execute(f"PRAGMA user_version = {version}")
            db.close()
            path = s.directory + "/ringfence.db"
            damage(path)
            append(s.directory, event("late", "late"))
            with open(path, "rb") as file:
                before = file.read()
            for words in (("serve", "--once"), ("serve", "--listen", "127.0.0.1:0")):
                said = s.command(*words, status=1)
                check("damaged" in said and "restore a backup" in said, damage.__name__, words, said)
            with open(path, "rb") as file:
                check(file.read()[100:] == before[100:], damage.__name__, "it is left as it is")
            check(os.path.getsize(s.directory + "/spool/current") > 0, "and so is the spool")


def a_backup_can_be_made_while_it_runs():
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        s.command("serve", "--backup", s.root + "/copy")
        equal(os.stat(s.root + "/copy").st_mode & 0o777, 0o600)
        equal(sqlite3.connect(s.root + "/copy").execute("SELECT count(*) FROM finding").fetchone()[0], 1)
        check("there already" in s.command("serve", "--backup", s.root + "/copy", status=1))


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
    bytes_that_are_no_utf_8_leave_texts_of_commands_utf_8,
    equal_events_are_one_finding_with_a_count, what_arrives_twice_counts_once,
    a_segment_that_was_committed_and_not_deleted_counts_once,
    segments_of_a_server_that_was_killed_are_taken_in_their_order_before_new_ones,
    segments_of_processes_count_also_where_their_names_come_again, a_repeat_counts_for_the_finding_that_it_names,
    what_cannot_be_read_is_counted_and_harms_nothing_else,
    what_is_no_file_in_the_spool_holds_nobody_up, a_line_that_is_too_long_counts_once_while_the_collector_runs,
    bytes_that_are_no_utf_8_leave_the_answers_json, what_is_not_known_is_kept_as_it_is,
    clocks_that_step_put_nothing_into_the_future, a_clock_that_was_never_set_is_none,
    a_crash_loop_is_named_and_a_busy_test_is_not,
    frames_of_the_c_library_make_no_event_rich,
    first_last_and_richest_stay_while_the_middle_is_thinned, limits_of_age_and_size_drop_only_the_middle,
    bytes_are_kept_as_the_rules_say, a_window_that_is_not_whole_has_no_bytes_left,
    bytes_are_hidden_whatever_the_line_looks_like,
    written_bytes_and_single_bits_are_counted_over_all_events,
    a_segment_that_a_writer_holds_is_left_for_later, folders_that_processes_fall_back_on_are_looked_at,
    runs_of_bazel_have_one_program_and_their_labels, summaries_are_process_hours_and_drops_are_shown,
    the_doorbell_is_heard_at_once_and_the_spool_is_looked_at_without_it,
    many_lines_and_segments_are_taken_in_to_the_last, ids_that_came_in_first_are_forgotten_where_there_are_too_many,
    events_that_come_together_are_thinned_by_their_count,
    a_record_of_many_events_counts_them_everywhere, only_bytes_that_differ_are_damage,
    a_finding_begins_with_its_oldest_event_and_ends_with_its_newest, a_crash_loop_is_of_one_program_and_is_told_once,
    what_is_not_known_takes_bounded_room, figures_of_runs_are_added_up_each_for_itself,
    an_older_database_is_migrated_and_a_newer_one_refused,
    an_older_database_that_is_damaged_is_named_and_left, a_backup_can_be_made_while_it_runs,
    recorded_samples_are_read])
