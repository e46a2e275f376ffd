#!/usr/bin/env python3
"""The life of findings: fixed, back again, ignored, merged, told of; and how CI asks."""

import http.server
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import service
from service import Service, append, check, equal, event, record


def build(commit, version=""):
    return {"version": version, "commit": commit * 40, "build_id": ""}


def state(s, id=1):
    return s.ask("show", str(id))["state"]


def take(s, *lines):
    append(s.directory, *lines)
    s.once()


def a_fix_is_undone_only_by_a_build_that_has_it():
    with Service(start=False) as s:
        take(s, event("a", "1", ago=5000, build=build("a")), event("x", "2", ago=3000, build=build("c")))
        s.command("fix", "1", "--in", "bbbbbbb")
        equal(state(s), "fixed")
        take(s, event("a", "3", build=build("a")), event("a", "4", build=build("c")))
        equal(state(s), "fixed", "nobody knows where b stands: no false regression")
        take(s, event("y", "5", ago=4000, build=build("b")))
        take(s, event("a", "6", build=build("a")))
        equal(state(s), "fixed", "an old build only counts")
        take(s, event("a", "7", build=build("c")))
        equal(state(s), "reopened", "c is after b")
        equal(s.ask("show", "1")["count"], 5)
        equal([row["id"] for row in s.findings("--state", "reopened")], [1])


def the_order_of_builds_is_what_ci_says():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("x", "2", build=build("b")))
        s.command("builds", "--add", "b" * 40, "--version", "2.0", "--time", "2026-01-02T00:00:00Z")
        s.command("builds", "--add", "a" * 40, "--version", "1.0", "--time", "2026-01-03T00:00:00Z")
        equal([(b["version"], b["order_guessed"]) for b in s.ask("builds")["builds"]], [("1.0", False), ("2.0", False)])
        s.command("fix", "1", "--in", "1.0")
        take(s, event("a", "3", build=build("b")))
        equal(state(s), "fixed")
        take(s, event("a", "4", build=build("a")))
        equal(state(s), "reopened")


def a_fix_without_a_commit_is_in_the_next_build():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")))
        s.command("fix", "1")
        take(s, event("a", "2", build=build("a")))
        equal(state(s), "fixed")
        take(s, event("a", "3", build=build("b")))
        equal(state(s), "reopened")
        s.command("reopen", "1")
        equal(state(s), "open")


def fixed_has_a_number():
    with Service(start=False) as s:
        take(s, *[event("a", f"e{i}", ago=9000, build=build("a")) for i in range(4)],
             *[record("summary", f"s{i}", ago=9000, build=build("a"), seconds=36000.0) for i in range(2)])
        s.command("fix", "1", "--in", "b" * 40)
        take(s, *[record("summary", f"t{i}", build=build("b"), seconds=180000.0) for i in range(2)],
             record("summary", "other", program="/srv/other", build=build("b"), seconds=1e6))
        equal(s.ask("show", "1")["since_fix"], {"hours_before": 20.0, "events_before": 4, "hours_after": 100.0,
                                                "events_after": 0, "expected": 20.0})


def ignored_needs_a_reason_and_stays_ignored():
    with Service(start=False) as s:
        take(s, event("a", "1"))
        check("give a reason" in s.command("ignore", "1", status=2))
        s.command("ignore", "1", "--because", "a test plants it")
        take(s, event("a", "2", build=build("z")))
        shown = s.ask("show", "1")
        equal((shown["state"], shown["because"], shown["count"]), ("ignored", "a test plants it", 2))
        s.command("gate")


def what_became_of_a_finding_is_listed():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")))
        s.command("fix", "1")
        take(s, event("a", "2", build=build("b")))
        s.command("ignore", "1", "--because", "a test plants it")
        take(s, event("a", "3", environment="ci"))
        acts = s.ask("show", "1")["activity"]
        equal([(a["kind"], a["environment"]) for a in acts],
              [("ignored", ""), ("reopened", "development"), ("fixed", ""), ("new", "development")])
        equal([a["text"] for a in acts[:3]], ["a test plants it", "", "in the next build"])
        check("1 byte written" in acts[3]["text"], acts[3])
        times = [a["time"] for a in acts]
        equal(times, sorted(times, reverse=True))


def news(s, id=1):
    """What was told of the finding, oldest first, but for decisions."""
    acts = s.ask("show", str(id))["activity"]
    return [(a["kind"], a["environment"]) for a in reversed(acts) if a["kind"] in ("new", "reopened")]


def a_finding_is_new_and_back_once_in_each_environment():
    with Service(start=False) as s:
        number = iter(range(1000))

        def seen(environment, commit, place="a"):
            take(s, event(place, f"{next(number)}", environment=environment, build=build(commit)))

        for environment in ("ci", "ci", "live", "ci"):
            seen(environment, "a")
        told = [("new", "ci"), ("new", "live")]
        equal(news(s), told)
        for fix in ("b", "c"):
            s.command("fix", "1")
            seen("qa", "a")
            equal(news(s), told, "an old build tells nothing, nor of another environment")
            for environment in ("ci", "ci", "live", "live", "ci"):
                seen(environment, fix)
            told += [("reopened", "ci"), ("reopened", "live")]
            equal(news(s), told, fix)
        s.command("ignore", "1", "--because", "a test plants it")
        seen("moon", "d")
        equal(news(s), told, "nobody wants to know")
        equal(state(s), "ignored")


def news_of_a_part_is_told_of_the_whole():
    with Service(start=False) as s:
        take(s, event("a", "1", environment="ci"), event("b", "2", environment="qa"))
        s.command("merge", "1", "2")
        take(s, event("b", "3", environment="qa"), event("b", "4", environment="ci"))
        equal((news(s), news(s, 2)), ([("new", "ci")], [("new", "qa")]), "each is known there")
        equal(s.findings()[0]["last_seen"], s.ask("show", "2")["last_seen"])
        take(s, event("b", "5", environment="live"), event("b", "6", environment="live"))
        equal((news(s), news(s, 2)), ([("new", "ci"), ("new", "live")], [("new", "qa")]))
        s.command("fix", "1")
        take(s, event("b", "7", environment="live", build=build("z")))
        equal((news(s)[2:], news(s, 2)[1:], state(s)), ([("reopened", "live")], [], "reopened"))
        equal(s.ask("show", "2")["state"], "open")
        s.command("reopen", "1")
        s.command("ignore", "1", "--because", "known")
        take(s, event("b", "8", environment="moon"))
        equal(news(s)[3:], [])


def a_fix_is_known_by_each_name_of_its_build():
    """That has not been seen yet; by seven characters of its commit at least."""
    later = {"version": "2.0", "commit": "c0ffee1" + "0" * 33, "build_id": "beef01f0"}
    for name, known in (("2.0", True), ("beef01f0", True), ("c0ffee1" + "0" * 33, True), ("c0ffee1", True),
                        ("c0ffee", False), ("2", False), ("0ffee10", False)):
        with Service(start=False) as s:
            take(s, event("a", "1", build=build("a")))
            check("has not been seen yet" in s.command("fix", "1", "--in", name))
            equal(s.ask("show", "1")["fixed_in"], name)
            take(s, event("a", "2", build=later))
            equal(state(s), "reopened" if known else "fixed", name)
            take(s, event("b", "3", build=later))
            equal([row["id"] for row in s.findings("--new-in", "beef01f")], [2, 1] if known else [2], "by its build-id")
            if len(name) != 1 and name != "0ffee10" and known:
                equal([row["id"] for row in s.findings("--new-in", name)], [2, 1], "as one asks for it")


def a_build_that_was_told_of_is_as_new_as_that():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a", "1.0")), event("z", "2", build=build("z", "9.0")))
        s.command("builds", "--add", "a" * 40, "--time", "2026-01-05T00:00:00Z")
        equal([(b["version"], b["ordered_at"][:10], b["order_guessed"]) for b in s.ask("builds")["builds"]],
              [("9.0", service.timestamp()[:10], True), ("1.0", "2026-01-05", False)], "its version stays")
        s.command("fix", "1")
        s.command("builds", "--add", "b" * 40, "--time", "2026-01-01T00:00:00Z", "--version", "1.0")
        take(s, event("a", "3", build=build("b", "1.0")))
        equal(state(s), "reopened", "nobody had heard of it before the fix")
        take(s, event("c", "4", build=build("b", "1.0")),
             event("d", "9", build={"version": "", "commit": "a" * 39 + "f"}))
        equal([row["id"] for row in s.findings("--new-in", "1.0")], [1], "the newer of two of one version")
        equal([row["id"] for row in s.findings("--new-in", "a" * 7)], [4], "and of two commits that begin so")
        s.command("fix", "2", "--in", "1.0")
        take(s, event("z", "5", build=build("b", "1.0")))
        equal(state(s, 2), "fixed", "b is before a")


def decisions_undo_one_another_whole():
    def decided(s):
        shown = s.ask("show", "1")
        return tuple(shown.get(name) for name in ("state", "fixed_in", "because", "fixed_at")) + (
            "since_fix" in shown,)

    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("b", "2"))
        s.command("merge", "1", "2")
        for action, wanted in ((("ignore", "2", "--because", "x"), ("ignored", None, "x", None, False)),
                               (("reopen", "2"), ("open", None, None, None, False)),
                               (("ignore", "1", "--because", "y"), ("ignored", None, "y", None, False)),
                               (("fix", "2", "--in", "a" * 40), ("fixed", "a" * 40, None, "time", True)),
                               (("ignore", "1", "--because", "z"), ("ignored", None, "z", None, False)),
                               (("fix", "1"), ("fixed", None, None, "time", True)),
                               (("reopen", "2"), ("open", None, None, None, False))):
            said = s.command(*action)
            equal("not been seen yet" in said or "  " in said, False, said)
            got = decided(s)
            equal(got[:3] + ("time" if got[3] else None, got[4]), wanted, action)
        equal([a["kind"] for a in s.ask("show", "1")["activity"]][:3], ["opened", "fixed", "ignored"])
        equal(s.ask("show", "2")["state"], "open", "the part has none of its own")


def what_is_merged_tells_who_is_part_of_whom():
    with Service(start=False) as s:
        take(s, *(event(place, place, ago=ago, build=build(place)) for place, ago in zip("abcd", (900, 800, 9000, 5))))
        times = {row["id"]: row for row in s.findings()}
        s.command("merge", "1", "2")
        check("finding 3 is part of 1" in s.command("merge", "2", "3"), "into the whole, not into its part")
        check("finding 1 is part of 4" in s.command("merge", "4", "3"), "and the whole goes, not its part")
        equal([(row["id"], row["count"], row["merged"], row["first_build"][0], row["last_build"][0])
               for row in s.findings()], [(4, 4, 3, "c", "d")])
        equal(s.findings()[0]["first_seen"], times[3]["first_seen"])
        equal([s.ask("show", str(id)).get("merged_into") for id in (1, 2, 3, 4)], [4, 4, 4, None])
        equal([a["text"] for a in s.ask("show", "4")["activity"] if a["kind"] == "merged"], ["finding 1"])
        s.command("split", "1")
        equal(sorted((row["id"], row["count"], row["first_build"][0]) for row in s.findings()),
              [(1, 3, "c"), (4, 1, "d")], "with its parts")
        equal([a["text"] for a in s.ask("show", "4")["activity"] if a["kind"] == "split"], ["finding 1"])
        equal([row["first_seen"] for row in s.findings() if row["id"] == 4], [times[4]["first_seen"]])


def a_part_that_came_after_the_fix_brings_it_back():
    for seen_in, ago, wanted in (("c", 0, "reopened"), ("a", 0, "fixed"), ("c", 90, "fixed"), ("co", 0, "reopened")):
        with Service(start=False) as s:
            take(s, event("a", "1", ago=500, build=build("a")), event("x", "2", ago=400, build=build("b")),
                 event("y", "3", ago=300, build=build("c")))
            s.command("fix", "1", "--in", "b" * 40)
            take(s, event("p", "4", ago=ago, build=build(seen_in[0])), event("q", "5", ago=600, build=build("a")))
            if seen_in[1:]:  # a build that was met later, and is older
                take(s, event("p", "6", ago=700, build=build("o")), event("p", "7", build=build("o")))
            s.command("merge", "5", "4")
            s.command("merge", "1", "5")
            equal(state(s), wanted, seen_in, ago)
            equal([a["kind"] for a in s.ask("show", "1")["activity"]].count("reopened"), int(wanted == "reopened"))
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1", build=build("a")))
        s.wait(lambda: s.findings() != [])
        s.command("fix", "1")
        append(s.directory, event("b", "2", build=build("b")))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 2)
        s.command("merge", "1", "2")
        equal((state(s), s.ask("status")["alerts_waiting"]), ("reopened", 2), "it is told of as one that is back")
        check(("reopened", "development") in [(a["kind"], a["environment"]) for a in s.ask("show", "1")["activity"]])


def an_option_that_is_none_is_named_and_no_more():
    with Service(start=False) as s:
        for words in (("ignore", "1", "--odd"), ("fix", "--odd"), ("merge", "1", "--odd"), ("reopen", "--odd", "1")):
            said = s.command(*words, status=2)
            check("unknown option --odd" in said and said.count("\n") == 1, said)


def merged_findings_are_one_until_they_are_split():
    with Service(start=False) as s:
        take(s, event("a", "1"), event("b", "2"), event("b", "3"), event("c", "4"))
        s.command("merge", "2", "3")
        s.command("merge", "1", "2")
        equal([(row["id"], row["count"], row["merged"]) for row in s.findings()], [(1, 4, 2)])
        equal(sum(s.findings()[0]["trend"]), 4)
        take(s, event("b", "5"), event("c", "6"))
        shown = s.ask("show", "1")
        equal((shown["count"], [m["id"] for m in shown["merged"]], len(shown["events"])), (6, [2, 3], 6))
        check("merged" in s.command("why", "1", "2"))
        s.command("fix", "2", "--in", "b" * 40)
        equal(state(s), "fixed", "an action on a part is one on the whole")
        take(s, event("c", "7", build=build("b")))
        equal(state(s), "reopened")
        s.command("split", "2")
        equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 1), (2, 6)])
        s.command("split", "3")
        equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 1), (2, 3), (3, 3)])
        for words in (("merge", "1", "1"), ("merge", "1", "99"), ("split", "1"), ("fix", "99")):
            s.command(*words, status=1)


def a_part_that_was_taken_out_stays_alone():
    for order in (("3", "2"), ("2", "3", "2")):
        with Service(start=False) as s:
            take(s, event("a", "1"), event("b", "2"), event("c", "3"))
            s.command("merge", "2", "3")
            s.command("merge", "1", "2")
            for id in order[:-1]:
                s.command("split", id)
            if order[0] == "2":
                s.command("merge", "1", "2")
            s.command("split", order[-1])
            equal(sorted((row["id"], row["merged"]) for row in s.findings()), [(1, 0), (2, 0), (3, 0)], order)


def a_merged_finding_is_as_old_as_its_oldest_part():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a"), ago=9000), event("b", "2", build=build("b"), ago=5000),
             event("c", "3", build=build("c"), ago=10))
        times = {row["id"]: (row["first_seen"], row["last_seen"]) for row in s.findings()}
        s.command("merge", "2", "1")
        s.command("merge", "2", "3")
        row = s.findings()[0]
        equal((row["first_seen"], row["last_seen"]), (times[1][0], times[3][1]))


def of_a_merged_finding_its_own_event_is_shown():
    for ages in ((10, 500), (500, 10)):
        with Service(start=False) as s:
            take(s, *(event(place, place, ago=ago) for place, ago in zip("ab", ages)))
            s.command("merge", "1", "2")
            own = s.ask("show", "1")["record"]["finding"]["found"]["frames"][0]["function"]
            equal((own, s.findings()[0]["id"]), ("close_a", 1), ages)


def a_build_says_whether_its_order_is_guessed():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("a", "2", build=build("b")))
        s.command("builds", "--add", "a" * 40)
        equal({b["name"][0]: b["order_guessed"] for b in s.ask("show", "1")["builds"]}, {"a": False, "b": True})


def what_was_merged_is_not_told_of():
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1"), event("b", "2"))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 2)
        s.command("merge", "1", "2")
        equal(s.ask("status")["alerts_waiting"], 1)


def merged_findings_are_found_by_what_any_of_them_had():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a"), environment="ci", ago=9000))
        take(s, event("b", "2", build=build("b"), environment="production", ago=5000))
        take(s, event("b", "3", build=build("c"), environment="production"))
        a, b, c = ("a" * 40, "b" * 40, "c" * 40)

        def found():
            return {words: [row["id"] for row in s.findings(*words)] for words in (
                ("--env", "ci"), ("--env", "production"), ("--build", a), ("--build", b), ("--search", "open_a"),
                ("--search", "open_b"), ("--new-in", a), ("--new-in", b), ("--new-in", c))}

        before = found()
        s.command("merge", "2", "1")
        equal(set(map(tuple, list(found().values())[:6])), {(2,)}, "by what each of the two had")
        equal([found()["--new-in", build_of] for build_of in (a, b, c)], [[2], [], []], "it was first seen in a")
        s.command("gate", "--env", "ci", status=99)
        equal([row["findings"] for row in s.ask("builds")["builds"]], [1, 1, 1])
        take(s, event("a", "4", build=build("b")))
        equal([row["findings"] for row in s.ask("builds")["builds"]], [1, 1, 1], "both parts count once")
        s.command("split", "1")
        after = found()
        equal(sorted(after.pop(("--build", b))), [1, 2])
        before.pop(("--build", b))
        equal({words: sorted(ids) for words, ids in after.items()}, before)


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


def a_finding_is_split_by_a_rule_and_made_one_again():
    def counts():
        return sorted((row["id"], row["count"]) for row in s.findings())

    with Service(start=False) as s:
        for i, mode in enumerate(("guard", "sample", "sample", "page")):
            take(s, event("a", f"e{i}", mode=mode))
        equal(counts(), [(1, 4)])
        s.command("split", "1", "--by", "mode")
        equal(counts(), [(1, 1), (2, 2), (3, 1)], "kept events move")
        take(s, event("a", "5", mode="sample"), event("a", "6", mode="guard"), event("a", "7", mode="off"))
        equal(counts(), [(1, 2), (2, 3), (3, 1), (4, 1)], "the rule holds for events to come")
        shown = s.ask("show", "2")
        equal(([m["name"] for m in shown["modes"]], shown["split_from"], sum(shown["trend"])), (["sample"], 1, 3))
        equal(([m["name"] for m in s.ask("show", "1")["modes"]], s.ask("show", "1")["split_by"]), (["guard"], "mode"))
        equal(sum(w["count"] for w in shown["written"]), 3)
        check("already" in s.command("split", "1", "--by", "program", status=1))
        s.command("split", "1", "--undo")
        equal(counts(), [(1, 7)])
        take(s, event("a", "8", mode="sample"))
        equal(counts(), [(1, 8)])
        s.command("split", "1", "--by", "mode")
        equal(counts(), [(1, 4), (2, 4)], "of the others nothing came anew")
        s.command("split", "1", "--undo")
        equal(counts(), [(1, 8)], "again")
        check("not split" in s.command("split", "1", "--undo", status=1))
        check("--by colour: use access," in s.command("split", "1", "--by", "colour", status=2))


def a_split_says_what_it_could_not_move():
    def note(id):
        shown = s.ask("show", str(id))
        return shown.get("split_left"), shown.get("split_wanted", "-"), shown["count"]

    with Service(start=False) as s:
        take(s, event("a", "e-1-1-1", mode="guard"), record("repeat", "e-1-1-2", of="e-1-1-1", count=20),
             event("a", "e-2-2-1", mode="sample"), record("repeat", "e-2-2-2", of="e-2-2-1", count=7, mode="sample"))
        equal(note(1), (None, "-", 29))
        said = s.command("split", "1", "--by", "mode")
        check("of 27 earlier events only counts are kept" in said, said)
        equal([note(1), note(2)], [(27, 7, 28), (None, "-", 1)], "seven of mode sample stay, and it says so")
        s.start()
        check("7 of them had another mode" in s.http("GET", "/finding/1").text)
        check("only counts" not in s.http("GET", "/finding/2").text)
        s.stop()
        s.command("split", "1", "--undo")
        equal(note(1), (None, "-", 29))
        s.command("split", "1", "--by", "access")
        equal(note(1), (27, None, 29), "stacks of events that are not kept are not known")
        s.command("split", "1", "--undo")
        check("only counts" not in s.command("split", "1", "--by", "program"))
        equal(note(1), (27, 0, 29), "all are of one program: nothing is left that belongs elsewhere")
        s.start()
        check("only counts" not in s.http("GET", "/finding/1").text)


def pieces_have_what_their_events_had():
    """And the whole has the rest: counts, days, hosts, bytes, roles of events."""
    day = 86400
    frames = [service.frame("deep", 70 + i) for i in range(5)]
    events = [event("a", "1", mode="guard", count=2, ago=4 * day, host="A", f_value=0xFC, build=build("a")),
              event("a", "2", mode="sample", count=3, ago=3 * day, host="B", f_value=0xFC, build=build("b")),
              event("a", "3", mode="sample", count=5, ago=2 * day, host="B", build=build("c"),
                    f_released={"thread": 1, "frames": frames}),
              event("a", "4", mode="sample", count=7, ago=1 * day, host="C", build=build("d")),
              event("a", "5", mode="guard", count=11, ago=100, host="A", build=build("e"))]

    def seen(s, id):
        shown = s.ask("show", str(id))
        return {"counts": [shown[name] for name in ("count", "damaged", "one_bit")],
                "hosts": {x["name"]: x["count"] for x in shown["hosts"]},
                "one bit": {x["name"]: x["count"] for x in shown["one_bit_hosts"]},
                "written": {x["value"]: x["count"] for x in shown["written"]},
                "most first": [x["count"] for x in shown["written"]],
                "days": shown["trend"][-5:], "builds": [shown["first_build"][0], shown["last_build"][0]],
                "events": [e["build"][0] for e in shown["events"]],
                "roles": ["".join(e["build"][0] for e in shown["events"] if e[role])
                          for role in ("first", "last", "richest")]}

    with Service(start=False) as s:
        for one in events:
            take(s, one)
        equal(s.ask("show", "1").get("free_key"), None)
        keys = [s.ask("show", "1").get(name) for name in ("key", "access_key", "allocation_key", "free_key")]
        times = [s.ask("show", "1", "--event", str(i))["record"]["time"][:23] + "Z" for i in range(1, 6)]
        s.command("split", "1", "--by", "mode")
        equal(seen(s, 1), {"counts": [13, 13, 2], "hosts": {"A": 13}, "one bit": {"A": 2},
                           "written": {0xFC: 2, 0: 11}, "most first": [11, 2], "days": [2, 0, 0, 0, 11],
                           "builds": ["a", "e"],
                           "events": ["e", "a"], "roles": ["a", "e", "e"]})
        equal(seen(s, 2), {"counts": [15, 15, 3], "hosts": {"B": 8, "C": 7}, "one bit": {"B": 3},
                           "written": {0xFC: 3, 0: 12}, "most first": [12, 3], "days": [0, 3, 5, 7, 0],
                           "builds": ["b", "d"],
                           "events": ["d", "c", "b"], "roles": ["b", "d", "c"]})
        for id, first, last in ((1, 0, 4), (2, 1, 3)):
            shown = s.ask("show", str(id))
            equal((shown["first_seen"], shown["last_seen"]), (times[first], times[last]))
            equal((shown["modes"][0]["first_seen"], shown["modes"][0]["last_seen"]), (times[first], times[last]))
            equal(shown["programs"][0]["last_seen"], times[last])
        piece = [s.ask("show", "2").get(name) for name in ("key", "access_key", "allocation_key", "free_key")]
        check(piece[0] != keys[0])
        equal(piece[1:3], keys[1:3])
        equal(sorted(row["id"] for row in s.findings("--search", "open_a")), [1, 2])
        equal([r["id"] for r in s.ask("show", "1")["related"]], [2])
        equal([(a["kind"], a["text"]) for a in s.ask("show", "1")["activity"]][0], ("split", "mode"))
        s.command("split", "1", "--undo")
        equal([a["kind"] for a in s.ask("show", "1")["activity"]][:2], ["merged", "split"], "no second split")
        s.command("split", "2")
        equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 13), (2, 15)])
        s.command("split", "1", "--by", "mode")
        take(s, event("a", "6", mode="sample", ago=5 * day))
        equal((s.ask("show", "2")["first_seen"] < times[0], s.ask("show", "2")["last_seen"]), (True, times[3]))


def a_fix_is_in_the_build_that_the_beginning_of_its_name_will_name():
    """As with git: seven characters or more of a commit or a build-id, in small or capital letters."""
    def built(version="", commit="", build_id=""):
        return {"version": version, "commit": commit, "build_id": build_id}

    old, new = built("1", build_id="11" * 20), built("2", "c0ffee" * 6 + "c0ff", "ab" * 20)
    for name, comes in (("abababa", True), ("ab" * 20, True), ("ABABABAB", True), ("c0ffeec", True),
                        ("C0FFEEC0FFEE", True), ("2", True), ("ababab", False), ("c0ffee", False), ("babababa", False),
                        ("abababac", False), ("%bababab", False)):
        with Service(start=False) as s:
            take(s, event("a", "1", ago=500, build=old))
            said = s.command("fix", "1", "--in", name)
            equal(said, f"finding 1 is fixed in {name}, a build that has not been seen yet\n")
            take(s, event("a", "2", build=old))
            equal(state(s), "fixed", "before it")
            take(s, event("a", "3", build=new))
            equal(state(s), "reopened" if comes else "fixed", name)
            if comes:
                equal(s.command("fix", "1", "--in", name), f"finding 1 is fixed in {name}\n", "it has been seen")
                equal([row["id"] for row in s.findings("--state", "all", "--build", name)], [1])


def a_fix_is_in_a_build_whose_name_other_records_told():
    """A commit has several programs, each with a build-id; a version may be told later than the commit."""
    commit = "c" * 40
    with Service(start=False) as s:
        take(s, event("a", "1", ago=500, build=build("a")), event("b", "2", ago=500, build=build("a")),
             event("c", "3", ago=500, build=build("a")))
        s.command("builds", "--add", commit)
        for id, name in (("1", "11111111"), ("2", "22222222"), ("3", "2.0-rc1")):
            check("has not been seen yet" in s.command("fix", id, "--in", name), name)
        take(s, event("x", "4", build={"version": "", "commit": commit, "build_id": "1" * 40}))
        take(s, event("x", "5", build={"version": "", "commit": commit, "build_id": "2" * 40}))
        s.command("builds", "--add", commit, "--version", "2.0-rc1")
        take(s, event("a", "6", build=build("c")), event("b", "7", build=build("c")), event("c", "8", build=build("c")))
        equal([state(s, id) for id in (1, 2, 3)], ["reopened"] * 3)


def labels_and_times_are_those_of_the_events_that_each_piece_has():
    def seen(s, id):
        shown = s.ask("show", str(id))
        return ({x["name"]: x["count"] for x in shown["labels"]},
                [shown[name][11:19] for name in ("first_seen", "last_seen")], shown["first_build"][0])

    noon = "2026-01-05T12:00:0%d.000Z"
    times = [f"12:00:0{i}" for i in range(4)]
    rows = [("guard", 2, {"bazel_target": "//a:b_test", "attempt": "1"}), ("sample", 3, {"attempt": "1", "n": 5}),
            ("sample", 5, {"attempt": "2", "none": {"no": "text"}}), ("guard", 7, {"bazel_target": "//a:b_test"})]
    events = [event("a", f"{i}", time=noon % i, mode=mode, count=count, labels=labels, build=build("abcd"[i]))
              for i, (mode, count, labels) in enumerate(rows)]
    whole = {"bazel_target=//a:b_test": 9, "attempt=1": 5, "attempt=2": 5, "n=5": 3}
    with Service(start=False) as s:
        for one in events:
            take(s, one)
        equal(seen(s, 1), (whole, [times[0], times[3]], "a"))
        s.command("split", "1", "--by", "mode")
        equal(seen(s, 1), ({"bazel_target=//a:b_test": 9, "attempt=1": 2}, [times[0], times[3]], "a"))
        equal(seen(s, 2), ({"attempt=1": 3, "attempt=2": 5, "n=5": 3}, [times[1], times[2]], "b"))
        s.command("split", "1", "--undo")
        equal(seen(s, 1), (whole, [times[0], times[3]], "a"))
    with Service(start=False) as s:
        for one in events:
            take(s, one)
        s.command("split", "1", "--events", "1,4")
        equal(seen(s, 2), ({"bazel_target=//a:b_test": 9, "attempt=1": 2}, [times[0], times[3]], "a"))
        equal(seen(s, 1), ({"attempt=1": 3, "attempt=2": 5, "n=5": 3}, [times[1], times[2]], "b"), "what remains")
        shown = s.ask("show", "1")
        equal([(x["first_seen"][11:19], x["last_seen"][11:19]) for x in shown["hosts"]], [(times[1], times[2])])
        s.command("split", "1", "--undo")
        equal(seen(s, 1), (whole, [times[0], times[3]], "a"))
    with Service(start=False) as s:  # of the repeats only counts are kept, which stay
        repeats = record("repeat", "e-9", of="1", count=11, mode="sample", labels={"attempt": "2"})
        for one in [*events, repeats]:
            take(s, one)
        s.command("split", "1", "--by", "mode")
        equal(seen(s, 1)[0], {"bazel_target=//a:b_test": 9, "attempt=1": 2, "attempt=2": 11})
        equal(seen(s, 2)[0], {"attempt=1": 3, "attempt=2": 5, "n=5": 3})


def what_a_split_leaves_is_counted_by_its_rule():
    for rule, more in (("build", {"build": build("z")}), ("environment", {"environment": "z"}),
                       ("program", {"program": "z"}), ("mode", {"mode": "z"})):
        with Service(start=False) as s:
            take(s, event("a", "e-1-1-1", count=4), record("repeat", "e-1-1-2", of="e-1-1-1", count=7, **more))
            check("of 7 earlier events" in s.command("split", "1", "--by", rule), rule)
            equal([s.ask("show", "1")[name] for name in ("split_left", "split_wanted", "count")], [7, 7, 11], rule)
            take(s, event("a", "e-3-1-1", **more))
            equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 11), (2, 1)], rule)
            equal(s.ask("show", "2")["split_from"], 1)
            take(s, event("a", "e-4-1-1"))
            s.command("split", "1", "--undo")
            equal([(row["id"], row["count"]) for row in s.findings()], [(1, 13)], rule)


def events_are_taken_out_of_a_finding():
    with Service(start=False) as s:
        for i in range(4):
            take(s, event("a", str(i), program=f"/srv/{i}"))
        events = {e["program"]: e["id"] for e in s.ask("show", "1")["events"]}
        s.command("split", "1", "--events", f"{events['/srv/1']},{events['/srv/2']}")
        equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 2), (2, 2)])
        equal(sorted(p["name"] for p in s.ask("show", "2")["programs"]), ["/srv/1", "/srv/2"])
        take(s, event("a", "9"))
        equal(s.ask("show", "1")["count"], 3, "events to come stay with the first")
        for bad in (str(events["/srv/1"]), "999", "x", ""):
            s.command("split", "1", "--events", bad, status=1 if bad.isdigit() else 2)
        s.command("split", "1", "--undo")
        equal([(row["id"], row["count"]) for row in s.findings()], [(1, 5)])


def a_finding_without_its_newest_event_ends_with_the_one_before():
    with Service(start=False) as s:
        for i, commit in enumerate("abcd"):
            take(s, event("a", f"{i}", ago=500.0 - i * 100, build=build(commit)))
        last = s.ask("show", "1")["events"][0]
        equal((last["last"], last["build"]), (True, "d" * 40))
        s.command("split", "1", "--events", str(last["id"]))
        shown = s.ask("show", "1")
        equal(([e["build"][0] for e in shown["events"] if e["last"]], shown["last_build"]), (["c"], "c" * 40))
        equal([e["build"][0] for e in s.ask("show", "2")["events"] if e["last"]], ["d"])


def why_tells_the_keys():
    with Service(start=False) as s:
        take(s, event("a", "1"), event("b", "2"), event("a", "3", f_bug="double-free"))
        check("differs at frame 0, open_a and open_b" in s.command("why", "1", "2"))
        check("allocation: equal" in s.command("why", "1", "3"))
        check("merged" not in s.command("why", "1", "1"))
        for pair in (("1", "99"), ("99", "1")):
            check("there is no finding 99" in s.command("why", *pair, status=1), pair)
        equal([r["id"] for r in s.ask("show", "1")["related"]], [3])


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


def the_first_event_of_a_finding_of_many_parts_is_listed():
    with Service(start=False) as s:
        take(s, *(event(f"p{i}", f"{i}", ago=1000.0 - i) for i in range(50)))
        for i in range(2, 51):
            s.command("merge", "1", str(i))
        events = s.ask("show", "1")["events"]
        equal(len(events), 40)
        check(1 in [e["id"] for e in events], "the first event of the finding itself")
        equal([e["time"] for e in events], sorted((e["time"] for e in events), reverse=True))
        equal(s.ask("show", "1", "--event", "20")["event"], 20)


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


def states_that_contradict_are_refused():
    with Service(start=False) as s:
        take(s, event("a", "1"), event("b", "2", ago=30 * 86400))
        for words in (("--new", "--open"), ("--open", "--new"), ("--state", "new", "--new")):
            equal([row["id"] for row in s.findings(*words)], [1], words)
        for words in (("--new", "--state", "fixed"), ("--state", "all", "--open")):
            check("contradict" in s.command("findings", *words, status=2), words)


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
                             ("close_d", 1), ("/srv/APP", 3), ("buffer-overflow", 3), ("open_d close_a", 0)):
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
             record("repeat", "r-1", of="?", count=2), record("summary", "s-1", seconds=1800.0),
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


def alerts_come_once_for_each_environment():
    with Service(start=False) as s:
        log = s.root + "/alerts"
        s.options += ["--alert-command", f"cat >> {log}; echo >> {log}"]
        s.start()
        begin = time.time()
        append(s.directory,
               *[event("a", f"{i}", environment=e) for i, e in enumerate(("ci", "ci", "production", "ci"))])

        def told():
            """Whole lines: the command writes the line feed later."""
            if not os.path.exists(log):
                return []
            with open(log, encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().split("\n")[:-1]]

        s.wait(lambda: len(told()) == 1)
        check(time.time() - begin > 2.5, "names that come in may show that a finding is not new")
        s.wait(lambda: len(told()) == 2)
        equal([(t["kind"], t["environment"], t["finding"]) for t in told()],
              [("new", "ci", 1), ("new", "production", 1)])
        check("close_a" in told()[0]["text"] or "open_a" in told()[0]["text"])
        s.command("fix", "1")
        append(s.directory, *[event("a", f"n{i}", environment="ci", build=build("z")) for i in range(3)])
        s.wait(lambda: len(told()) == 3)
        equal(told()[2]["kind"], "reopened")
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)


def an_alert_that_failed_is_told_later_whole_and_once():
    with Service(start=False) as s:
        log = s.root + "/alerts"
        take(s, event("a", "1", environment="ci"), event("b", "2"), event("c", "3", environment="qa"))
        database = sqlite3.connect(s.directory + "/ringfence.db")
        database.execute("UPDATE activity SET alert = 1, time = time - 10000")
        database.commit()
        s.options = ["--alert-command", f"cat >> {log}; echo >> {log}; exit 1"]
        s.start()
        s.wait(lambda: "an alert failed: the command" in s.log())
        s.command("merge", "1", "3")
        time.sleep(1.2)
        equal(s.log().count("an alert failed"), 1, "it is tried again a minute later, and holds the others up")
        s.stop()
        s.options[1] = f"cat >> {log}; echo >> {log}"
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        equal(sorted(database.execute("SELECT alert, count(*) FROM activity WHERE kind = 'new' GROUP BY 1").fetchall()),
              [(0, 1), (2, 2)])
        database.close()
        with open(log, encoding="utf-8") as file:
            told = [json.loads(line) for line in file]
        equal([t["finding"] for t in told], [1, 1, 2])
        shown = s.ask("show", "1")
        wanted = {"kind": "new", "environment": "ci", **{name: shown[name] for name in ("bug", "title", "place")}}
        equal({name: told[1][name] for name in wanted}, wanted)
        equal(told[1]["url"], f"http://127.0.0.1:{s.port}/finding/1")
        for word in ("new in ci", shown["bug"], shown["title"], shown["place"]):
            check(word in told[1]["text"], told[1])


def a_webhook_is_posted_to_and_tried_again():
    if shutil.which("curl") is None:
        print("     (no curl: left out)")
        return
    got = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Service("--webhook", f"http://127.0.0.1:{server.server_port}/hook?secret=1&tags[]=a&set={{1,2}}") as s:
            append(s.directory, event('quote"d', "1"))
            s.wait(lambda: got)
            equal(got[0][0], "/hook?secret=1&tags[]=a&set={1,2}")
            check('quote"d' in got[0][1]["text"] and got[0][1]["url"].endswith("/finding/1"), got)
        server.shutdown()
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: "an alert failed: the command" in s.log())
        equal(s.ask("status")["alerts_waiting"], 1)


def links_of_alerts_lead_where_others_find_the_page():
    for hosts, page in [(["https://rf.example.org/"], "https://rf.example.org"), (["a.example"], "http://127.0.0.1"),
                        (["a.example", "http://b.example:8080", "https://c.example"], "http://b.example:8080")]:
        with Service(start=False) as s:
            log = s.root + "/alert"
            s.options += ["--alert-command", f"cat >{log}.part; mv {log}.part {log}"]
            s.options += [word for host in hosts for word in ("--host", host)]
            s.start()
            append(s.directory, event("a", "1"))
            s.wait(lambda: os.path.exists(log))
            with open(log, encoding="utf-8") as file:
                url = json.load(file)["url"]
            equal(url, (page if page != "http://127.0.0.1" else f"{page}:{s.port}") + "/finding/1")
            equal([s.http("GET", "/", host=host.split("//")[-1].rstrip("/")).status for host in hosts],
                  [200] * len(hosts))


def a_clock_that_was_set_back_holds_no_alert_up():
    with Service("--alert-command", "cat >> told", start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        database = sqlite3.connect(s.directory + "/ringfence.db")
        equal(database.execute("UPDATE activity SET alert = 1, time = time + 86400000").rowcount, 1)
        database.commit()
        database.close()
        s.options[1] = "cat >> " + s.root + "/told"
        s.start()
        s.wait(lambda: os.path.exists(s.root + "/told"))


def a_collector_that_ends_leaves_no_alert_that_runs():
    """Nor a child of the alert's shell. The folder is free for the next collector at once."""
    for how in (signal.SIGKILL, signal.SIGTERM):
        with Service(start=False) as s:
            inner, beside = s.root + "/inner", s.root + "/beside"
            s.options += ["--alert-command", f"echo $$ > {beside}; sh -c 'echo $$ > {inner}; exec sleep 600'; true"]
            s.start()
            append(s.directory, event("a", "1"))
            pids = [s.wait(lambda path=path: os.path.exists(path) and open(path, encoding="ascii").read().strip())
                    for path in (inner, beside)]
            check(not any(map(service.has_ended, pids)), pids)
            s.stop(how)
            s.wait(lambda: all(map(service.has_ended, pids)))
            s.options = []
            s.start()


def what_an_alert_leaves_in_the_background_goes_on():
    with Service(start=False) as s:
        background = s.root + "/background"
        s.options += ["--alert-command", f"sh -c 'echo $$ > {background}; exec sleep 60' & :"]
        s.start()
        append(s.directory, event("a", "1"))
        pid = s.wait(lambda: os.path.exists(background) and open(background, encoding="ascii").read().strip())
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        check(not service.has_ended(pid))
        os.kill(int(pid), signal.SIGKILL)


def watch_tells_what_happens():
    with Service() as s:
        append(s.directory, event("old", "1"))
        s.wait(lambda: s.findings() != [])
        watch = subprocess.Popen([service.SERVE, "watch", "--dir", s.directory], stdout=subprocess.PIPE)
        time.sleep(0.3)
        append(s.directory, event("young", "2", environment="ci"))
        line = watch.stdout.readline().decode()
        s.command("ignore", "2", "--because", "known")
        when, bug = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"  heap-buffer-overflow at open_young src/app\.c:10\n"
        check(re.fullmatch(when + "  new        #2      ci" + bug, line), line)
        line = watch.stdout.readline().decode()
        check(re.fullmatch(when + "  ignored    #2      " + bug, line), line)
        watch.kill()
        watch.wait()
        watch.stdout.close()
        words = [service.SERVE, "watch", "--json", "--dir", s.directory]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as watch:
            time.sleep(0.3)
            for id in "12":
                s.command("fix", id)
                got = json.loads(watch.stdout.readline())["activity"]
                equal([(a["kind"], a["finding"]) for a in got], [("fixed", int(id))])
            watch.kill()


def names_that_come_in_later_make_two_findings_one():
    """Offsets differ in two builds; the function that they lie in is one. The program is the collector itself."""
    symbols = subprocess.run(["nm", service.SERVE], stdout=subprocess.PIPE, check=False).stdout.decode()
    address = re.search(r"^([0-9a-f]+) [tT] rf_store_open$", symbols, re.M)
    if address is None:
        print("     (no nm, or no symbols: left out)")
        return

    def nameless(offset):
        return {"thread": 1,
                "frames": [{"pc": "0x1", "module": service.SERVE, "offset": hex(int(address[1], 16) + offset)}]}

    with Service(start=False) as s:
        take(s, event("x", "1", f_allocated=nameless(9), f_found=nameless(9)),
             event("x", "2", f_allocated=nameless(20), f_found=nameless(20)))
        rows = s.findings()
        equal([(row["count"], row["merged"]) for row in rows], [(2, 1)])
        check("rf_store_open" in rows[0]["place"], rows[0]["place"])
        take(s, event("x", "3", f_allocated=nameless(20), f_found=nameless(20)))
        equal(s.findings()[0]["count"], 3)
        take(s, *(event("x", f"{id}", f_allocated=nameless(offset), f_found=nameless(offset))
                  for id, offset in enumerate((9, 20, 9, 20), 4)))
        equal(s.findings()[0]["count"], 7, "by both keys at once")


def main_of(program):
    return {"thread": 1, "frames": [dict(service.frame("main", 7), module=program)]}


def in_main_of(program, id):
    return event("x", id, f_allocated=main_of(program), f_found=main_of(program))


def bugs_in_the_main_of_two_programs_are_two():
    with Service(start=False) as s:
        take(s, in_main_of("/srv/one", "1"))
        s.command("ignore", "1", "--because", "a test plants it")
        take(s, in_main_of("/srv/two", "2"), in_main_of("/build/one", "3"))
        equal(sorted((row["id"], row["count"], row["state"]) for row in s.findings("--state", "all")),
              [(1, 2, "ignored"), (2, 1, "open")])


def findings_of_an_older_identity_go_on():
    """In version 1 of the identity a main alone counted without its program."""
    key = 0xCBF29CE484222325
    for byte in b"heap-buffer-overflow\0allocation\0main\0":
        key = (key ^ byte) * 0x100000001B3 % 2**64
    key -= 2**64 if key >> 63 else 0
    with Service(start=False) as s:
        take(s, in_main_of("/srv/one", "1"))
        s.command("ignore", "1", "--because", "a test plants it")
        old = sqlite3.connect(os.path.join(s.directory, "ringfence.db"), isolation_level=None)
        old.execute("UPDATE finding SET key = ?, algorithm = 1", (key,))
        old.execute("UPDATE key SET key = ?", (key,))
        take(s, in_main_of("/srv/one", "2"))
        equal([(row["id"], row["count"], row["state"]) for row in s.findings("--state", "all")], [(1, 2, "ignored")])
        equal(s.ask("show", "1")["algorithm"], 2)
        equal(old.execute("SELECT finding FROM key WHERE key = ?", (key,)).fetchone(), (1,), "an alias")
        old.close()


service.main([
    # The longest come first.
    links_of_alerts_lead_where_others_find_the_page, alerts_come_once_for_each_environment,
    a_webhook_is_posted_to_and_tried_again, a_collector_that_ends_leaves_no_alert_that_runs,
    what_an_alert_leaves_in_the_background_goes_on,
    a_list_is_in_the_order_and_of_the_part_that_is_asked_for, a_list_counts_what_each_state_has,
    a_finding_is_shown_with_what_is_near_it, the_number_of_a_fix_counts_all_parts_and_builds_in_their_order,
    what_happened_is_told_from_a_number_on, the_store_tells_of_itself, pieces_have_what_their_events_had,
    a_fix_is_in_the_build_that_the_beginning_of_its_name_will_name,
    a_fix_is_in_a_build_whose_name_other_records_told, labels_and_times_are_those_of_the_events_that_each_piece_has,
    what_a_split_leaves_is_counted_by_its_rule, an_alert_that_failed_is_told_later_whole_and_once,
    a_finding_is_new_and_back_once_in_each_environment, news_of_a_part_is_told_of_the_whole,
    a_fix_is_known_by_each_name_of_its_build, a_build_that_was_told_of_is_as_new_as_that,
    decisions_undo_one_another_whole, what_is_merged_tells_who_is_part_of_whom,
    a_part_that_came_after_the_fix_brings_it_back,
    bugs_in_the_main_of_two_programs_are_two, findings_of_an_older_identity_go_on,
    a_fix_is_undone_only_by_a_build_that_has_it, the_order_of_builds_is_what_ci_says, watch_tells_what_happens,
    a_fix_without_a_commit_is_in_the_next_build, fixed_has_a_number, ignored_needs_a_reason_and_stays_ignored,
    an_option_that_is_none_is_named_and_no_more, what_became_of_a_finding_is_listed,
    merged_findings_are_one_until_they_are_split, a_part_that_was_taken_out_stays_alone,
    a_merged_finding_is_as_old_as_its_oldest_part, of_a_merged_finding_its_own_event_is_shown,
    a_build_says_whether_its_order_is_guessed, what_was_merged_is_not_told_of,
    a_finding_without_its_newest_event_ends_with_the_one_before, merged_findings_are_found_by_what_any_of_them_had,
    builds_count_what_the_list_shows_of_them, builds_of_a_long_history_are_listed_at_once,
    a_finding_is_split_by_a_rule_and_made_one_again, a_split_says_what_it_could_not_move,
    names_that_are_empty_or_wrong_are_refused, a_word_that_is_no_number_is_named_for_what_it_is,
    an_event_that_is_not_kept_is_not_shown_as_another, the_first_event_of_a_finding_of_many_parts_is_listed,
    json_is_one_document_and_failures_leave_it_empty, states_that_contradict_are_refused,
    events_are_taken_out_of_a_finding, why_tells_the_keys, the_gate_fails_on_what_nobody_has_decided_on,
    filters_and_words_choose, a_clock_that_was_set_back_holds_no_alert_up,
    names_that_come_in_later_make_two_findings_one])
