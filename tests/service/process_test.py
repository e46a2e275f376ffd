#!/usr/bin/env python3
"""Snapshots of memory: taken in, shown, compared, thinned, named; and what a hostile process may send as one."""

import json
import os
import re
import subprocess
import tempfile
import time

from service import Nesting, Service, append, check, database, equal, line_of, record, timestamp_at

MODULE = {"path": "/srv/app", "build_id": "ab12"}


def frame(function, line, module=0):
    return [module, hex(0x1000 + line), function, "src/app.c", line]


def snapshot(name="first", sites=None, **more):
    """By default two sites below main, one of which is three quarters of all."""
    if sites is None:
        sites = [[3000, 30, [frame("make_buffer", 10, MODULE), frame("main", 30)]],
                 [1000, 5, [frame("make_name", 20), 1]]]
    body = {"name": name, "allocator": "malloc", "blocks": sum(s[1] for s in sites), "bytes": sum(s[0] for s in sites),
            "peak": 9000, "resident": 65536, "sizes": [[64, 30, 3000], [128, 5, 1000]],
            "map": {"cell": 65536, "parts": [["0x7f0000010000", [3000, 0, 900]], ["0x7f0000990000", [100]]]},
            "sites": sites, "omitted_blocks": 0, "omitted_bytes": 0}
    body.update(more)
    return body


def told(number, process="b-7-99", ago=0.0, snap=None, **more):
    return record("snapshot", f"{process}-{number}", ago=ago, seconds=60.5, snapshot=snap or snapshot(), **more)


def one(s, *words):
    return s.ask("processes", "1", *words)


def call_names(answer, site):
    calls = answer["snapshot"]["calls"]
    return [calls[i]["function"] for i in site["stack"]]


def a_snapshot_makes_a_process():
    with Service(start=False) as s:
        append(s.directory, told(1), told(1), told(1, "b-8-99", ago=50, host="host-2", pid=8))
        s.once()
        listed = s.ask("processes")
        equal(listed["total"], 2, "twice is once")
        row = listed["processes"][0]
        equal([row[n] for n in ("id", "program", "host", "mode", "bytes", "blocks", "peak", "resident",
                                "snapshot_count", "ended", "seconds", "trend")],
              [1, "/srv/app", "host-1", "guard", 4000, 35, 9000, 65536, 1, "", 60.5, [4000]])
        equal([p["id"] for p in s.ask("processes", "--host", "host-2")["processes"]], [2])
        equal(s.ask("processes", "--program", "nothing")["total"], 0)
        shown = one(s)
        equal([(x["bytes"], x["blocks"], call_names(shown, x)) for x in shown["snapshot"]["sites"]],
              [(3000, 30, ["make_buffer", "main"]), (1000, 5, ["make_name", "main"])])
        equal(shown["snapshot"]["sizes"][1], {"least": 128, "blocks": 5, "bytes": 1000})
        equal(shown["snapshot"]["map"]["parts"][0], {"address": "0x7f0000010000", "live": [3000, 0, 900]})
        check("make_buffer src/app.c:10 < main" in s.command("processes", "1"))


def the_end_of_a_process_is_noted():
    with Service(start=False) as s:
        append(s.directory, told(1, "b-6-99"), record("summary", "b-6-99-2", seconds=90.25, exit="running"))
        s.once()
        equal([p["ended"] for p in s.ask("processes")["processes"]], [""])
    with Service(start=False) as s:
        append(s.directory, told(1), record("summary", "b-7-99-2", seconds=90.25, peak=12345, exit="signal 11"),
               record("summary", "b-9-99-1", seconds=1, peak=777, exit="status 0"))
        s.once()
        row = s.ask("processes")["processes"][0]
        equal((row["ended"], row["peak"], row["seconds"]), ("signal 11", 12345, 90.25))
        equal(s.ask("processes")["total"], 1, "a process without snapshots has no row")
        equal([p["peak"] for p in s.ask("processes")["programs"]], [12345])


def the_end_of_a_process_may_be_taken_in_before_its_snapshots():
    end = record("summary", "b-7-99-4", seconds=90.25, peak=12345, exit="signal 11")
    snaps = [told(i, ago=100 - i, snap=snapshot(bytes=i * 1000)) for i in (1, 2, 3)]
    rows = []
    for order in ([*snaps, end], [end, *snaps], [snaps[0], end, *snaps[:0:-1]], [end, *snaps[::-1]]):
        with Service(start=False) as s:
            for line in order:
                append(s.directory, line)
                s.once()
            append(s.directory, told(1, "b-7-100"), record("summary", "b-8-99-1", exit="status 0"))
            s.once()
            row, other = sorted(s.ask("processes")["processes"], key=lambda p: p["ended"], reverse=True)
            equal(other["ended"], "", "it goes on")
            rows.append({name: row[name] for name in ("ended", "peak", "seconds", "bytes", "first_seen", "last_seen")})
    equal([rows[0][name] for name in ("ended", "peak", "seconds", "bytes")], ["signal 11", 12345, 90.25, 3000])
    equal(rows[1:], rows[:1] * 3)


def ends_that_are_kept_for_snapshots_are_bounded():
    with Service(start=False) as s:
        append(s.directory, b"".join(line_of(record("summary", f"b-{i}-1-1", exit="status 0")) for i in range(10004)))
        append(s.directory, record("summary", "b-0-2-1", exit="status " + "9" * 58),
               record("summary", "b-0-3-1", exit="status " + "9" * 57), record("summary", "none", exit="status 0"))
        s.once()
        equal(database(s).execute("SELECT count(*) FROM ended").fetchone()[0], 10000)
        append(s.directory, told(2, "b-4-1"), told(2, "b-5-1"), told(2, "b-0-2"), told(2, "b-0-3"))
        s.once()
        equal(sorted(p["ended"] for p in s.ask("processes")["processes"]),
              ["", "", "status 0", "status " + "9" * 57], "of up to 64 characters")
        equal(database(s).execute("SELECT count(*) FROM ended").fetchone()[0], 9998)


def the_last_of_snapshots_at_one_time_is_shown_and_so_is_the_last_of_ends():
    """Of several allocators; of a process that began another program before."""
    with Service(start=False) as s:
        at = told(1)["time"]
        append(s.directory, record("summary", "b-7-99-4", exit="exec"), record("summary", "b-7-99-5", exit="status 3"))
        for i in (1, 2):
            append(s.directory, told(i, time=at, snap=snapshot(bytes=i * 1000)))
            s.once()
        equal([(p["bytes"], p["ended"]) for p in s.ask("processes")["processes"]], [(2000, "status 3")])


def peaks_of_programs_are_seen_by_day():
    old, new = ({"version": v, "commit": v * 8, "build_id": v} for v in "ab")
    runs = ((2, 500, old), (2, 900, old), (0, 700, new))
    with Service(start=False) as s:
        append(s.directory, *(record("summary", f"b-{i}-9-1", ago=days * 86400, seconds=36, peak=peak, build=build,
                                     exit="status 0") for i, (days, peak, build) in enumerate(runs)))
        s.once()
        rows = s.ask("processes")["programs"]
        equal([(r["program"], r["build"], r["peak"], r["processes"], r["peaks"][-3:], len(r["peaks"])) for r in rows],
              [("/srv/app", "a" * 8, 900, 3, [900, 0, 700], 30)])
        s.start()
        text = s.http("GET", "/processes").text
        check("at most 900 bytes" in text)
        row = re.search(r'<tr><td class="wrap mono">/srv/app</td>(.*?)</tr>', text)
        check(row is not None, text)
        equal([re.sub(r"<[^>]*>", "", cell).strip() for cell in row.group(1).split("</td>")],
              ["a" * 8, "guard", "development", "", "900 bytes", "3", "0.030", ""])
        equal(Nesting(text).wrong, [])


def two_snapshots_are_compared():
    later = [[5000, 31, [frame("make_buffer", 10, MODULE), frame("main", 30)]], [64, 1, [frame("make_list", 40), 1]]]
    with Service(start=False) as s:
        append(s.directory, told(1, ago=9), told(2, snap=snapshot("later", later)))
        s.once()
        shown = one(s, "--against", "1")
        equal(shown["snapshot"]["against"]["name"], "first")
        check('grown from "first" to "later":' in s.command("processes", "1", "--against", "1"))
        check('live in "later":' in s.command("processes", "1"))
        equal([(call_names(shown, x)[0], x["more_bytes"], x["more_blocks"]) for x in shown["snapshot"]["sites"]],
              [("make_buffer", 2000, 1), ("make_list", 64, 1), ("make_name", -1000, -5)])
        equal([x["more_bytes"] for x in one(s, "--snapshot", "1", "--against", "1")["snapshot"]["sites"]
               if "more_bytes" in x], [], "no difference")
        for words in (("--snapshot", "9"), ("--against", "9")):
            check("no whole snapshot 9" in s.command("processes", "1", *words, status=1))
        check("no process 5" in s.command("processes", "5", status=1))
        s.command("processes", "--against", "1", status=2)
        s.command("processes", "1", "--against", "x", status=2)


def call_sites_without_a_module_are_told_apart_by_each_name():
    """As those of code that was made while the program ran: a function, a file and a line each."""
    def bare(bytes, function, file, line):
        return [[bytes, 1, [[None, "0x0", function, file, line], frame("main", 30)]]]

    sites = bare(1, "f", "a.c", 1) + bare(20, "f", "a.c", 2) + bare(300, "f", "b.c", 1) + bare(4000, "g", "a.c", 1)
    with Service(start=False) as s:
        append(s.directory, told(1, ago=9, snap=snapshot(sites=[])), told(2, snap=snapshot("later", sites)))
        append(s.directory, told(1, "b-8-99", ago=9, snap=snapshot(sites=sites[:2])),
               told(2, "b-8-99", snap=snapshot("later", sites[1:])))
        s.once()

        def grown(id, against):
            shown = s.ask("processes", id, "--against", against)["snapshot"]
            return sorted((x["more_bytes"], shown["calls"][x["stack"][0]]["line"]) for x in shown["sites"])

        equal((grown("1", "1"), grown("2", "3")),
              ([(1, 1), (20, 2), (300, 1), (4000, 1)], [(-1, 1), (300, 1), (4000, 1)]))


def boxes_of_the_runtime_have_no_colour():
    library = {"path": "/usr/lib/x86_64-linux-gnu/libc.so.6", "build_id": "cd"}
    sites = [[1000, 1, [frame("make", 10, MODULE), [library, "0x10", "qsort"], frame("main", 30)]]]
    with Service() as s:
        append(s.directory, told(1, snap=snapshot(sites=sites)))
        s.wait(lambda: s.ask("processes")["total"] == 1)
        boxes = dict(re.findall(r'<title>(\w+)[^<]*</title><rect class="(\w+)"', s.http("GET", "/process/1").text))
        equal((boxes["qsort"], boxes["all"], boxes["make"] != "w", boxes["main"] != "w"), ("w", "w", True, True), boxes)


def a_peak_is_no_less_than_what_was_live():
    with Service(start=False) as s:
        append(s.directory, told(1, snap=snapshot(peak=0)))
        s.once()
        equal([(p["bytes"], p["peak"]) for p in s.ask("processes")["processes"]], [(4000, 4000)])


def a_call_site_is_known_by_its_innermost_frame_with_lines():
    """Counted in calls: a frame has as many as functions are inlined there."""
    bare, inlined = [MODULE, "0x1010", "helper"], [MODULE, "0x1020", "outer"]
    with Service(start=False) as s:
        append(s.directory, told(1, snap=snapshot(sites=[[10, 1, [inlined, bare, frame("main", 30)]]])))
        s.once()
        with database(s) as db:
            db.execute("INSERT OR REPLACE INTO symbol(build_id, offset, text) VALUES('ab12', 4128, ?)",
                       (json.dumps([{"function": "inner"}, {"function": "outer"}]),))
        shown = one(s)
        site = shown["snapshot"]["sites"][0]
        equal((call_names(shown, site), site["top"]), (["inner", "outer", "helper", "main"], 3))


def a_list_of_processes_is_chosen_and_in_its_order():
    with Service(start=False) as s:
        runs = ((500, "h1", "ci", "/srv/app"), (10, "h2", "live", "/srv/tool"), (300, "h1", "live", "/srv/app"))
        for i, (ago, host, environment, program) in enumerate(runs):
            append(s.directory, *(told(k, f"b-{i}-99", ago=ago - k, host=host, environment=environment, program=program,
                                       snap=snapshot(f"n{k}", [[1000 + k, 1, [frame("f", 1, MODULE)]]]))
                                  for k in range(5)))
        s.once()

        def ids(*words):
            got = s.ask("processes", *words)
            return [p["id"] for p in got["processes"]], got["total"]

        equal([ids(*words) for words in ((), ("--host", "h1"), ("--env", "live"), ("--program", "ool"), ("--host", "h"),
                                         ("--env", "liv"), ("--limit", "1"), ("--host", "h1", "--env", "live"))],
              [([2, 3, 1], 3), ([3, 1], 2), ([2, 3], 2), ([2], 1), ([], 0), ([], 0), ([2], 3), ([3], 1)])
        equal(s.ask("processes")["processes"][0]["trend"], [1000, 1001, 1002, 1003, 1004])
        equal(round(s.ask("processes")["processes"][0]["hours"], 3), round(60.5 / 3600, 3))
        s.start()
        for query, wanted in (("?offset=1", [3, 1]), ("?host=h1&limit=1&offset=1", [1]), ("?environment=live", [2, 3]),
                              ("?program=tool", [2])):
            equal([p["id"] for p in s.http("GET", "/api/v1/processes" + query).json()["processes"]], wanted, query)
        text = s.http("GET", "/processes?limit=1").text
        check("1 of 3 are shown" in text and "5 snapshots, at most 1004 bytes live" in text, text)
        path = [int(x) for x in re.search(r'<path d="M([^"h]*)"', text)[1].replace("L", " ").split()]
        equal(path[0::2], [0, 30, 60, 90, 120])
        check(22 >= max(path[1::2]) >= min(path[1::2]) >= 0 and path[1] > path[-1], path)
        check("are shown" not in s.http("GET", "/processes").text)
        for query in ("?program=none", "?offset=3"):
            check('No process matches. <a href="/processes">' in s.http("GET", "/processes" + query).text, query)


def snapshots_are_shown_in_the_order_of_their_time():
    with Service(start=False) as s:
        for number, ago in ((1, 50), (2, 200), (3, 100)):
            append(s.directory, told(number, ago=ago, snap=snapshot(f"at{ago}", [[ago, 1, [frame("f", 1, MODULE)]]],
                                                                    omitted_blocks=7, omitted_bytes=70 + number)))
        append(s.directory, told(1, "b-8-99", snap=snapshot("other")))
        s.once()
        shown = one(s)
        equal([row["name"] for row in shown["snapshots"]], ["at200", "at100", "at50"])
        equal((shown["snapshot"]["name"], shown["trend"] if "trend" in shown else [200, 100, 50]),
              ("at50", [200, 100, 50]))
        equal([(p["id"], p["trend"]) for p in s.ask("processes")["processes"]], [(2, [4000]), (1, [200, 100, 50])])
        got = one(s, "--snapshot", "1", "--against", "2")["snapshot"]
        equal([got["omitted_blocks"], got["omitted_bytes"], got["against"]["omitted_bytes"], got["against"]["name"]],
              [7, 71, 72, "at200"])
        check("no whole snapshot 4" in s.command("processes", "1", "--snapshot", "4", status=1), "of another process")
        equal(one(s, "--against", "4")["snapshot"]["against"]["name"], "other", "which it may be compared with")
        s.start()
        equal(s.http("GET", "/api/v1/processes/1?snapshot=2&against=1").json()["snapshot"]["against"]["name"], "at50")
        page = s.http("GET", "/process/1?snapshot=1&against=4").text
        check("7 blocks" in page and "71 bytes" in page, page)
        for query, chosen, growth in (("snapshot=1&against=4", ["1", "4"], ["shrink"]),
                                      ("snapshot=2&against=1", ["2", "1"], ["grow"]), ("snapshot=3", ["3"], [])):
            page = s.http("GET", "/process/1?" + query).text
            equal(re.findall(r'<option value="(\d+)" selected>', page), chosen, query)
            equal(re.findall(r'; since “[^”]*” <b class="(\w+)">', page), growth, query)
        spark = re.findall(r'<path d="(M[^"]*)"', s.http("GET", "/processes").text)
        equal([path.endswith("h120") for path in spark], [True, False], "one snapshot is a line")


def peaks_are_told_for_each_environment():
    with Service(start=False) as s:
        for i, (environment, mode, peak, days) in enumerate((("ci", "guard", 500, 0), ("live", "guard", 900, 0),
                                                             ("live", "page", 300, 29), ("ci", "guard", 0, 1),
                                                             ("qa", "guard", 0, 0), ("ci", "guard", 700, 0),
                                                             ("ci", "guard", 200, 0))):
            append(s.directory, record("summary", f"b-{i}-9-1", ago=86400 * days, environment=environment, mode=mode,
                                       peak=peak, seconds=3600, exit="status 0",
                                       build={"version": str(i), "commit": "", "build_id": ""}))
        s.once()
        equal([(p["environment"], p["mode"], p["build"], p["peak"], p["processes"], p["hours"], p["peaks"][0],
                p["peaks"][-1]) for p in s.ask("processes")["programs"]],
              [("live", "guard", "1", 900, 1, 1, 0, 900), ("ci", "guard", "5", 700, 3, 3, 0, 700),
               ("live", "page", "2", 300, 1, 1, 300, 0)])


def sites_of_one_size_go_by_blocks_and_what_is_gone_comes_last():
    def site(bytes_, blocks, line):
        return [bytes_, blocks, [frame(f"f{line}", line, MODULE)]]

    with Service(start=False) as s:
        append(s.directory, told(1, ago=50, snap=snapshot("a", [site(10, 1, 1), site(10, 5, 2), site(500, 1, 3),
                                                                site(60, 6, 4), site(90, 9, 5), site(7, 7, 9)])),
               told(2, snap=snapshot("b", [site(10, 2, 1), site(10, 9, 2), site(100, 1, 3), site(80, 7, 7),
                                           site(7, 7, 9)])))
        s.once()
        got = one(s, "--snapshot", "1")
        equal([call_names(got, x)[0] for x in got["snapshot"]["sites"]], ["f3", "f5", "f4", "f2", "f1", "f9"])
        got = one(s, "--against", "1")
        equal([(call_names(got, x)[0], x["more_bytes"], x["more_blocks"]) for x in got["snapshot"]["sites"]],
              [("f7", 80, 7), ("f2", 0, 4), ("f1", 0, 1), ("f3", -400, 0), ("f5", -90, -9), ("f4", -60, -6)])


def first_last_and_highest_are_kept_whole():
    with Service("--keep-days", "0", start=False) as s:
        for i in range(1, 101):
            size = 5000 if i == 60 else 1000 + i
            append(s.directory, told(i, ago=1000 - i * 5, snap=snapshot(f"n{i}", [[size, 1, [frame("f", 1, MODULE)]]])))
        s.once()
        rows = one(s)["snapshots"]
        whole = [row["name"] for row in rows if row["whole"]]
        equal((len(rows), len(whole)), (100, 32), "figures of all stay")
        equal(s.ask("processes")["processes"][0]["trend"], [1000 + i for i in range(71, 101)])
        bare = next(str(row["id"]) for row in rows if not row["whole"])
        for words in (("--snapshot", bare), ("--against", bare)):
            check("no whole snapshot " + bare in s.command("processes", "1", *words, status=1))
        check({"n1", "n60", "n100"} <= set(whole), whole)
        gaps = [int(b[1:]) - int(a[1:]) for a, b in zip(whole, whole[1:])]
        check(max(gaps) <= 16, "spread over the time", whole)
        equal(one(s)["snapshot"]["name"], "n100")


def figures_of_the_last_thousand_stay():
    with Service("--keep-days", "0", start=False) as s:
        lines = [told(i, ago=2000 - i, snap=snapshot(f"n{i}", [[1000 + i, 1, [frame("f", 1, MODULE)]]]))
                 for i in range(1, 1011)]
        append(s.directory, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        s.once()
        rows = one(s)["snapshots"]
        equal((len(rows), len([row for row in rows if row["whole"]])), (1000, 32))


def old_ones_lose_their_sites():
    with Service(start=False) as s:
        append(s.directory, told(1, ago=100 * 86400))
        s.once()
        equal(s.ask("processes", "1")["snapshots"][0]["whole"], True)
        s.start()
        s.wait(lambda: not s.ask("processes", "1")["snapshots"][0]["whole"])
        check("No snapshot of this process is kept whole" in s.http("GET", "/process/1").text)


def of_many_processes_the_last_stay():
    bare = [[8, 1, [[{"path": "/srv/gone", "build_id": "abcdef01"}, "0x1010"]]]]
    with Service(start=False) as s:
        append(s.directory, told(1, "b-first-99", ago=60, snap=snapshot("bare", bare)))
        s.once()
        equal([m["build_id"] for m in s.ask("symbols", "missing")["missing"]], ["abcdef01"])
        append(s.directory, b"".join(json.dumps(told(1, f"b-{i}-99", pid=i)).encode() + b"\n" for i in range(1005)))
        s.once()
        equal(s.ask("symbols", "missing")["missing"], [], "nobody lacks the symbols of a process that is forgotten")
        listed = s.ask("processes", "--limit", "1000")
        equal((listed["total"], len(listed["processes"])), (1000, 1000))


def a_process_that_was_heard_of_before_all_that_are_kept_leaves_nothing():
    """Its number is that of the next one, and so is the number of a snapshot that is forgotten."""
    bare = [[8, 1, [[{"path": "/srv/new", "build_id": "abcdef02"}, "0x1010"]]]]
    begin = time.time() - 3600
    at = lambda name, seconds: line_of(told(1, name, time=timestamp_at(begin + seconds)))
    with Service(start=False) as s:
        append(s.directory, b"".join(at(f"b-{i}-99", i) for i in range(1000)), at("b-late-99", -1))
        s.once()
        rows = database(s).execute("SELECT count(*), count(p.id) FROM snapshot s LEFT JOIN process p ON p.id ="
                                   " s.process").fetchone()
        equal(rows, (1000, 1000), "each snapshot has its process")
        append(s.directory, at("b-edge-99", 0.5))
        s.once()
        append(s.directory, told(1, "b-new-99", snap=snapshot("bare", bare)))
        s.once()
        newest = s.ask("processes", "--limit", "1")["processes"][0]
        equal([x["name"] for x in s.ask("processes", str(newest["id"]))["snapshots"]], ["bare"])
        equal([m["build_id"] for m in s.ask("symbols", "missing")["missing"]], ["abcdef02"])


def pages_say_what_the_answers_say():
    with Service() as s:
        append(s.directory, told(1, ago=60), told(2, snap=snapshot("<zzz>&\"", None)))
        s.wait(lambda: s.ask("processes")["total"] == 1 and len(one(s)["snapshots"]) == 2)
        page = s.http("GET", "/process/1")
        equal(page.status, 200)
        check("<zzz>" not in page.text and "&lt;zzz&gt;" in page.text)
        check("default-src 'none'" in page.headers["content-security-policy"])
        check(not re.search(r"<script(?! src=\"/script.js\")| style=| on\w+=|https?://", page.text), "nothing inline")
        for part in ('class="flame"', 'class="map"', "make_buffer", "app.c:10", "75.0 %", 'class="point shown"',
                     "Sizes of live blocks"):
            check(part in page.text, part)
        equal(Nesting(page.text).wrong, [])
        check(re.search(r"In cells with live bytes, [1-9]\d* % of the bytes are live", page.text), "a share")
        begin, end = (row["time"][:19].replace("T", " ") for row in one(s)["snapshots"])
        check(f'<div class="scale"><span>{begin}</span><span>{end}</span></div>' in page.text, begin, end)
        zoomed = s.http("GET", "/process/1?snapshot=2&zoom=2").text
        check("Show all" in zoomed and "within" in zoomed)
        check("Bytes grown" in s.http("GET", "/process/1?snapshot=2&against=1").text)
        for path in ("/processes", "/process/1?snapshot=2&zoom=2", "/process/1?snapshot=2&against=1", "/process/1?x=1"):
            equal(Nesting(s.http("GET", path).text).wrong, [], path)
        check("<thead>" in s.http("GET", "/processes").text)
        check('href="/process/1"' in s.http("GET", "/processes").text)
        equal(s.http("GET", "/api/v1/processes/1?snapshot=1").json()["snapshot"]["name"], "first")
        for path in ("/process/2", "/process/x", "/process/1?snapshot=7", "/api/v1/processes/2"):
            equal(s.http("GET", path).status, 404, path)
        equal(s.http("POST", "/process/1", body="").status, 401)


def fifty_call_sites_are_shown():
    with Service() as s:
        append(s.directory, told(1, snap=snapshot(sites=[[9000 - i, 1, [frame(f"f{i}", i)]] for i in range(53)])))
        s.wait(lambda: s.ask("processes")["total"] == 1)
        page = s.http("GET", "/process/1").text
        table = page[page.index('id="sites"'):]
        equal(table.count("<details>"), 50)
        check("3 call sites more: " in table, table)


def the_graph_is_as_high_as_its_rows_of_boxes():
    deep = [frame(f"deep_{i}", 40 + i) for i in range(6)]
    sites = [[100000, 10, [frame("big", 10, MODULE), frame("middle", 20), frame("main", 30)]],
             [100, 1, deep + [2]]]  # 0.1 %: no box
    with Service() as s:
        append(s.directory, told(1, snap=snapshot(sites=sites)))
        s.wait(lambda: s.ask("processes")["total"] == 1)
        for query, rows in (("", 4), ("?zoom=1", 4), ("?zoom=2", 4)):
            page = s.http("GET", "/process/1" + query).text
            height = int(re.search(r'<svg class="flame"[^>]* height="(\d+)"', page)[1])
            tops = [int(y) for y in re.findall(r'<svg x="[^"]*" y="(\d+)"', page)]
            equal((height, max(tops) + 20, len(set(tops))), (20 * rows, 20 * rows, rows), query)


def the_graph_has_a_box_for_each_caller():
    sites = [[1000, 1, [frame("leaf", 10, MODULE), frame(f"caller{i}", 20 + i), frame("main", 300)]] for i in range(60)]
    sites += [[1000, 1, [frame(f"again{i}", 20)] * 31 + [frame("main", 300)]] for i in range(20)]
    with Service() as s:
        append(s.directory, told(1, snap=snapshot(sites=sites)))
        page = s.wait(lambda: s.ask("processes")["total"] == 1 and s.http("GET", "/process/1").text)
        equal([len(re.findall(f"<title>{name}", page)) for name in ("leaf ", "caller", "again")], [60, 60, 20 * 31])


def names_come_with_symbols():
    source = "#include <stdlib.h>\nvoid *make(void) {\n  return malloc(8);\n}\nint main(void) { return make() == 0; }\n"
    with Service(start=False) as s, tempfile.TemporaryDirectory(dir=s.root) as folder:
        program = os.path.join(folder, "app")
        with open(program + ".c", "w", encoding="utf-8") as file:
            file.write(source)
        subprocess.run(["cc", "-g", "-O0", "-fno-pie", "-no-pie", "-Wl,--build-id", "-o", program, program + ".c"],
                       check=True)
        notes = subprocess.run(["readelf", "-n", program], stdout=subprocess.PIPE, check=True).stdout.decode()
        build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)[1]
        names = subprocess.run(["nm", program], stdout=subprocess.PIPE, check=True).stdout.decode()
        address = int(re.search(r"^([0-9a-f]+) T make$", names, re.M)[1], 16)
        site = [[8, 1, [[{"path": "/srv/app", "build_id": build_id}, hex(address + 5)]]]]
        append(s.directory, told(1, snap=snapshot("bare", site)))
        s.once()
        equal(one(s)["snapshot"]["calls"][0].get("function"), None)
        missing = s.ask("symbols", "missing")["missing"]
        equal([(m["build_id"], m["findings"], m["processes"]) for m in missing], [(build_id, 0, 1)])
        s.command("symbols", "upload", program)
        s.once()
        call = one(s)["snapshot"]["calls"][0]
        equal((call["function"], os.path.basename(call["file"])), ("make", "app.c"))
        equal(s.ask("symbols", "missing")["missing"], [])
        with database(s) as db:
            equal(db.execute("SELECT count(*) FROM nameless WHERE finding <> 0").fetchone(), (0,), "none")


def hostile_snapshots_do_no_harm():
    deep = [[1, 1, [frame(f"f{i}", i, MODULE if i == 0 else 0) for i in range(500)]]]
    bad = [{"sites": 7}, {"sites": [[]]}, {"sites": [[-5, 1e300, [[99, "zz"]]]]}, {"sites": [[1, 1, [5, -1, 2 ** 70]]]},
           {"map": {"cell": 0, "parts": [["x", [1, 2, 3]], [], 7, ["0x1", []]]}}, {"map": 3, "sizes": {}},
           {"sizes": [[2 ** 63, -1, 5], [], 3]}, {"sites": deep}, {"name": 5, "bytes": "7"}, {"peak": 2 ** 80}]
    with Service() as s:
        for i, more in enumerate(bad):
            append(s.directory, told(i, snap={**snapshot(), **more}))
        append(s.directory, record("snapshot", "b-7-99-77", snapshot=[1]), record("snapshot", "b-7-99-78"))
        s.wait(lambda: s.ask("processes")["total"] == 1 and len(one(s)["snapshots"]) == len(bad))
        for row in one(s)["snapshots"]:
            for more in ("", "&against=1"):
                equal(s.http("GET", f"/process/1?snapshot={row['id']}{more}").status, 200)
        equal(s.ask("status")["losses"][0]["count"], 2, "records without a snapshot are kept as unknown ones")


if __name__ == "__main__":
    from service import main
    main([a_snapshot_makes_a_process, the_end_of_a_process_is_noted,
          the_end_of_a_process_may_be_taken_in_before_its_snapshots, ends_that_are_kept_for_snapshots_are_bounded,
          a_list_of_processes_is_chosen_and_in_its_order, call_sites_without_a_module_are_told_apart_by_each_name,
          a_peak_is_no_less_than_what_was_live, boxes_of_the_runtime_have_no_colour,
          a_call_site_is_known_by_its_innermost_frame_with_lines, snapshots_are_shown_in_the_order_of_their_time,
          peaks_are_told_for_each_environment, sites_of_one_size_go_by_blocks_and_what_is_gone_comes_last,
          the_last_of_snapshots_at_one_time_is_shown_and_so_is_the_last_of_ends, peaks_of_programs_are_seen_by_day,
          two_snapshots_are_compared, first_last_and_highest_are_kept_whole, figures_of_the_last_thousand_stay,
          old_ones_lose_their_sites, of_many_processes_the_last_stay,
          a_process_that_was_heard_of_before_all_that_are_kept_leaves_nothing, pages_say_what_the_answers_say,
          fifty_call_sites_are_shown, the_graph_is_as_high_as_its_rows_of_boxes, the_graph_has_a_box_for_each_caller,
          names_come_with_symbols, hostile_snapshots_do_no_harm])
