#!/usr/bin/env python3
"""Values at the edge of what they may be in records: lines, names, times, bytes."""

import os
import sqlite3

import service
from service import Service, append, check, equal, event, finding, line_of, losses, post, record

LINE_MOST = 256 * 1024
NAMES_MOST = 20000


def a_line_is_taken_up_to_its_longest():
    with Service(start=False) as s:
        for number, length in enumerate((LINE_MOST, LINE_MOST + 1)):
            short = len(line_of(event("p", f"b-1-1-{number}", f_pad=1))) - 1
            append(s.directory, event("p", f"b-1-1-{number}", f_pad=length - short + 1))
        s.once()
        equal([f["count"] for f in s.findings()], [1])
        equal([x["count"] for x in s.ask("status")["losses"] if x["what"] == "lines too long"], [1])


def a_record_of_a_later_version_is_kept_aside():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1", version=2), event("q", "b-1-1-2"))
        s.once()
        equal([f["place"] for f in s.findings()], ["open_q src/app.c:10"])
        check(any("of a kind or version not known" in x["what"] for x in s.ask("status")["losses"]))


def fractions_of_seconds_count():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        times = {"a": "2026-01-02T03:04:05Z", "b": "2026-01-02T03:04:05.25Z", "c": "2026-01-02T03:04:05.250999Z",
                 "d": "2026-01-02T03:04:05.007Z"}
        for name, time in times.items():
            s.command("builds", "--add", name, "--time", time)
        got = {b["commit"]: b["ordered_at"] for b in s.ask("builds")["builds"]}
        equal([got[name][20:] for name in times], ["000Z", "250Z", "250Z", "007Z"])


def an_event_of_an_earlier_time_changes_no_last_build():
    with Service(start=False) as s:
        build = lambda name: {"version": name, "commit": "", "build_id": ""}
        append(s.directory, event("p", "b-1-1-1", ago=10, build=build("newer")),
               event("p", "b-1-1-2", ago=5000, build=build("older")))
        s.once()
        equal((s.findings()[0]["first_build"], s.findings()[0]["last_build"]), ("older", "newer"))
        append(s.directory, event("p", "b-1-1-3", ago=1, build=build("newest")))
        s.once()
        equal(s.findings()[0]["last_build"], "newest")


def labels_and_names_are_bounded():
    with Service(start=False) as s:
        labels = {f"l{i:02}": "v" for i in range(12)}
        for number, length in enumerate((511, 512, 513)):
            append(s.directory, event("p", f"b-1-1-{number}", labels=labels, host=str(number) + "h" * (length - 1)))
        s.once()
        shown = s.ask("show", "1")
        equal(sorted(x["name"] for x in shown["labels"]), [f"l{i:02}=v" for i in range(8)])
        equal([x["count"] for x in shown["labels"]], [3] * 8)
        equal(sorted(len(x["name"]) for x in shown["hosts"]), [511, 511, 511])


def the_last_of_a_name_is_its_newest():
    with Service(start=False) as s:
        append(s.directory, *[event("p", f"b-1-1-{ago}", ago=ago) for ago in (500, 5, 50)])
        s.once()
        shown = s.ask("show", "1")
        newest = shown["last_seen"]
        equal([shown[names][0]["last_seen"] for names in ("programs", "hosts", "environments", "modes")], [newest] * 4)


def fields_that_say_nothing_have_a_word():
    with Service(start=False) as s:
        append(s.directory, event("a", "x", host="", program="", mode="", environment="", count=0,
                                  build={"version": "", "commit": "", "build_id": ""}),
               event("b", "y", host=None, count=2**60, pid=-5),
               *(record("summary", f"s{i}", seconds=seconds, program="/srv/odd", peak=-1, allocations=2**60)
                 for i, seconds in enumerate((-5, 1e11, "7", 36))))
        s.once()
        shown = s.ask("show", "1")
        equal([shown[name][0]["name"] for name in ("hosts", "programs", "modes", "environments", "builds")],
              ["(unknown)", "(unknown)", "(unknown)", "development", "(unknown)"])
        equal(shown["count"], 1)
        shown = s.ask("show", "2")
        equal((shown["count"], shown["hosts"][0]["name"], shown["events"][0]["pid"]), (2**32 - 1, "(unknown)", 0))
        equal([(c["hours"], c["allocations"]) for c in s.ask("coverage")["coverage"] if c["program"] == "/srv/odd"],
              [(0.01, 4 * 2**53)])


def times_are_those_of_the_form_and_no_others():
    good = {"2026-01-02T03:04:05Z": "2026-01-02T03:04:05.000Z",
            "2026-01-02T03:04:05.678999Z": "2026-01-02T03:04:05.678Z",
            "2026-01-02T03:04:05+05:30": "2026-01-01T21:34:05.000Z", "2026-01-02T03:04:05.5-0100":
            "2026-01-02T04:04:05.500Z", "2026-01-02T03:04:05+00:00": "2026-01-02T03:04:05.000Z"}
    with Service(start=False) as s:
        bad = ["2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05+1:00", "2026-01-02T03:04:05+01:60",
               "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05+01:00Z", "2026-01-02T03:04:05+01:",
               "2026-01-02T03:04:05-", "2026-01-02T03:04:05+01:+1", "1970-01-01T00:00:00+01:00", "26-01-02T03:04:05Z",
               "2026-01-02T03:04:05ZZ", "1969-12-31T23:59:59Z", "2026-01-02T03-04-05Z", "2026x01-02T03:04:05Z",
               *[f"2026-{time}Z" for time in ("00-01T00:00:00", "13-01T00:00:00", "01-00T00:00:00", "01-32T00:00:00",
                                              "04-31T00:00:00", "02-29T00:00:00", "01-01T24:00:00", "01-01T00:60:00",
                                              "01-01T00:00:61")], "2100-02-29T00:00:00Z"]
        append(s.directory, *(event(f"p{i}", f"{i}", time=time) for i, time in enumerate([*good, *bad])))
        s.once()
        rows = {row["place"].split()[0][6:]: row["first_seen"] for row in s.findings()}
        equal([rows[str(i)] for i in range(len(good))], list(good.values()))
        check(all(rows[str(i)] > service.timestamp(600) for i in range(len(good), len(good) + len(bad))), rows)
        for time in bad:
            s.command("builds", "--add", "c" * 40, "--time", time, status=2)
        for time in ("2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "1970-01-01T00:00:01Z"):
            s.command("builds", "--add", "c" * 40, "--time", time)
        append(s.directory, record("snapshot", "plain", ago=60, host="h", pid=3, snapshot={"name": "n", "bytes": 5}),
               record("snapshot", "plainer", host="h", pid=3, snapshot={"name": "n", "bytes": 5}),
               record("snapshot", "other", host="h", pid=4, snapshot={"name": "n", "bytes": 5}))
        s.once()
        equal(sorted((p["pid"], p["snapshot_count"]) for p in s.ask("processes")["processes"]), [(3, 2), (4, 1)])


def each_thing_that_is_known_makes_an_event_richer():
    bare = {"pc": "0x401009", "module": "/srv/app", "build_id": "00", "offset": "0x1009"}
    stack = {"thread": 1, "frames": [bare]}
    named = {"thread": 1, "frames": [dict(bare, function="f")]}
    lined = {"thread": 1, "frames": [dict(bare, function="f", file="a.c", line=3)]}
    cases = [({}, {"f_found": named}), ({"f_found": named}, {"f_found": lined}), ({}, {"f_released": stack}),
             ({}, {"f_at_access": True}), ({"f_window": None}, {}),
             ({"f_found": named}, {"f_found": lined, "f_window": None})]
    for first, second in cases:
        with Service(start=False) as s:
            for number, more in enumerate((first, second, first)):
                append(s.directory, event("x", f"{number}", ago=9 - number, pid=number,
                                          **{"f_allocated": stack, "f_found": stack, **more}))
                s.once()
            equal([e["pid"] for e in s.ask("show", "1")["events"] if e["richest"]], [1], first, second)


def names_of_a_kind_are_bounded():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1", host="known"))
        s.once()
        with sqlite3.connect(os.path.join(s.directory, "ringfence.db")) as db:
            kind = db.execute("SELECT kind FROM name WHERE text = 'known'").fetchone()[0]
            db.executemany("INSERT INTO name(kind, text) VALUES(?, ?)",
                           ((kind, f"n{i}") for i in range(NAMES_MOST - 2)))
        db.close()
        append(s.directory, *[event("p", f"b-1-1-{host}", host=host) for host in ("last", "more", "another", "known")])
        s.once()
        equal(sorted((x["name"], x["count"]) for x in s.ask("show", "1")["hosts"]),
              [("(others)", 2), ("known", 2), ("last", 1)])


def a_process_that_was_killed_or_lost_counts_as_killed():
    with Service(start=False) as s:
        for number, end in enumerate(("signal 9", "unknown", "0", "running", "99")):
            append(s.directory, record("summary", f"b-{number}-1-1", exit=end, seconds=1, allocations=1, findings=0,
                                       dropped=0))
        s.once()
        equal([c["killed"] for c in s.ask("coverage")["coverage"]], [2])


def the_peak_of_a_day_is_its_highest():
    with Service(start=False) as s:
        for number, peak in enumerate((100, 900, 50)):
            append(s.directory, record("summary", f"b-{number}-1-1", exit="0", seconds=1, peak=peak, findings=0,
                                       build={"version": str(number), "commit": "", "build_id": ""}))
        s.once()
        equal([(p["peak"], p["peaks"][-1]) for p in s.ask("processes")["programs"]], [(900, 900)])


def post_each(s, *records):
    """Each in a transaction of its own."""
    for value in records:
        post(s, value)


def sums_stay_numbers_whatever_records_count():
    """No number of records that one can send makes a sum wrap, or a question fail."""
    with Service() as s:
        most = 2**32 - 1
        day = 86400
        site = {"path": "/lib", "build_id": "ab", "sites": 1, "watched": [[16, 2**53]], "unwatched": []}
        post(s, *[event("a", f"e{i}", count=2**62, ago=i % 3 * day) for i in range(1100)])
        post(s, *[record("summary", f"s{i}", ago=i * day, seconds=1.0, allocations=2**62, findings=2**62,
                              dropped=2**62, exit="status 0", sites=[site], sites_dropped=2**62) for i in range(1100)])
        shown = s.http("GET", "/api/v1/findings/1")
        equal((shown.json()["count"], s.ask("status")["events"]), (1100 * most, 1100 * most))
        for path in ("/", "/finding/1", "/status", "/coverage", "/builds"):
            equal(s.http("GET", path).status, 200, path)
        coverage = s.ask("coverage")["coverage"][0]
        equal((coverage["findings"], coverage["dropped"]), (1100 * most, 1100 * most))
        check(coverage["allocations"] >= 2**62, coverage)
        reasons = ("findings that processes dropped", "call sites that were not listed")
        equal(losses(s), dict.fromkeys(reasons, 1100 * most))
        check(s.ask("coverage", "1", "--watched", "yes")["list"][0]["blocks"] > 0)


def the_richest_event_stays_and_the_middle_is_thinned():
    with Service() as s:
        rich = [{"pc": hex(i + 1), "module": "/srv/app", "offset": hex(i + 1), "function": f"f{i}"} for i in range(9)]
        frames = finding("p")["found"]["frames"]
        post_each(s, *[event("p", f"b-1-1-{i}", ago=100 - i, pid=i,
                             f_found={"frames": rich[:i - 4] + frames if i in (10, 12) else frames})
                       for i in range(1, 21)])
        shown = s.http("GET", "/api/v1/findings/1").json()
        equal(shown["record"]["pid"], 12)
        equal(sorted(e["pid"] for e in shown["events"]), [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20])


def an_older_event_of_a_part_sets_no_finding_back():
    with Service() as s:
        post_each(s, event("p", "b-1-1-1", ago=10), event("q", "b-1-1-2", ago=5000))
        s.command("merge", "1", "2")
        before = s.ask("show", "1")["last_seen"]
        post_each(s, event("q", "b-1-1-3", ago=3000))
        equal((s.ask("show", "1")["last_seen"], s.ask("show", "1")["count"]), (before, 3))


def a_build_is_known_by_its_name_before_all():
    with Service(start=False) as s:
        append(s.directory,
               event("named", "b-1-1-1", ago=900, build={"version": "1", "commit": "x1", "build_id": ""}),
               event("versioned", "b-1-1-2", ago=10, build={"version": "x1", "commit": "zz", "build_id": ""}))
        s.once()
        equal([f["place"] for f in s.findings("--build", "x1")], ["open_named src/app.c:10"])


def windows_of(s):
    return s.ask("show", "1")["record"]["finding"]["window"]


def the_strictest_rule_hides_bytes_in_any_order():
    for rules in (("guard=none", "*=whole"), ("*=whole", "guard=none"), ("*=guards", "development=none")):
        with Service(start=False) as s:
            append(s.directory, event("p", "b-1-1-1"))
            s.command("serve", "--once", *[word for rule in rules for word in ("--bytes", rule)])
            equal(windows_of(s)["bytes"], "0" * 16, rules)
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1", environment="a=b"))
        s.command("serve", "--once", "--bytes", "a=b=none")
        equal(windows_of(s)["bytes"], "0" * 16, "the rule is behind the last =")


def of_a_sampled_process_guards_and_headers_are_kept():
    with Service(start=False) as s:
        window = {"address": "0x1058", "bytes": "1122334455667788", "expected": "1122334455667788",
                  "classes": "uhgf?o!u"}
        append(s.directory, event("p", "b-1-1-1", mode="sample", f_window=window))
        s.once()
        equal(windows_of(s), dict(window, bytes="0022330000007700", expected="0022330000007700", classes="?hg???!?"))


def sixteen_written_bytes_are_counted_and_none_far_away():
    many = {"address": "0x105d", "bytes": "00" * 24, "expected": "fd" * 24, "classes": "!" * 24}
    with Service(start=False) as s:
        append(s.directory, event("many", "1", f_window=many),
               *(event("far", f"{address}",
                       f_window={"address": hex(address), "bytes": "00", "expected": "fd", "classes": "!"})
                 for address in (0x105D + 2**30, 0x105D + 2**30 - 1, 0x105D + 2**40)))
        s.once()
        equal([w["offset"] for w in s.ask("show", "1")["written"]], list(range(16)))
        equal([w["offset"] for w in s.ask("show", "2")["written"]], [2**30 - 1])


def bytes_before_a_block_have_negative_offsets():
    with Service(start=False) as s:
        window = {"address": "0x104e", "bytes": "fdaa6162", "expected": "fdfd6162", "classes": "g!uu"}
        append(s.directory, event("p", "b-1-1-1", f_window=window))
        s.once()
        equal(s.ask("show", "1")["written"], [{"offset": 0x104F - 0x105D, "expected": 0xFD, "value": 0xAA, "count": 1}])


service.main([
    sums_stay_numbers_whatever_records_count,
    a_line_is_taken_up_to_its_longest, a_record_of_a_later_version_is_kept_aside, fractions_of_seconds_count,
    an_event_of_an_earlier_time_changes_no_last_build, labels_and_names_are_bounded,
    sixteen_written_bytes_are_counted_and_none_far_away, fields_that_say_nothing_have_a_word,
    times_are_those_of_the_form_and_no_others, each_thing_that_is_known_makes_an_event_richer,
    names_of_a_kind_are_bounded, a_process_that_was_killed_or_lost_counts_as_killed,
    the_peak_of_a_day_is_its_highest, the_richest_event_stays_and_the_middle_is_thinned,
    an_older_event_of_a_part_sets_no_finding_back, a_build_is_known_by_its_name_before_all,
    the_strictest_rule_hides_bytes_in_any_order, of_a_sampled_process_guards_and_headers_are_kept,
    bytes_before_a_block_have_negative_offsets, the_last_of_a_name_is_its_newest,
])
