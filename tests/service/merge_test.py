#!/usr/bin/env python3
"""What is one finding: keys, merging, splitting, and names that come in later."""

import os
import re
import sqlite3
import subprocess

import service
from service import Service, append, build, check, equal, event, record, state, take


def main_of(program):
    return {"thread": 1, "frames": [dict(service.frame("main", 7), module=program)]}


def in_main_of(program, id):
    return event("x", id, f_allocated=main_of(program), f_found=main_of(program))


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


def what_was_merged_is_not_told_of():
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1"), event("b", "2"))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 2)
        s.command("merge", "1", "2")
        equal(s.ask("status")["alerts_waiting"], 1)


def what_was_merged_is_told_of_in_an_environment_that_is_new_to_the_whole():
    with Service("--alert-command", "exit 1") as s:
        append(s.directory, event("a", "1", environment="ci"), event("b", "2", environment="ci"),
               event("b", "3", environment="live"), event("c", "4", environment="live"))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 4)
        s.command("merge", "1", "2")
        equal(s.ask("status")["alerts_waiting"], 3)
        equal([(a["kind"], a["environment"]) for a in s.ask("show", "1")["activity"] if a["environment"]],
              [("new", "live"), ("new", "ci")])
        s.command("merge", "1", "3")
        equal(s.ask("status")["alerts_waiting"], 2, "another part has been there")
        append(s.directory, event("d", "5", environment="moon"))
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 3)
        s.command("ignore", "1", "--because", "known")
        s.command("merge", "1", "4")
        equal(s.ask("status")["alerts_waiting"], 2, "nobody wants to know")


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
              event("a", "5", mode="guard", count=11, host="A", build=build("e"))]

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
                           "events": ["e", "a"], "roles": ["a", "e", "a"]})
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


def repeats_of_an_event_count_where_the_event_is():
    """Also where it has gone to another finding since, is not kept there, or came before the split."""
    other = {"thread": 1, "frames": [service.frame("other", 77), service.frame("main", 30)]}
    for rule, more in (("mode", {"mode": "sample"}), ("access", {"f_found": other}), ("events", {"mode": "sample"})):
        with Service(start=False) as s:
            def counts():
                return {row["id"]: row["count"] for row in s.findings()}

            def repeat(number, of, **more):
                return record("repeat", f"b-{of}-1-{number}", of=f"b-{of}-1-1", count=10, **more)

            plain = {name: value for name, value in more.items() if name == "mode"}
            take(s, event("a", "b-1-1-1"), record("repeat", "b-1-1-2", of="b-1-1-1", count=10))
            take(s, event("a", "b-2-1-1", **more))
            s.command("split", "1", *(("--events", "2") if rule == "events" else ("--by", rule)))
            equal(counts(), {1: 11, 2: 1}, rule)
            take(s, repeat(3, 1), repeat(3, 2, **plain))
            equal(counts(), {1: 21, 2: 11}, rule)
            s.command("split", "1", "--undo")
            take(s, repeat(4, 1), repeat(4, 2, **plain))
            equal(counts(), {1: 52}, rule)
            s.command("split", "2")
            equal(counts(), {1: 31, 2: 21}, rule)
    for rule, one, two in (("program", "/srv/one", "/srv/two"), ("environment", "ci", "qa"), ("mode", "guard", "page")):
        with Service(start=False) as s:
            take(s, *(event("a", f"b-{i}-1-1", ago=99 - i, **{rule: two if i % 2 else one}) for i in range(40)))
            s.command("split", "1", "--by", rule)
            before = {row["id"]: row["count"] for row in s.findings()}
            take(s, record("repeat", "b-31-1-2", of="b-31-1-1", count=100, **{rule: two}),
                 record("repeat", "b-30-1-2", of="b-30-1-1", count=1000, **{rule: one}))
            equal({row["id"]: row["count"] for row in s.findings()}, {1: before[1] + 1000, 2: before[2] + 100}, rule)


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
        take(s, event("a", "4", environment="ci"))
        s.command("split", "1", "--by", "environment")
        answer = s.ask("why", "1", "4")
        equal((answer["one"], answer["a"]["key"] == answer["b"]["key"]), (False, True), "a piece, with the same stacks")


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
        equal(s.ask("show", "1")["algorithm"], 3)
        equal(old.execute("SELECT finding FROM key WHERE key = ?", (key,)).fetchone(), (1,), "an alias")
        old.close()


service.main([
    # The longest come first.
    pieces_have_what_their_events_had, labels_and_times_are_those_of_the_events_that_each_piece_has,
    what_a_split_leaves_is_counted_by_its_rule, repeats_of_an_event_count_where_the_event_is,
    what_is_merged_tells_who_is_part_of_whom, a_part_that_came_after_the_fix_brings_it_back,
    bugs_in_the_main_of_two_programs_are_two, findings_of_an_older_identity_go_on,
    merged_findings_are_one_until_they_are_split,
    a_part_that_was_taken_out_stays_alone, a_merged_finding_is_as_old_as_its_oldest_part,
    of_a_merged_finding_its_own_event_is_shown, what_was_merged_is_not_told_of,
    what_was_merged_is_told_of_in_an_environment_that_is_new_to_the_whole,
    a_finding_without_its_newest_event_ends_with_the_one_before, merged_findings_are_found_by_what_any_of_them_had,
    a_finding_is_split_by_a_rule_and_made_one_again, a_split_says_what_it_could_not_move,
    the_first_event_of_a_finding_of_many_parts_is_listed, events_are_taken_out_of_a_finding, why_tells_the_keys,
    names_that_come_in_later_make_two_findings_one])
