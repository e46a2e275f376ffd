#!/usr/bin/env python3
"""Values at the edge of what they may be: in records, in options, in requests, and on the pages."""

import json
import os
import sqlite3

import service
from service import Service, append, check, equal, event, finding, line_of, main, post, record

LINE_MOST = 256 * 1024
FRAMES_MOST = 32
NAMES_MOST = 20000


# ---- Records ----


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
        equal((s.findings()[0]["first_build"], s.findings()[0]["last_build"]), ("newer", "newer"))
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
        equal((shown["count"], shown["hosts"][0]["name"], shown["events"][0]["pid"]), (2**53, "(unknown)", 0))
        equal([(c["hours"], c["allocations"]) for c in s.ask("coverage")["coverage"] if c["program"] == "/srv/odd"],
              [(0.01, 4 * 2**53)])


def times_are_those_of_the_form_and_no_others():
    good = {"2026-01-02T03:04:05Z": "2026-01-02T03:04:05.000Z",
            "2026-01-02T03:04:05.678999Z": "2026-01-02T03:04:05.678Z"}
    with Service(start=False) as s:
        bad = ["2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05+01:00", "26-01-02T03:04:05Z",
               "2026-01-02T03:04:05ZZ", "1969-12-31T23:59:59Z", "2026-01-02T03-04-05Z", "2026x01-02T03:04:05Z",
               *[f"2026-{time}Z" for time in ("00-01T00:00:00", "13-01T00:00:00", "01-00T00:00:00", "01-32T00:00:00",
                                              "04-31T00:00:00", "02-29T00:00:00", "01-01T24:00:00", "01-01T00:60:00",
                                              "01-01T00:00:61")], "2100-02-29T00:00:00Z"]
        append(s.directory, *(event(f"p{i}", f"{i}", time=time) for i, time in enumerate([*good, *bad])))
        s.once()
        rows = {row["place"].split()[0][6:]: row["first_seen"] for row in s.findings()}
        equal([rows[str(i)] for i in range(2)], list(good.values()))
        check(all(rows[str(i)] > service.timestamp(600) for i in range(2, 2 + len(bad))), rows)
        for time in bad:
            s.command("builds", "--add", "c" * 40, "--time", time, status=2)
        for time in ("2024-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "1970-01-01T00:00:01Z"):
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


# ---- Bytes ----


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


# ---- Snapshots ----


def snapshot(sites, **more):
    outer = {name: more.pop(name) for name in ("id", "seconds", "ago") if name in more}
    return record("snapshot", **dict({"seconds": 1}, **outer), snapshot=dict(
        {"name": "s", "allocator": "malloc", "blocks": 1, "bytes": sum(site[0] for site in sites), "sites": sites},
        **more))


def frame(function, line=1):
    return [{"path": "/srv/app", "build_id": "ab"}, hex(0x1000 + line), function, "src/app.c", line]


def stacks_and_lines_of_snapshots_are_bounded():
    with Service(start=False) as s:
        stack = [frame(f"f{i}", i + 1) for i in range(80)]
        append(s.directory, snapshot([[10, 1, stack], [5, 1, [frame("odd", 2**32 + 1)]]], id="b-7-9-1"))
        s.once()
        shown = s.ask("processes", "1")["snapshot"]
        deep, odd = shown["sites"]
        equal(len(deep["stack"]), FRAMES_MOST)
        equal(shown["calls"][odd["stack"][0]].get("line", 0), 0)


def empty_parts_of_a_map_count_as_well():
    with Service(start=False) as s:
        parts = [["0x1000", []]] * 4096 + [["0x2000", [7]]]
        append(s.directory, snapshot([[10, 1, [frame("f")]]], id="b-7-9-1", map={"cell": 64, "parts": parts}),
               snapshot([[10, 1, [frame("f")]]], id="b-8-9-1", map={"cell": 64, "parts": parts[-4096:]}))
        s.once()
        equal(s.ask("processes", "1")["snapshot"]["map"]["parts"], [])
        equal(s.ask("processes", "2")["snapshot"]["map"]["parts"], [{"address": "0x2000", "live": [7]}])


def a_snapshot_belongs_to_its_process():
    with Service(start=False) as s:
        append(s.directory, snapshot([[10, 1, [frame("f")]]], id="b-7-9-1"),
               snapshot([[20, 1, [frame("g")]]], id="b-8-9-1"))
        s.once()
        equal(s.ask("processes", "2", "--snapshot", "2")["snapshot"]["bytes"], 20)
        s.command("processes", "1", "--snapshot", "2", status=1)
        s.command("processes", "1", "--snapshot", "3", status=1)


def the_flame_graph_has_what_grew_and_no_box_beyond_its_last():
    with Service() as s:
        stack = [frame("leaf", 1), frame("main", 2)]
        append(s.directory, snapshot([[100, 2, stack]], id="b-7-9-1"), snapshot([[60, 1, stack]], id="b-7-9-2"))
        s.wait(lambda: len(s.http("GET", "/api/v1/processes/1").json().get("snapshots", [])) == 2)
        page = lambda query: s.http("GET", "/process/1?snapshot=1" + query).text
        equal(["class=\"reset\"" in page(f"&zoom={zoom}") for zoom in range(5)], [False, True, True, False, False])
        check("Nothing has grown" in s.http("GET", "/process/1?snapshot=2&against=1").text)
        check("Nothing has grown" not in s.http("GET", "/process/1?snapshot=1&against=2").text)


def durations_have_the_unit_that_suits_them():
    with Service() as s:
        lengths = {9.96: "10.0 s", 60: "60 s", 119: "119 s", 600: "10 min", 7140: "119 min", 7200: "2.0 h",
                   90000: "25.0 h"}
        for number, seconds in enumerate(lengths):
            append(s.directory, snapshot([[10, 1, [frame("f")]]], id=f"b-{number}-9-1", seconds=seconds))
        s.wait(lambda: s.http("GET", "/api/v1/processes").json()["total"] == len(lengths))
        for number, text in enumerate(lengths.values()):
            check(f"<b>{text}</b>" in s.http("GET", f"/process/{number + 1}").text, text)


def a_process_has_the_figures_of_its_newest_snapshot():
    with Service(start=False) as s:
        for number, (ago, blocks) in enumerate(((100, 3), (10, 5), (50, 9))):
            append(s.directory, snapshot([[blocks * 10, blocks, [frame("f")]]], id=f"b-7-9-{number}", ago=ago,
                                         blocks=blocks, resident=blocks * 4096))
        s.once()
        row = s.ask("processes")["processes"][0]
        equal((row["bytes"], row["blocks"], row["resident"]), (50, 5, 20480))


def what_has_more_blocks_of_no_more_bytes_has_grown():
    with Service(start=False) as s:
        same, split = [frame("same", 1)], [frame("split", 2)]
        append(s.directory, snapshot([[9000, 2, split], [50, 1, same]], id="b-7-9-1", ago=10),
               snapshot([[9000, 1716, split], [50, 1, same]], id="b-7-9-2", ago=5))
        s.once()
        sites = s.ask("processes", "1", "--snapshot", "2", "--against", "1")["snapshot"]["sites"]
        equal([(x["more_bytes"], x["more_blocks"]) for x in sites], [(0, 1714)])
        s.start()
        page = s.http("GET", "/process/1?snapshot=2&against=1").text
        equal((">+1,714<" in page, "+0" in page), (True, False), "nothing has no sign")


# ---- Coverage ----


def call_sites_are_counted_and_listed_by_whether_they_were_watched():
    with Service(start=False) as s:
        module = {"path": "/srv/app", "build_id": "ab", "sites": 5, "watched": [[16, 3]], "unwatched": [32, 48, 64]}
        append(s.directory, record("summary", "b-1-1-1", exit="0", seconds=3600, findings=0, sites=[module]))
        s.once()
        check(" 25 %  /srv/app" in s.command("coverage"), s.command("coverage"))
        for watched, offsets in (("yes", ["0x10"]), ("no", ["0x20", "0x30", "0x40"]),
                                 ("all", ["0x20", "0x30", "0x40", "0x10"])):
            equal([x["offset"] for x in s.ask("coverage", "1", "--watched", watched)["list"]], offsets, watched)
        equal([x["count"] for x in s.ask("status")["losses"]], [1], "a site that was not listed")


# ---- Questions ----


def long_words_are_looked_for_by_their_beginning():
    with Service(start=False) as s:
        name = "n" * 70
        append(s.directory, event(name, "b-1-1-1"), event("other", "b-1-1-2"))
        s.once()
        equal(len(s.findings("--search", name)), 1)
        equal(len(s.findings("--search", name + " src/app.c")), 1)
        equal(len(s.findings("--search", name + " nothing")), 0)
        equal(len(s.findings("--search", "other")), 1)


def a_long_record_is_found_by_its_first_words():
    with Service(start=False) as s:
        frames = [{"pc": hex(i + 1), "module": "/srv/app", "offset": hex(i + 1), "function": f"f{i}_" + "x" * 300}
                  for i in range(8)]
        append(s.directory, event("p", "b-1-1-1", f_found={"frames": frames}))
        s.once()
        equal(len(s.findings("--search", "open_p")), 1)
        equal(len(s.findings("--search", "f0_xxx")), 1)


def a_filter_by_what_nobody_had_finds_nothing():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: "open_p" in s.http("GET", "/?environment=development").text)
        for words in ("environment=nowhere", "build=" + "9" * 40, "new_in=" + "9" * 40):
            check("open_p" not in s.http("GET", "/?" + words).text, words)


def limits_have_a_most():
    with Service() as s:
        for limit, got in (("5000", 1000), ("1000", 1000), ("0", 100), ("", 100), ("7", 7)):
            equal(s.http("GET", f"/api/v1/findings?limit={limit}").json()["limit"], got, limit)
        for number in range(3):
            s.command("steer", "sweep", "--because", f"r{number}")
        equal(len(s.http("GET", "/api/v1/steering?limit=2").json()["steps"]), 2)
        equal(len(s.http("GET", "/api/v1/steering").json()["steps"]), 3)


def texts_may_have_their_whole_length():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        s.command("ignore", "1", "--because", "x" * 500)
        s.command("ignore", "1", "--because", "x" * 501, status=2)
        s.command("builds", "--add", "y" * 255)
        s.command("builds", "--add", "y" * 256, status=2)
        s.command("steer", "sweep", "--because", "z" * 300)
        s.command("steer", "sweep", "--because", "z" * 301, status=2)
        s.command("steer", "sweep", "--because", "t", "--build", "abcdef1")
        s.command("steer", "sweep", "--because", "t", "--build", "abcdef", status=2)


def a_split_leaves_something_and_moves_no_damage_that_was_not_there():
    with Service(start=False) as s:
        intact = {"address": "0x1058", "bytes": "61626364", "expected": "61626364", "classes": "uuuu"}
        append(s.directory, event("p", "b-1-1-1", ago=20, f_window=intact),
               event("p", "b-1-1-2", ago=10, f_window=intact))
        s.once()
        events = [e["id"] for e in s.ask("show", "1")["events"]]
        equal(len(events), 2)
        check("nothing would be left" in s.command("split", "1", "--events", ",".join(map(str, events)), status=1))
        s.command("split", "1", "--events", str(events[0]))
        equal([(s.ask("show", i)["count"], s.ask("show", i)["damaged"]) for i in ("1", "2")], [(1, 0), (1, 0)])


# ---- Pages ----


def written_bytes_are_explained_by_where_they_are():
    sentence = "the NUL at the end of a string"
    with Service() as s:
        for place, address in (("end", "0x105d"), ("behind", "0x105e")):
            window = {"address": address, "bytes": "00", "expected": "fd", "classes": "!"}
            append(s.directory, event(place, f"b-1-1-{place}", f_window=window))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 2)
        pages = {f["place"]: s.http("GET", f"/finding/{f['id']}").text
                 for f in s.http("GET", "/api/v1/findings").json()["findings"]}
        check(sentence in pages["open_end src/app.c:10"])
        check(sentence not in pages["open_behind src/app.c:10"])
        check("Always at +1, always 00." in pages["open_behind src/app.c:10"])


def hosts_are_named_where_half_of_the_damage_is_one_bit():
    with Service() as s:
        for place, values in (("most", (0xFC, 0xFC, 0)), ("half", (0xFC, 0)), ("few", (0xFC, 0, 0))):
            for number, value in enumerate(values):
                append(s.directory, event(place, f"b-1-1-{place}{number}", f_value=value, host="host-of-" + place))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 3
               and sum(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]) == 8)
        for f in s.http("GET", "/api/v1/findings").json()["findings"]:
            text = s.http("GET", f"/finding/{f['id']}").text
            section = text[text.index("<h2>One bit off</h2>"):]
            section = section[:section.index("</section>")]
            equal("host-of-" in section, "open_few" not in f["place"], f["place"])


def twenty_of_a_list_may_be_more():
    with Service() as s:
        for place, hosts in (("many", 20), ("fewer", 19)):
            append(s.directory, *[event(place, f"b-1-1-{place}{i}", host=f"h{i}") for i in range(hosts)])
        s.wait(lambda: sum(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]) == 39)
        for f in s.http("GET", "/api/v1/findings").json()["findings"]:
            text = s.http("GET", f"/finding/{f['id']}").text
            check(f"<b>{'20+' if 'many' in f['place'] else '19'}</b> hosts" in text, f["place"])


def a_finding_that_came_back_says_after_which_fix():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1", ago=60))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 1)
        s.command("fix", "1", "--in", "2.0")
        append(s.directory, event("p", "b-1-1-2", build={"version": "2.0", "commit": "2" * 40, "build_id": "cd"}))
        s.wait(lambda: s.ask("show", "1")["state"] == "reopened")
        check("Back after a fix in 2.0" in s.http("GET", "/finding/1").text)


# ---- Rights ----


def a_page_that_needs_a_token_leads_back_to_itself():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 1)
        reply = s.http("POST", "/finding/1/fix", body="text=", Accept="text/html")
        equal(reply.status, 401)
        check('name="back" value="/finding/1/fix"' in reply.text, reply.text)
        for back, leads in (("/finding/1", "/finding/1"), ("/%5Cevil", "/"), ("//evil", "/"), ("https://evil", "/")):
            reply = s.http("POST", "/sign-in", body=f"token={s.token()}&back={back}")
            equal((reply.status, reply.headers["location"]), (303, leads), back)
        reply = s.http("POST", "/sign-in", body="token=0123456789abcdef", Accept="text/html")
        equal(reply.status, 401)
        check('name="back" value="/"' in reply.text, "not to where one signs in: ", reply.text)


def tokens_have_16_to_64_characters():
    for length, fine in ((15, False), (16, True), (64, True), (65, False)):
        with Service(start=False) as s:
            path = os.path.join(s.directory, "tokens")
            with open(path, "w", encoding="ascii") as file:
                file.write("read " + "a" * length + "\n")
            os.chmod(path, 0o600)
            try:
                s.start()
                started = True
            except AssertionError:
                started = False
            equal(started, fine, length)


# ---- Around it ----


def a_database_of_no_version_is_refused():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        with sqlite3.connect(os.path.join(s.directory, "ringfence.db")) as db:
            db.execute("PRAGMA user_version=-1")
        db.close()
        check("is of a newer Ringfence" in s.command("serve", "--once", status=1))


def the_policy_file_stays_where_rules_hold():
    for rule in (True, False):
        with Service() as s:
            path = os.path.join(s.directory, "policy")
            s.wait(lambda: os.path.exists(path))
            if rule:
                before = os.stat(path).st_ino
                s.command("steer", "set", "--options", "watch=1", "--because", "t")
                s.wait(lambda: os.stat(path).st_ino != before)
            equal(s.stop(), 0)
            equal(os.path.exists(path), rule)


def one_refused_file_of_symbols_is_a_failure():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        bad = os.path.join(s.root, "bad")
        with open(bad, "w", encoding="ascii") as file:
            file.write("no ELF file")
        for files in ((service.SERVE, bad), (bad, service.SERVE)):
            said = s.command("symbols", "upload", *files, status=1)
            check(" of build " in said and "bad is no ELF file" in said, said)


def an_alert_whose_command_was_killed_has_failed():
    with Service("--alert-command", "cat >/dev/null; kill -9 $$") as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: "an alert failed: the command" in s.log())
        equal(s.ask("status")["alerts_waiting"], 1)


def frames_of_the_systems_headers_are_not_the_programs():
    with Service(start=False) as s:
        inner = {"pc": "0x10", "module": "/srv/app", "offset": "0x10", "function": "copy",
                 "file": "/usr/include/bits/string.h", "line": 5}
        own = {"pc": "0x20", "module": "/srv/app", "offset": "0x20", "function": "mine", "file": "src/a.c", "line": 6}
        append(s.directory, event("p", "b-1-1-1", f_found={"frames": [inner, own]}))
        s.once()
        body = json.loads(s.command("export", "--as", "sentry").splitlines()[2])
        frames = body["exception"]["values"][-1]["stacktrace"]["frames"]
        equal([(f["function"], f["in_app"]) for f in frames], [("mine", True), ("copy", False)])


main([
    an_alert_whose_command_was_killed_has_failed,  # the longest
    a_line_is_taken_up_to_its_longest, a_record_of_a_later_version_is_kept_aside, fractions_of_seconds_count,
    an_event_of_an_earlier_time_changes_no_last_build, labels_and_names_are_bounded,
    sixteen_written_bytes_are_counted_and_none_far_away, fields_that_say_nothing_have_a_word,
    times_are_those_of_the_form_and_no_others,
    each_thing_that_is_known_makes_an_event_richer,
    names_of_a_kind_are_bounded, a_process_that_was_killed_or_lost_counts_as_killed, the_peak_of_a_day_is_its_highest,
    the_richest_event_stays_and_the_middle_is_thinned, an_older_event_of_a_part_sets_no_finding_back,
    a_build_is_known_by_its_name_before_all,
    the_strictest_rule_hides_bytes_in_any_order, of_a_sampled_process_guards_and_headers_are_kept,
    bytes_before_a_block_have_negative_offsets, stacks_and_lines_of_snapshots_are_bounded,
    empty_parts_of_a_map_count_as_well, a_snapshot_belongs_to_its_process,
    a_process_has_the_figures_of_its_newest_snapshot, what_has_more_blocks_of_no_more_bytes_has_grown,
    the_last_of_a_name_is_its_newest, the_flame_graph_has_what_grew_and_no_box_beyond_its_last,
    durations_have_the_unit_that_suits_them,
    call_sites_are_counted_and_listed_by_whether_they_were_watched, long_words_are_looked_for_by_their_beginning,
    a_long_record_is_found_by_its_first_words, a_filter_by_what_nobody_had_finds_nothing,
    limits_have_a_most,
    texts_may_have_their_whole_length, a_split_leaves_something_and_moves_no_damage_that_was_not_there,
    written_bytes_are_explained_by_where_they_are, hosts_are_named_where_half_of_the_damage_is_one_bit,
    twenty_of_a_list_may_be_more, a_finding_that_came_back_says_after_which_fix,
    a_page_that_needs_a_token_leads_back_to_itself, tokens_have_16_to_64_characters,
    a_database_of_no_version_is_refused, the_policy_file_stays_where_rules_hold,
    one_refused_file_of_symbols_is_a_failure,
    frames_of_the_systems_headers_are_not_the_programs,
])
