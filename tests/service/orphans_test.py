#!/usr/bin/env python3
"""Repeats that are taken in before their finding: they wait for it, and are lost where it does not come."""

import fcntl
import os
import shutil
import signal
import time

import service
from service import Service, append, check, database, equal, event, losses, record, take

LOST = "repeats whose finding is not known"
DAY = 86400


def repeat(number, count=4, of="b-1-1-1", **more):
    return record("repeat", f"{of.rpartition('-')[0]}-{number}", of=of, count=count, **more)


def counts(s):
    return [row["count"] for row in s.findings()]


def waiting(s):
    return database(s).execute("SELECT count(*), sum(count) FROM orphan").fetchone()


def repeats_that_come_before_their_finding_count_when_it_comes():
    with Service(start=False) as s:
        take(s, repeat(2), repeat(3, 16), repeat(2, of="b-9-1-1"))
        equal((s.findings(), losses(s)), ([], {}))
        equal(s.ask("status")["repeats_waiting"], 24)
        check("  early        24 events whose finding has not come\n" in s.command("status"), s.command("status"))
        s.start()
        check("events whose finding has not come" in s.http("GET", "/status").text)
        s.stop()
        take(s, event("a", "b-1-1-1"), repeat(4, 3))
        equal(s.ask("status")["repeats_waiting"], 4)
        equal((counts(s), losses(s)), ([24], {}))
        take(s, event("b", "b-9-1-1"))
        equal(sorted(counts(s)), [5, 24])
        equal(waiting(s), (0, None))


def segments_are_read_in_any_order():
    for first, then in (("current", "segment-5"), ("segment-5", "segment-4"), ("segment-4", "segment-5")):
        with Service(start=False) as s:
            append(s.directory, repeat(2), repeat(3))
            os.rename(s.directory + "/spool/current", s.directory + "/spool/repeats")
            append(s.directory, event("a", "b-1-1-1"))
            os.rename(s.directory + "/spool/current", s.directory + "/spool/" + first)
            os.rename(s.directory + "/spool/repeats", s.directory + "/spool/" + then)
            s.once()
            equal((counts(s), losses(s)), ([9], {}), first, then)


def a_finding_in_a_segment_that_its_writer_holds_gets_its_repeats():
    with Service(start=False) as s:
        append(s.directory, event("a", "b-1-1-1"))
        with open(s.directory + "/spool/current", "ab") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            s.command("serve", "--once")
            take(s, repeat(2), repeat(3))
            equal(s.findings(), [])
        s.once()
        equal((counts(s), losses(s)), ([9], {}))


def they_count_as_they_would_have_after_it():
    build = {"version": "2.0", "commit": "2" * 40, "build_id": "cd"}
    lines = [event("a", "b-1-1-1", ago=3 * DAY, build=build, labels={"attempt": "2"})]
    lines += [repeat(2 + ago, ago=ago * DAY, build=build, labels={"attempt": "2"}, mode="page", environment="ci")
              for ago in (2, 1, 0)]
    shown = []
    for order in (lines, lines[::-1], lines[1:] + lines[:1]):
        with Service(start=False) as s:
            for line in order:
                take(s, line)
            answer = s.ask("show", "1")
            shown.append({name: answer[name] for name in ("count", "trend", "builds", "hosts", "environments", "modes",
                                                          "labels", "first_seen", "last_seen")})
    equal((shown[0]["count"], shown[0]["labels"][0]["count"], shown[0]["trend"][-4:]), (13, 13, [1, 4, 4, 4]))
    equal(shown[1], shown[0])
    equal(shown[2], shown[0])


def those_of_one_day_have_the_last_time_of_them():
    noon = time.time() // DAY * DAY - DAY / 2
    for seconds in ((0, 600), (600, 0)):
        with Service(start=False) as s:
            take(s, *[repeat(2 + i, time=service.timestamp_at(noon + s)) for i, s in enumerate(seconds)])
            equal(waiting(s), (1, 8))
            take(s, event("a", "b-1-1-1", time=service.timestamp_at(noon - 600)))
            shown = s.ask("show", "1")
            equal([shown["first_seen"][11:19], shown["last_seen"][11:19]], ["11:50:00", "12:10:00"], seconds)


def one_that_arrives_twice_counts_once_and_so_does_its_finding():
    with Service(start=False) as s:
        for _ in range(2):
            append(s.directory, repeat(2), repeat(2))
            os.rename(s.directory + "/spool/current", s.directory + "/spool/taken-1")
            shutil.copy(s.directory + "/spool/taken-1", s.root + "/saved")
            s.once()
            shutil.copy(s.root + "/saved", s.directory + "/spool/taken-1")
            s.once()
        for _ in range(2):
            take(s, event("a", "b-1-1-1"), event("a", "b-1-1-1"))
        take(s, repeat(2))
        equal((counts(s), losses(s)), ([5], {}))


def a_collector_that_is_killed_over_and_over_counts_each_once():
    rounds = 12
    with Service(start=False) as s:
        for number in range(rounds):
            s.start()
            append(s.directory, *[repeat(2 + i, 1, of=f"b-{number}-1-1") for i in range(10)])
            append(s.directory, event("a", f"b-{(number + 7) % rounds}-1-1"))
            s.stop(signal.SIGKILL)
            service.forget_segment(s.directory)
        s.once()
        equal((counts(s), waiting(s), losses(s)), ([11 * rounds], (0, None), {}))


def those_that_have_waited_for_a_day_are_lost():
    def age(seconds):
        database(s).execute("UPDATE orphan SET arrived = arrived - ?", (seconds * 1000,))

    with Service(start=False) as s:
        take(s, repeat(2), repeat(3), repeat(2, 7, of="b-2-1-1"))
        age(DAY - 600)
        s.once()
        equal((waiting(s), losses(s)), ((2, 15), {}))
        take(s, repeat(2, 1, of="b-3-1-1"))
        age(1200)
        append(s.directory, event("b", "b-2-1-1"))
        s.once()
        equal((counts(s), waiting(s), losses(s)), ([8], (1, 1), {LOST: 8}), "one whose finding waits itself is found")
        age(DAY)
        s.start()
        s.wait(lambda: waiting(s) == (0, None))
        equal(losses(s), {LOST: 9})
        s.stop()
        take(s, repeat(2, 1, of="b-4-1-1"))
        age(-3 * DAY)  # as after a clock that was set back
        s.once()
        equal(losses(s), {LOST: 10})


def their_room_is_bounded():
    with Service(start=False) as s:
        append(s.directory, b"".join(service.line_of(repeat(2, 1 + (i < 10), of=f"b-{i}-1-1")) for i in range(10010)))
        s.once()
        equal((waiting(s), losses(s)), ((10000, 10000), {LOST: 20}), "those that came first are lost")
        take(s, *[repeat(100 + i, of="b-500-1-1") for i in range(50)])
        equal((waiting(s), losses(s)), ((10000, 10200), {LOST: 20}), "those of one finding wait together")
        take(s, repeat(2, 5, of="b-c-1-1", program="/" + "p" * 9000))
        equal(losses(s), {LOST: 25}, "too long to wait")
        take(s, event("a", "b-500-1-1"), event("a", "b-3-1-1"))
        equal((counts(s), waiting(s)), ([203], (9999, 9999)))
        take(s, *[repeat(2, 1, of=f"b-{20000 + i}-1-1") for i in range(3)], event("a", "b-600-1-1"),
             repeat(2, 1, of="b-30000-1-1"))
        equal((counts(s), waiting(s), losses(s)), ([205], (10000, 10000), {LOST: 27}), "one that is taken makes room")


def one_may_wait_that_is_as_long_as_8192_bytes():
    for length, lost in ((8192, {}), (8193, {LOST: 4})):
        with Service(start=False) as s:
            pad = length - len(service.line_of(repeat(2, program=""))) + 1  # a line feed is no part of it
            take(s, repeat(2, program="p" * pad))
            equal((losses(s), waiting(s)[0]), (lost, 0 if lost else 1), length)


def those_of_a_record_that_is_no_finding_are_lost():
    with Service(start=False) as s:
        take(s, repeat(2, 3, of=""), repeat(2, 2, of="b-2-1-1"))
        equal(losses(s), {LOST: 3})
        take(s, event("a", "b-2-1-1", f_bug="heap-of-trouble"), record("summary", "b-3-1-1", exit="status 0"),
             repeat(3, 5, of="b-2-1-1"), repeat(2, 1, of="b-3-1-1"))
        equal((losses(s)[LOST], waiting(s), s.findings()), (11, (0, None), []))


def counts_beyond_all_bounds_are_harmless():
    with Service(start=False) as s:
        take(s, *[repeat(2 + i, 2**62, of="b-1-1-1") for i in range(1030)])
        equal(waiting(s), (1, 1030 * (2**32 - 1)))
        take(s, event("a", "b-1-1-1"))
        equal(counts(s), [1030 * (2**32 - 1) + 1])


def one_that_is_no_utf_8_waits_as_any_other():
    with Service(start=False) as s:
        take(s, service.line_of(repeat(2, program="/srv/A", host="AB")).replace(b"A", b"\xff\xc3"),
             event("a", "b-1-1-1"))
        equal(counts(s), [5])


service.main([
    repeats_that_come_before_their_finding_count_when_it_comes, segments_are_read_in_any_order,
    a_finding_in_a_segment_that_its_writer_holds_gets_its_repeats, they_count_as_they_would_have_after_it,
    those_of_one_day_have_the_last_time_of_them,
    one_that_arrives_twice_counts_once_and_so_does_its_finding,
    a_collector_that_is_killed_over_and_over_counts_each_once, those_that_have_waited_for_a_day_are_lost,
    their_room_is_bounded, one_may_wait_that_is_as_long_as_8192_bytes,
    those_of_a_record_that_is_no_finding_are_lost, counts_beyond_all_bounds_are_harmless,
    one_that_is_no_utf_8_waits_as_any_other,
])
