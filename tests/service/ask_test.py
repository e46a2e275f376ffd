#!/usr/bin/env python3
"""What a collector is asked on the command line: lists, findings, builds, the gate, and bad words."""

import json
import os
import re
import resource
import subprocess

import service
from service import Service, append, build, check, equal, event, record, state, take


def an_option_that_is_none_is_named_and_no_more():
    with Service(start=False) as s:
        for words in (("ignore", "1", "--odd"), ("fix", "--odd"), ("merge", "1", "--odd"), ("reopen", "--odd", "1")):
            said = s.command(*words, status=2)
            check("unknown option --odd" in said and said.count("\n") == 1, said)


def builds_count_what_the_list_shows_of_them():
    with Service(start=False) as s:
        take(s, *(event(f"p{i % 9}", f"{i}", ago=500.0 - i, build=build("abcdef"[i * 7 % 6])) for i in range(40)))
        for into, id in ((1, 2), (1, 3), (4, 5), (6, 9)):
            s.command("merge", str(into), str(id))
        for row in s.ask("builds")["builds"]:
            equal(row["findings"], s.ask("findings", "--state", "all", "--build", row["name"])["total"], row["name"])


def builds_of_a_long_history_are_listed_at_once():
    with Service(start=False) as s:
        os.mkdir(s.directory + "/spool", 0o700)
        with open(s.directory + "/spool/current", "wb") as file:
            for i in range(20000):
                commit = {"version": "", "commit": f"{i * 7 % 200:040x}", "build_id": ""}
                file.write(service.line_of(event(f"p{i % 2000}", f"{i}", ago=30000.0 - i, build=commit)))
        s.once()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        equal(len(s.ask("builds")["builds"]), 200)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime - before.ru_utime
        check(service.with_sanitizer() or seconds < 0.1, seconds, "s of processor time")


def the_gate_fails_on_what_nobody_has_decided_on():
    with Service(start=False) as s:
        take(s, event("old", "1", ago=9000, build=build("a")))
        s.command("gate", status=99)
        s.command("gate", "--new-in", "a" * 40, status=99)
        take(s, event("old", "2", build=build("b")))
        s.command("gate", "--new-in", "b" * 40)
        take(s, event("young", "3", build=build("b")))
        equal([f["place"] for f in json.loads(s.command("gate", "--new-in", "b" * 7, "--json", status=99))["findings"]],
              ["open_young src/app.c:10"])
        s.command("ignore", "2", "--because", "known")
        s.command("gate", "--new-in", "b" * 40)
        s.command("fix", "1", "--in", "b" * 40)
        take(s, event("old", "4", build=build("b")))
        s.command("gate", "--new-in", "b" * 40, status=99)
        check("no build is called" in s.command("gate", "--new-in", "nonsense", status=2))
        check("no process has reported from environment moon" in s.command("gate", "--env", "moon", status=2))
        take(s, service.record("summary", "5", environment="moon", seconds=1.0))
        s.command("gate", "--env", "moon")


def names_that_are_empty_or_wrong_are_refused():
    """As of a variable that is not set: a gate must not pass for it, nor an export be empty."""
    with Service(start=False) as s:
        take(s, event("a", "1", build={"version": "", "commit": "", "build_id": "ab"}), event("b", "2"))
        for words in (("gate", "--new-in", ""), ("gate", "--build", ""), ("gate", "--env", ""),
                      ("findings", "--build", ""), ("export", "--as", "sarif", "--new-in", "")):
            check("has an empty name" in s.command(*words, status=2), words)
        for words in (("--new-in", "nonsense"), ("--build", "nonsense"), ("--env", "moon"), ("--state", "good")):
            s.command("export", "--as", "sarif", *words, status=2)
        for name in ("", " ", "\n", "a\tb", "x" * 256):
            s.command("builds", "--add", name, status=2)
            s.command("builds", "--add", "c" * 40, "--version", name, status=2)
        s.command("builds", "--add", "c" * 40, "--time", "yesterday", status=2)
        equal(len(s.ask("builds")["builds"]), 2)
        s.command("fix", "1", "--in", "", status=2)
        s.command("ignore", "1", "--because", "\n", status=2)
        equal(state(s), "open")


def a_word_that_is_no_number_is_named_for_what_it_is():
    with Service(start=False) as s:
        take(s, event("a", "1"))
        for words, told in [(("show", "x"), "x is not the number of a finding"),
                            (("show", "-1"), "unknown option"),
                            (("show", "1", "--event", "0"), "--event 0: give a number"),
                            (("processes", "x"), "x is not the number of a process; `ringfence processes`"),
                            (("coverage", "x"), "x is not the number of a module; `ringfence coverage`"),
                            (("findings", "--limit", "many"), "--limit many: give a number from 1 on"),
                            (("processes", "1", "--snapshot", "#1"), "--snapshot #1: give a number"),
                            (("export", "--as", "json", "--limit", "1e3"), "--limit 1e3: give a number")]:
            check(told in s.command(*words, status=2), words)
        equal(s.ask("show", "#1")["id"], 1)


def an_event_that_is_not_kept_is_not_shown_as_another():
    with Service(start=False) as s:
        take(s, *(event("a", f"{i}", ago=100.0 - i) for i in range(3)), event("b", "9"))
        equal(s.ask("show", "1", "--event", "2")["event"], 2)
        for number in ("4", "77"):
            check(f"finding 1 keeps no event {number}" in s.command("show", "1", "--event", number, status=1))


def json_is_one_document_and_failures_leave_it_empty():
    with Service(start=False) as s:
        take(s, event("a", "1"), event("b", "2"))
        for words in (("findings",), ("show", "1"), ("fix", "1"), ("reopen", "1"), ("ignore", "1", "--because", "x"),
                      ("merge", "1", "2"), ("split", "2"), ("why", "1", "2"), ("processes",), ("coverage",),
                      ("builds",), ("builds", "--add", "c" * 40), ("status",), ("symbols", "list"),
                      ("symbols", "missing"), ("steer",),
                      ("steer", "set", "--options", "mode=sample", "--because", "x")):
            check(isinstance(s.ask(*words), dict), words)
        for words in (("show", "9", "--json"), ("findings", "--json", "--state", "x"), ("fix", "9", "--json")):
            done = subprocess.run([service.SERVE, words[0], "--dir", s.directory, *words[1:]], capture_output=True,
                                  check=False)
            check(done.returncode in (1, 2) and done.stdout == b"" and done.stderr.startswith(b"ringfence"), words)


def filters_and_words_choose():
    with Service(start=False) as s:
        take(s, event("a", "1", environment="ci"), event("b", "2", ago=30 * 86400, build=build("b", "2.0")))
        for words, wanted in [((), [1, 2]), (("--new",), [1]), (("--env", "ci"), [1]),
                              (("--build", "2.0"), [2]), (("--search", "OPEN_B app.c"), [2]),
                              (("--search", "open_z"), []),
                              (("--order", "first"), [1, 2]), (("--limit", "1"), [1])]:
            equal([row["id"] for row in s.findings(*words)], wanted, words)
        check(re.search(r"^ +1  new +1  \d{4}", s.command("findings"), re.M), s.command("findings"))
        check(re.search(r"^ +2  open +1  \d{4}", s.command("findings"), re.M), s.command("findings"))
        for words in (("--state", "odd"), ("--order", "odd"), ("--limit", "x"), ("--build", "9"), ("--env", "mo"),
                      ("word",), ("--event", "1")):
            s.command("findings", *words, status=2)


def a_list_is_in_the_order_and_of_the_part_that_is_asked_for():
    with Service(start=False) as s:
        for place, ago, count in (("a", 9000, 1), ("b", 5000, 1), ("c", 7000, 1), ("d", 8000, 10), ("c", 100, 2),
                                  ("a", 10, 1)):
            take(s, event(place, f"{place}{ago}", ago=ago, count=count, build=build("abcd"["abcd".index(place)])))
        ids = {row["place"].split()[0][-1]: row["id"] for row in s.findings()}
        a, b, c, d = (ids[place] for place in "abcd")
        s.command("merge", str(b), str(d))
        orders = {"last": [a, c, b], "first": [c, b, a], "count": [b, c, a]}
        s.start()
        for order, wanted in orders.items():
            equal([row["id"] for row in s.findings("--order", order)], wanted, order)
            equal([row["id"] for row in s.findings("--order", order, "--limit", "2")], wanted[:2], order)
            for more in (f"/api/v1/findings?order={order}&", f"/?order={order}&"):
                reply = s.http("GET", more + "limit=1&offset=1").text
                found = (re.findall(r'<tr class="\w+"><td class="main"><a class="kind" href="/finding/(\d+)"', reply)
                         if more[1] == "?" else re.findall(r'^\{"findings":\[\{"id":(\d+)', reply))
                equal(found, [str(wanted[1])], more)
        row = next(row for row in s.findings() if row["id"] == b)
        equal((row["count"], row["merged"], row["first_build"][0], row["last_build"][0]), (11, 1, "d", "b"))
        for words, found in (("open_a src/app.c close_a main heap", 1), ("open_a src/app.c close_a main nothing", 0),
                             ("open_a nothing", 0), ("open_a heap nothing", 0), ("OPEN_A heap main nothing", 0),
                             ("  open_a  src/app.c close_a main heap  overflow ", 1), (" ", 3),
                             ("open_a src/app.c close_a main heap overflow nothing", 0), ("x" * 64, 0),
                             ("open_long" + "x" * 100, 0), ("close_d", 1), ("/srv/APP", 3),
                             ("buffer-overflow", 3), ("open_d close_a", 0)):
            equal(len(s.findings("--search", words)), found, words)


def a_list_counts_what_each_state_has():
    old = 30 * 86400
    with Service(start=False) as s:
        for i, (ago, more) in enumerate(((0, {}), (0, {}), (old, {}), (old, {}), (0, {}), (0, {}), (old, {}))):
            take(s, event(f"p{i}", f"{i}", ago=ago, environment="ci" if i % 2 else "live", build=build("a"), **more))
        take(s, event("p2", "late", environment="live", build=build("a")))
        s.command("fix", "4")
        s.command("fix", "5")
        s.command("ignore", "6", "--because", "x")
        s.command("fix", "7")
        take(s, event("p6", "back", environment="live", build=build("b")), event("p4", "again", build=build("b")))
        wanted = {"open": [1, 2, 3, 5, 7], "new": [1, 2], "reopened": [5, 7], "fixed": [4], "ignored": [6],
                  "all": [1, 2, 3, 4, 5, 6, 7]}
        for state_, ids in wanted.items():
            got = s.ask("findings", "--state", state_)
            equal((sorted(row["id"] for row in got["findings"]), got["total"]), (ids, len(ids)), state_)
            equal(got["counts"], {"open": 3, "reopened": 2, "fixed": 1, "ignored": 1, "new": 2})
            equal([row["id"] for row in got["findings"] if row["new"]], [id for id in (2, 1) if id in ids])
        equal(got["environments"], ["ci", "development", "live"])
        equal([row["environments"] for row in got["findings"] if row["id"] in (5, 2)],
              [["development", "live"], ["ci"]])
        got = s.ask("findings", "--env", "ci")
        equal((got["total"], got["counts"]), (1, {"open": 1, "fixed": 1, "ignored": 1, "new": 1}))
        got = s.ask("findings", "--build", "b" * 40, "--state", "all")
        equal((got["total"], got["counts"]), (2, {"reopened": 2, "new": 0}))
        equal([sorted(row["id"] for row in s.findings("--new-in", name * 40)) for name in "ab"],
              [[1, 2, 3, 5, 7], [5, 7]])
        s.command("fix", "7")
        equal([row["id"] for row in s.findings("--new-in", "b" * 40)], [5], "it is not back any more")
        s.start()
        equal([row["id"] for row in s.http("GET", "/api/v1/findings?new_in=" + "b" * 40).json()["findings"]], [5])
        equal(s.http("GET", "/api/v1/findings?environment=ci&build=" + "b" * 40).json()["counts"], {"new": 0})


def a_finding_is_shown_with_what_is_near_it():
    def stacks(access, allocation, release):
        return {f"f_{name}": {"thread": 1, "frames": [service.frame(f"{name}_{i}", i + 1), service.frame("main", 9)]}
                for name, i in (("found", access), ("allocated", allocation), ("released", release))}

    with Service(start=False) as s:
        for i, (bug, numbers) in enumerate((("heap-buffer-overflow", (1, 1, 1)), ("double-free", (1, 2, 2)),
                                            ("heap-use-after-free", (3, 1, 3)), ("bad-free", (4, 4, 1)),
                                            ("bad-free", (5, 5, 5)), ("double-free", (1, 1, 9)))):
            take(s, event("x", f"{i}", ago=90 - i, f_bug=bug, **stacks(*numbers)))
        equal([row["count"] for row in s.findings()], [1] * 6)
        near = {r["id"]: [name[5:] for name in ("same_access", "same_allocation", "same_free") if r[name]]
                for r in s.ask("show", "1")["related"]}
        check(near.get(2) == ["access"] and near.get(3) == ["allocation"] and near.get(4) == ["free"]
              and near.get(6) == ["access", "allocation"] and len(near) == 4, near)
        equal([r["id"] for r in s.ask("show", "1")["related"]], [6, 4, 3, 2], "the last seen first")
        s.command("merge", "2", "6")
        equal([r["id"] for r in s.ask("show", "1")["related"]], [2, 4, 3])
        s.command("merge", "2", "5")
        shown = s.ask("show", "2")
        equal(([m["id"] for m in shown["merged"]], shown["written"][0]["count"], shown["damaged"]), ([5, 6], 3, 3))
        equal((shown["modes"][0]["first_seen"], shown["modes"][0]["last_seen"]),
              (shown["first_seen"], shown["last_seen"]))
        take(s, *[event("x", f"l{i}", pid=i, f_bug="double-free", **stacks(1, 1, 9)) for i in range(25)])
        equal([loop["processes"] for loop in s.ask("show", "2")["crash_loops"]], [25])
        check("fixed_at" not in shown or shown["fixed_at"] is None)
        keys = {s.ask("show", "1")[name] for name in ("key", "access_key", "allocation_key", "free_key")}
        check(len(keys) == 4 and all(re.fullmatch("[0-9a-f]{16}", key) for key in keys), keys)
        equal(s.ask("show", "3")["allocation_key"], s.ask("show", "1")["allocation_key"])
        equal(s.ask("show", "4")["free_key"], s.ask("show", "1")["free_key"])


def the_number_of_a_fix_counts_all_parts_and_builds_in_their_order():
    def since(s):
        got = s.ask("show", "1")["since_fix"]
        return [got[name] for name in ("hours_before", "events_before", "hours_after", "events_after", "expected")]

    with Service(start=False) as s:
        for i, (commit, program) in enumerate((("a", "/srv/app"), ("b", "/srv/app"), ("a", "/srv/tool"))):
            take(s, event("ab"[i // 2], f"{i}", count=3, ago=500 - i, build=build(commit), program=program),
                 record("summary", f"s-{i}-1-1", ago=500, build=build(commit), program=program, seconds=7200.0))
        s.command("merge", "1", "2")
        s.command("fix", "1", "--in", "c" * 40)
        equal(since(s), [6, 9, 0, 0, 0], "the fix is in no build yet")
        take(s, record("summary", "s-8-1-1", build=build("c"), seconds=3600.0, program="/srv/tool"),
             event("b", "8", count=2, build=build("c"), program="/srv/tool"))
        equal((since(s), state(s)), ([6, 9, 1, 2, 1.5], "reopened"))
        s.command("fix", "1")
        equal(since(s), [7, 11, 0, 0, 0], "the next build's, and there is none")
        take(s, record("summary", "s-9-1-1", build=build("d"), seconds=3600.0), event("a", "9", build=build("d")))
        equal(since(s), [7, 11, 1, 1, round(11 / 7, 3)])


def what_happened_is_told_from_a_number_on():
    with Service(start=False) as s:
        take(s, *(event(f"p{i}", f"{i}", ago=i) for i in range(5)))
        s.command("ignore", "2", "--because", "known")
        s.start()

        def ids(query):
            return [a["id"] for a in s.http("GET", "/api/v1/activity" + query).json()["activity"]]

        equal([ids(query) for query in ("", "?after=4", "?limit=2", "?after=2&limit=2", "?after=6")],
              [[1, 2, 3, 4, 5, 6], [5, 6], [1, 2], [3, 4], []])
        last = s.http("GET", "/api/v1/activity?after=5").json()["activity"][0]
        row = s.ask("show", "2")
        equal({name: last[name] for name in ("kind", "text", "finding", "bug", "title", "place")},
              {"kind": "ignored", "text": "known", "finding": 2,
               **{name: row[name] for name in ("bug", "title", "place")}})


def the_store_tells_of_itself():
    with Service(start=False) as s:
        take(s, *(event(f"p{i}", f"{i}", count=4, ago=90 - i) for i in range(3)), b"none\n", b"{}\n", b"no\n",
             record("repeat", "r-1", of="", count=2), record("summary", "s-1", seconds=1800.0),
             record("summary", "s-2", seconds=5400.0, continued=True))
        s.command("merge", "1", "2")
        row = s.ask("builds")["builds"][0]
        equal([row[name] for name in ("new_findings", "findings", "events", "hours", "processes")], [2, 2, 12, 2, 1])
        equal((row["first_seen"], row["last_seen"]),
              (s.ask("show", "1")["first_seen"], s.ask("show", "3")["last_seen"]))
        s.start()
        got = s.http("GET", "/api/v1/status").json()
        equal({name: got[name] for name in ("findings", "events", "events_kept", "builds", "processes", "crash_loops",
                                            "alerts_waiting", "forward_waiting", "hours", "directory")},
              {"findings": 2, "events": 12, "events_kept": 3, "builds": 1, "processes": 1, "crash_loops": 0,
               "alerts_waiting": 0, "forward_waiting": 0, "hours": 2.0, "directory": s.directory})
        equal([x["count"] for x in got["losses"]], sorted((x["count"] for x in got["losses"]), reverse=True))
        disk = os.statvfs(s.directory)
        check(abs(got["free_bytes"] - disk.f_bavail * disk.f_frsize) < disk.f_blocks * disk.f_frsize / 50, got)
        s.stop()
        with open(s.directory + "/ringfence.db-wal", "wb") as file:
            file.truncate(12345)
        size = os.path.getsize(s.directory + "/ringfence.db")
        equal(s.ask("status")["database_bytes"], size + 12345)
        append(s.directory, event("later", "9"))
        equal(s.ask("status")["waiting_bytes"], os.path.getsize(s.directory + "/spool/current"))


service.main([
    # The longest come first.
    a_list_is_in_the_order_and_of_the_part_that_is_asked_for, a_list_counts_what_each_state_has,
    a_finding_is_shown_with_what_is_near_it, the_number_of_a_fix_counts_all_parts_and_builds_in_their_order,
    what_happened_is_told_from_a_number_on, the_store_tells_of_itself, an_option_that_is_none_is_named_and_no_more,
    builds_count_what_the_list_shows_of_them, builds_of_a_long_history_are_listed_at_once,
    names_that_are_empty_or_wrong_are_refused, a_word_that_is_no_number_is_named_for_what_it_is,
    an_event_that_is_not_kept_is_not_shown_as_another, json_is_one_document_and_failures_leave_it_empty,
    the_gate_fails_on_what_nobody_has_decided_on, filters_and_words_choose])
