#!/usr/bin/env python3
"""Coverage of checking: which modules and call sites were watched, as records tell, and as checked processes do."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time

import service
from service import Service, append, check, equal, main, record

LIBRARY = os.path.abspath(sys.argv[2])
PROGRAM = os.path.abspath(sys.argv[3])
EMBEDDED = os.path.abspath(sys.argv[4])
SITES = ["make_array", "make_buffer", "make_copy", "make_larger"]


def module(path="/srv/app", build_id="ab", watched=(), unwatched=(), **more):
    return {"path": path, "build_id": build_id, "sites": len(watched) + len(unwatched),
            "watched": [list(w) for w in watched], "unwatched": list(unwatched), **more}


def ended(number, *modules, **more):
    return record("summary", f"b-{number}-9-1", **{"seconds": 3600, "allocations": 9, "exit": "status 0",
                                                   "sites": list(modules), **more})


def modules(s, *words):
    return s.ask("coverage", *words)["modules"]


def sites(s, watched="all", id="1"):
    return s.ask("coverage", id, "--watched", watched)["list"]


def sites_add_up_over_processes_and_modes():
    with Service(start=False) as s:
        append(s.directory, ended(1, module(watched=[(16, 3)], unwatched=[32, 48])),
               ended(2, module(watched=[(16, 2), (32, 7)]), mode="sample"),
               ended(3, module(unwatched=[64])))
        s.once()
        row = modules(s)[0]
        equal([row[n] for n in ("id", "path", "build_id", "sites", "watched")], [1, "/srv/app", "ab", 4, 2])
        equal([(m["mode"], m["processes"], m["hours"]) for m in row["modes"]], [("guard", 2, 2), ("sample", 1, 1)])
        equal([(x["offset"], x["processes"], x["blocks"]) for x in sites(s)],
              [("0x30", 1, 0), ("0x40", 1, 0), ("0x20", 2, 7), ("0x10", 2, 5)])
        equal([[(m["mode"], m["blocks"]) for m in x["modes"]] for x in sites(s, "yes")],
              [[("sample", 7)], [("guard", 3), ("sample", 2)]])
        equal([x["offset"] for x in sites(s, "no")], ["0x30", "0x40"])
        append(s.directory, ended(4, module(watched=[(48, 1)])))
        s.once()
        equal((modules(s)[0]["watched"], [x["offset"] for x in sites(s, "no")]), (3, ["0x40"]))


def a_process_that_tells_again_counts_once():
    with Service(start=False) as s:
        append(s.directory, ended(1, module(watched=[(16, 3)], unwatched=[32]), exit="running"))
        s.once()
        for sequence, end in ((2, "running"), (3, "signal 11")):
            append(s.directory, record("summary", f"b-1-9-{sequence}", seconds=3600, allocations=9, exit=end,
                                       continued=True, sites=[module(unwatched=[48 + sequence], continued=True,
                                                                     again=[[16, 4], [32, 1], ["x", 1], 7])]))
        s.once()
        run = s.ask("coverage")["coverage"][0]
        equal([run[n] for n in ("processes", "hours", "allocations", "killed")], [1, 3, 27, 1])
        equal([(m["processes"], m["hours"]) for m in modules(s)[0]["modes"]], [(1, 3)])
        equal([(x["offset"], x["processes"], x["blocks"]) for x in sites(s)],
              [("0x32", 1, 0), ("0x33", 1, 0), ("0x10", 1, 11), ("0x20", 1, 2)])
        equal(s.ask("status")["losses"], [])


def a_module_is_known_by_its_build_id():
    with Service(start=False) as s:
        append(s.directory, ended(1, module("/a/libx.so", "11", unwatched=[1])),
               ended(2, module("/b/libx.so", "11", unwatched=[2])), ended(3, module("/a/libx.so", "22", unwatched=[1])),
               ended(4, module("/a/liby.so", "", unwatched=[1])), ended(5, module("/b/liby.so", "", unwatched=[1])))
        s.once()
        equal(sorted((m["path"], m["sites"]) for m in modules(s)),
              [("/a/libx.so", 1), ("/a/libx.so", 2), ("/a/liby.so", 1), ("/b/liby.so", 1)])
        equal(len(modules(s, "--module", "liby")), 2)
        check("module" in s.command("coverage") and "0x2" in s.command("coverage", "1"))
        s.command("coverage", "--watched", "no", status=2)
        s.command("coverage", "1", "--module", "x", status=2)
        check("one of: no yes all" in s.command("coverage", "1", "--watched", "maybe", status=2))
        check("no module 99" in s.command("coverage", "99", status=1))


def each_list_has_its_bound():
    with Service(start=False) as s:
        append(s.directory, ended(1, *(module("/srv/app", c * n, unwatched=[1]) for c, n in (("a", 128), ("b", 129)))),
               ended(2, module(watched=[(16, 0), (2**53, 1), (2**53 + 1, 1), ("32", 1)], unwatched=[2**53 + 1, 0])),
               *(ended(10 + i, *(module(f"/m{i}/{k}", "", unwatched=[1]) for k in range(100))) for i in range(3)))
        s.once()
        found = s.ask("coverage")
        equal((found["module_count"], found["sites"], found["watched"], len(found["modules"])), (302, 303, 1, 200))
        equal(len(modules(s, "--limit", "7")), 7)
        equal([m["build_id"] for m in modules(s, "--module", "app")], ["ab", "a" * 128])
        id = str(modules(s, "--module", "app")[0]["id"])
        equal([(x["offset"], x["processes"], x["blocks"]) for x in sites(s, id=id)],
              [("0x0", 1, 0), (hex(2**53), 1, 1)])
        equal([(x["what"], x["count"]) for x in s.ask("status")["losses"]], [("call sites that were not listed", 4)])
        part = s.ask("coverage", "--module", "/m1/")
        equal((part["module_count"], part["sites"], part["watched"]), (100, 100, 0))


def lists_are_in_their_order_and_in_parts():
    with Service(start=False) as s:
        append(s.directory, ended(1, module("/a", "aa", watched=[(1, 9), (2, 1)], unwatched=[3, 4]), ago=500,
                                  program="/srv/short", seconds=60),
               ended(2, module("/a", "aa", watched=[(1, 1)], unwatched=[4]), ago=300, program="/srv/long",
                     mode="sample", seconds=7200), ended(3, module("/c", "cc", unwatched=[7]), ago=100),
               ended(4, module("/b", "bb", unwatched=[7], watched=[(8, 1)]), ago=10 * 86400, program="/srv/old"),
               ended(5, module("/a", "aa", watched=[(9, 4)]), ago=400, program="/srv/short", seconds=60))
        s.once()
        got = s.ask("coverage")
        equal([m["path"] for m in got["modules"]], ["/c", "/a", "/b"])
        equal([(c["program"], c["hours"]) for c in got["coverage"]],
              [("/srv/long", 2), ("/srv/app", 1), ("/srv/short", 0.033), ("/srv/old", 1)])
        check(got["coverage"][3]["last_day"] < got["coverage"][0]["last_day"], got["coverage"])
        equal((got["module_count"], got["sites"], got["watched"]), (3, 8, 4))
        part = s.ask("coverage", "--module", "a")
        equal((part["module_count"], part["sites"], part["watched"], len(part["modules"])), (1, 5, 3, 1))
        shown = s.ask("coverage", str(got["modules"][1]["id"]))
        equal([(m["mode"], m["hours"], m["processes"]) for m in shown["modes"]],
              [("sample", 2, 1), ("guard", 0.033, 2)])
        equal((shown["programs"], shown["shown"]), (["/srv/long", "/srv/short"], "no"))
        check(shown["first_seen"] < shown["last_seen"], shown)
        id = str(got["modules"][1]["id"])
        equal([x["offset"] for x in sites(s, id=id)], ["0x4", "0x3", "0x1", "0x9", "0x2"])
        equal([(x["last_watched"], x["last_seen"]) for x in sites(s, "yes", id)][0][0],
              max(x["last_watched"] for x in sites(s, "yes", id)))
        equal([(m["mode"], m["blocks"]) for m in sites(s, "yes", id)[0]["modes"]], [("guard", 9), ("sample", 1)])
        s.start()
        for query, wanted in (("?watched=all&offset=1&limit=2", ["0x3", "0x1"]), ("?watched=yes&limit=1", ["0x1"]),
                              ("", ["0x4", "0x3"]), ("?offset=1", ["0x3"])):
            got = s.http("GET", f"/api/v1/coverage/{id}{query}").json()
            equal([x["offset"] for x in got["list"]], wanted, query)
        equal([m["path"] for m in s.http("GET", "/api/v1/coverage?module=b").json()["modules"]], ["/b"])
        text = s.http("GET", "/coverage").text
        cells = re.findall(r'data-name="watched">(\d+) %<svg[^>]*><rect width="(\d+)".*?'
                           r'data-name="never watched">(\d+)<', text, re.S)
        equal(cells, [("0", "0", "1"), ("60", "600", "2"), ("50", "500", "1")])
        check("<b>50 %</b> of them watched" in text and "more: " not in text, text)
        text = s.http("GET", f"/coverage/{id}?watched=all&limit=2&offset=2").text
        check("3 to 4 of 5</span>" in text, text)
        check('href="?watched=all&amp;limit=2&amp;offset=4">Next' in text and ">Never watched <b>2</b>" in text, text)
        check(re.search(r'<a href="\?watched=all" aria-current="page"', text), text)
        text = s.http("GET", f"/coverage/{id}?watched=yes").text
        check("Next" not in text and "pager" not in text and 'watched=yes" aria-current' in text, text)


def a_site_is_named_by_the_innermost_function_of_the_program():
    """Not by the libraries' that were inlined there."""
    def source(function, file="src/app.cc", line=7):
        return {"function": function, "file": file, "line": line}

    lists = {1: [source("std::allocator<int>::allocate", "new"), source("mine"), source("main")],
             2: [source("__gnu_cxx::x"), source("rf_alloc_at"), source("ours", line=9)],
             3: [source("std::vector<int>::grow", "vector", 3), source("rf_alloc_at")], 4: [],
             5: [source("plain", None)]}
    with Service(start=False) as s:
        append(s.directory, ended(1, module(unwatched=list(lists))))
        s.once()
        database = sqlite3.connect(os.path.join(s.directory, "ringfence.db"))
        for offset, sources in lists.items():
            database.execute("INSERT OR REPLACE INTO symbol(build_id, offset, text) VALUES('ab', ?, ?)",
                             (offset, json.dumps(sources)))
        database.commit()
        database.close()
        equal([(x["offset"], x.get("function"), x.get("file"), x.get("line")) for x in sites(s)],
              [("0x1", "mine", "src/app.cc", 7), ("0x2", "ours", "src/app.cc", 9),
               ("0x3", "std::vector<int>::grow", "vector", 3), ("0x4", None, None, None), ("0x5", "plain", None, None)])
        shown = s.command("coverage", "1")
        check("mine src/app.cc:7" in shown and "  0x4\n" in shown and "  plain\n" in shown, shown)


def what_a_module_had_before_it_was_told_later_stays():
    """Records may come in any order: an older one changes no last time."""
    with Service(start=False) as s:
        append(s.directory, ended(1, module(watched=[(16, 3)])))
        s.once()
        before = (modules(s)[0]["last_seen"], sites(s)[0]["last_seen"], sites(s)[0]["last_watched"],
                  sites(s)[0]["modes"][0]["last_watched"])
        append(s.directory, ended(2, module(watched=[(16, 4)]), ago=5000))
        s.once()
        append(s.directory, ended(3, module(watched=[(16, 5)]), ago=900))
        s.once()
        row = sites(s)[0]
        equal((modules(s)[0]["last_seen"], row["last_seen"], row["last_watched"], row["modes"][0]["last_watched"]),
              before)
        equal((row["blocks"], row["processes"], row["modes"][0]["blocks"]), (12, 3, 12))
        check(modules(s)[0]["first_seen"] < before[0], "but the first")
        equal([(m["processes"], m["hours"]) for m in modules(s)[0]["modes"]], [(3, 3)])


def sites_of_a_module_are_listed_in_parts():
    with Service(start=False) as s:
        append(s.directory, ended(1, module(unwatched=range(1200))))
        s.once()
        equal([len(sites(s)), len(s.ask("coverage", "1", "--limit", "5000")["list"]),
               len(s.ask("coverage", "1", "--limit", "3")["list"])], [200, 1000, 3])
        equal(len(modules(s, "--limit", "5000")), 1)


def the_oldest_module_goes_where_there_are_too_many():
    def of(first, last, watched, **more):
        return [ended(first + i, *(module(f"/m{k}", f"{k:x}", watched=watched, unwatched=[2])
                                   for k in range(i, min(i + 250, last))), **more) for i in range(first, last, 250)]

    with Service(start=False) as s:
        append(s.directory, *of(0, 1000, [(1, 3)], ago=200), *of(1000, 2000, [], ago=100))
        s.once()
        found = s.ask("coverage")
        equal((found["module_count"], found["sites"], found["watched"]), (2000, 3000, 1000))
        append(s.directory, ended(9000, module("/m0", "0", unwatched=[3]), module("/new", "new", unwatched=[2])))
        s.once()
        found = s.ask("coverage", "--limit", "2")
        equal([(m["path"], m["sites"], m["watched"]) for m in found["modules"]], [("/m0", 3, 1), ("/new", 1, 0)])
        equal((found["module_count"], found["sites"], found["watched"]), (2000, 3000, 999))
        new = s.ask("coverage", str(found["modules"][1]["id"]), "--watched", "all")
        equal([(x["offset"], x["blocks"]) for x in new["list"]], [("0x2", 0)])


def modules_of_a_record_that_comes_late_keep_their_sites_apart():
    """They are the oldest of too many: the number of one that goes is that of the next."""
    with Service(start=False) as s:
        for first in range(0, 2000, 250):
            append(s.directory, ended(first, *(module(f"/m{i}", f"{i:x}") for i in range(first, first + 250))))
        s.once()
        append(s.directory, ended(9000, *(module(f"/late{i}", f"late{i}", watched=[(i + 1, 1)]) for i in range(3)),
                                  ago=200), ended(9001, module("/new", "new", watched=[(9, 1)])))
        s.once()
        found = s.ask("coverage", "--module", "/new")["modules"][0]
        equal((found["sites"], [x["offset"] for x in sites(s, id=str(found["id"]))]), (1, ["0x9"]))
        equal(s.ask("coverage", "--module", "/late")["modules"], [])
        equal(s.ask("coverage")["module_count"], 2000)


def programs_and_their_runs_are_summed():
    with Service(start=False) as s:
        began = time.strftime("%Y-%m-%d", time.gmtime())
        append(s.directory, ended(1, module(unwatched=[1]), allocations=100, findings=2, dropped=3, host="a"),
               ended(2, module(unwatched=[1]), allocations=11, findings=1, dropped=4, host="b", seconds=1800),
               ended(3, module(unwatched=[1]), program="/srv/other", seconds=60),
               ended(4, module("/late", "cd", watched=[(1, 1)]), ago=-5))
        s.once()
        row = next(c for c in s.ask("coverage")["coverage"] if c["program"] == "/srv/app")
        equal([row[n] for n in ("mode", "environment", "processes", "hours", "allocations", "findings", "dropped")],
              ["guard", "development", 3, 2.5, 120, 3, 7])
        check(began <= row["last_day"][:10] <= time.strftime("%Y-%m-%d", time.gmtime()), row["last_day"])
        one = s.ask("coverage", "1")
        equal((one["programs"], one["shown"], one["offset"]), (["/srv/app", "/srv/other"], "no", 0))
        check(one["first_seen"] <= one["last_seen"] <= one["list"][0]["last_seen"], one)
        watched = s.ask("coverage", "2", "--watched", "yes")["list"][0]
        check(watched["last_watched"] == watched["last_seen"] == watched["modes"][0]["last_watched"], watched)
        check("last_watched" not in one["list"][0], one)


def a_module_has_its_build():
    with Service(start=False) as s:
        append(s.directory, ended(1, module(unwatched=[1]), build={"version": "2.5", "build_id": "ab"}))
        s.once()
        equal(modules(s)[0]["version"], "2.5")


def sites_that_were_not_listed_are_counted():
    with Service(start=False) as s:
        append(s.directory, ended(1, module(unwatched=[1, 2], sites=12), sites_dropped=5),
               ended(2, module("/more", "m", unwatched=[1, 2, 3], sites=1)))  # more than it says are none less lost
        s.once()
        equal([(x["what"], x["count"]) for x in s.ask("status")["losses"]], [("call sites that were not listed", 15)])


def hostile_lists_harm_nothing():
    many = [module(f"/m{i}", f"m{i}", unwatched=[1]) for i in range(400)]
    with Service(start=False) as s:
        append(s.directory, *(ended(i, bad) for i, bad in enumerate([
            7, "x", {}, {"path": 3, "sites": []}, module(watched=[(1, -1), (-5, 2), (2**70, 1), ("a", "b"), ()]),
            module(unwatched=["x", -1, 1.5, None, [1]]), module(build_id="x" * 4000, unwatched=[1]),
            module("/<script>", "</td>", unwatched=[1])])),
               record("summary", "b-77-9-1", seconds=1, exit="status 0", sites={"path": "/x"}),
               ended(50, module("/big", "big", unwatched=range(40000))), ended(51, *many))
        s.once()
        found = {m["path"]: m["sites"] for m in modules(s, "--limit", "1000")}
        equal((found["/srv/app"], found["/<script>"], found["/big"], len(found)), (0, 1, 20000, 259))
        s.start()
        check("<script>" not in s.http("GET", "/coverage").text)


def pages_show_modules_and_sites():
    with Service(start=False) as s:
        append(s.directory, ended(1, module("/srv/<b>", watched=[(16, 3)], unwatched=range(100, 600))))
        s.once()
        s.start()
        page = s.http("GET", "/coverage")
        check(page.status == 200 and "&lt;b&gt;" in page.text and ">501<" in page.text and ">0 %<" in page.text)
        one = s.http("GET", "/coverage/1")
        next_part = 'href="?watched=no&amp;limit=200&amp;offset=200"'
        check(one.status == 200 and "1 to 200 of 500" in one.text and next_part in one.text)
        check("401 to 500" in s.http("GET", "/coverage/1?watched=no&offset=400").text)
        check("guard" in s.http("GET", "/coverage/1?watched=yes").text)
        equal(s.http("GET", "/coverage/9").status, 404)
        equal(s.http("GET", "/coverage/x").status, 404)
        equal(s.http("GET", "/api/v1/coverage?module=nothing").json()["modules"], [])
        equal(len(s.http("GET", "/api/v1/coverage/1?watched=all&limit=7").json()["list"]), 7)


def pages_of_many_modules_are_quick():
    with Service(start=False) as s:
        append(s.directory, *(ended(i, module(f"/srv/lib{i}.so", f"{i:x}", watched=[(k, 1) for k in range(20)],
                                              unwatched=range(20, 100))) for i in range(300)))
        s.once()
        s.start()
        best = {}
        for path in ("/coverage", "/coverage/300") * 3:
            begin = service.processor_seconds(s.process)
            equal(s.http("GET", path).status, 200)
            best[path] = min(best.get(path, 9), service.processor_seconds(s.process) - begin)
        check(max(best.values()) < 0.1, best)


def modules_that_nobody_runs_any_more_are_forgotten():
    with Service("--keep-days", "30", start=False) as s:
        old = [module(f"/old{i}", f"1{i}", unwatched=[1], watched=[[2, 3]]) for i in range(12)]
        append(s.directory, ended(1, *old, ago=40 * 86400), ended(2, module("/new", "2", unwatched=[1])))
        s.once()  # else its first look might come before the records, and the next one is half a minute later
        equal(len(modules(s)), 13)
        s.start()
        s.wait(lambda: [m["path"] for m in modules(s)] == ["/new"])
        with sqlite3.connect(os.path.join(s.directory, "ringfence.db")) as db:
            for table in ("site", "site_watched", "module_usage"):
                left = db.execute(f"SELECT count(*) FROM {table} WHERE module NOT IN (SELECT id FROM module)")
                equal(left.fetchone(), (0,), table)
        db.close()


# ---- Checked processes ----


def environment_of(s, options, preload):
    own = {name: value for name, value in os.environ.items() if name != "TEST_TARGET"}
    return {**own, **({"LD_PRELOAD": LIBRARY} if preload else {}),
            "RINGFENCE_OPTIONS": f"collector={s.directory}:{options}"}


def modules_by_name(s):
    s.once()
    return {os.path.basename(m["path"]): m for m in modules(s)}


def run(s, options, *words, program=PROGRAM):
    done = subprocess.run([program, *words], env=environment_of(s, options, program == PROGRAM),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    equal((done.returncode, done.stderr), (0, b""))
    return modules_by_name(s)


def functions(s, id, watched):
    return sorted(x.get("function", x["offset"]) for x in sites(s, watched, str(id)))


def page_watches_every_site():
    with Service(start=False) as s:
        own = run(s, "mode=page", "50")["coverage_program"]
        equal((own["sites"], own["watched"]), (4, 4))
        equal(functions(s, own["id"], "yes"), SITES)
        equal([x["blocks"] for x in sites(s, "yes", str(own["id"]))], [50] * 4)
        lines = [x["line"] for x in sorted(sites(s, "yes", str(own["id"])), key=lambda x: x["function"])]
        check(all(0 < line < 200 for line in lines) and len(set(lines)) == 4, lines)


def a_place_that_frees_is_no_site():
    with Service(start=False) as s:
        own = run(s, "mode=guard:watch=0", "50")["coverage_program"]
        equal((own["sites"], own["watched"]), (4, 0))
        equal(functions(s, own["id"], "no"), SITES)


def without_stacks_it_is_the_same():
    with Service(start=False) as s:
        own = run(s, "mode=guard:watch=0:stack_depth=0", "50")["coverage_program"]
        equal((own["sites"], own["watched"]), (4, 0))


def guard_and_sample_watch_some():
    with Service(start=False) as s:
        own = run(s, "mode=guard:watch=10:sample_seed=3", "5000")["coverage_program"]
        equal((own["sites"], own["watched"]), (4, 4))
        own = run(s, "mode=sample:sample_rate=10:sample_seed=3", "5000")["coverage_program"]
        equal([m["mode"] for m in own["modes"]].count("sample"), 1)
        modes = {m["mode"] for x in sites(s, "yes", str(own["id"])) for m in x["modes"]}
        equal(modes, {"guard", "sample"})


def off_tells_of_none():
    with Service(start=False) as s:
        equal(run(s, "mode=off", "50"), {})
        equal([c["mode"] for c in s.ask("coverage")["coverage"]], ["off"])


def a_child_of_fork_tells_of_its_own():
    with Service(start=False) as s:
        own = run(s, "mode=page", "50", "fork")["coverage_program"]
        blocks = {x["function"]: (x["blocks"], x["processes"]) for x in sites(s, "yes", str(own["id"]))}
        equal(blocks, {"make_array": (50, 1), "make_buffer": (50, 1), "make_copy": (50, 1), "make_larger": (50, 1),
                       "make_late": (50, 1)})


def threads_find_each_site_once():
    with Service(start=False) as s:
        own = run(s, "mode=page", "50", "threads")["coverage_program"]
        blocks = {x["function"]: x["blocks"] for x in sites(s, "yes", str(own["id"]))}
        equal({n: blocks[n] for n in ("make_array", "make_buffer", "make_copy", "make_larger")},
              dict.fromkeys(("make_array", "make_buffer", "make_copy", "make_larger"), 8 * 50))


def many_sites_are_bounded_and_counted():
    with Service(start=False) as s:
        own = run(s, "mode=guard:watch=0", "1", "many")["coverage_program"]
        check(500 < own["sites"] < 4000, own["sites"])
        lost = {x["what"]: x["count"] for x in s.ask("status")["losses"]}["call sites that were not listed"]
        check(own["sites"] + lost >= 4000, own["sites"], lost)


def a_process_that_is_killed_has_told_of_its_sites():
    for mode in ("page", "guard:watch=0", "sample:sample_rate=1"):
        with Service(start=False) as s:
            with subprocess.Popen([PROGRAM, "1", "on"], stderr=subprocess.DEVNULL,
                                  env=environment_of(s, f"snapshot_every=1:mode={mode}", True)) as process:
                s.wait(lambda: modules_by_name(s).get("coverage_program"))  # pylint: disable=cell-var-from-loop
                process.kill()
            run_so_far = s.ask("coverage")["coverage"][0]
            check(run_so_far["processes"] == 1 and run_so_far["allocations"] > 100, run_so_far)
            own = modules_by_name(s)["coverage_program"]
            equal(functions(s, own["id"], "no" if mode.startswith("guard") else "yes"), sorted([*SITES, "make_late"]))
            equal({x["processes"] for x in sites(s, "all", str(own["id"]))}, {1})


# ---- Programs with checked heaps of their own ----


def embedded(s, options, *words):
    return run(s, options, "50", *words, program=EMBEDDED)["coverage_embedded"]


def a_checked_heap_of_its_own_tells_of_its_sites():
    for mode, watched in (("page", 2), ("sample:sample_rate=1", 2), ("guard:stack_depth=8", 0)):
        with Service(start=False) as s:
            own = embedded(s, "mode=" + mode)
            equal((own["sites"], own["watched"]), (2, watched), mode)
            equal(functions(s, own["id"], "all"), ["own_large", "own_small"])
            equal([x["blocks"] for x in sites(s, "yes", str(own["id"]))], [50] * watched)


def a_child_of_fork_tells_of_its_own_heap():
    with Service(start=False) as s:
        own = embedded(s, "mode=page", "fork")
        blocks = {x["function"]: (x["blocks"], x["processes"]) for x in sites(s, "yes", str(own["id"]))}
        equal(blocks, {"own_large": (50, 1), "own_small": (50, 1), "own_late": (50, 1)})


main([
    a_process_that_tells_again_counts_once, a_process_that_is_killed_has_told_of_its_sites,
    a_checked_heap_of_its_own_tells_of_its_sites, a_child_of_fork_tells_of_its_own_heap,
    each_list_has_its_bound, lists_are_in_their_order_and_in_parts, what_a_module_had_before_it_was_told_later_stays,
    sites_of_a_module_are_listed_in_parts, the_oldest_module_goes_where_there_are_too_many,
    modules_of_a_record_that_comes_late_keep_their_sites_apart,
    programs_and_their_runs_are_summed, a_site_is_named_by_the_innermost_function_of_the_program,
    sites_add_up_over_processes_and_modes, a_module_is_known_by_its_build_id, a_module_has_its_build,
    sites_that_were_not_listed_are_counted, hostile_lists_harm_nothing, pages_show_modules_and_sites,
    pages_of_many_modules_are_quick, modules_that_nobody_runs_any_more_are_forgotten, page_watches_every_site,
    a_place_that_frees_is_no_site, without_stacks_it_is_the_same, guard_and_sample_watch_some, off_tells_of_none,
    a_child_of_fork_tells_of_its_own, threads_find_each_site_once, many_sites_are_bounded_and_counted])
