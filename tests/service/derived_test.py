#!/usr/bin/env python3
"""Members of a finding that follow from its events: the same however the events came to be of one finding."""

import time

import service
from service import Service, build, check, equal, event, record, take


def derived(s, id=1):
    """The members of the detail, and of the list."""
    shown = s.ask("show", str(id))
    row = [row for row in s.findings("--state", "all") if row["id"] == id][0]
    both = ("first_build", "last_build", "count", "damaged", "one_bit")
    equal([shown[name] for name in both], [row[name] for name in both], "the list and the detail")
    return {**{name: shown[name] for name in both},
            "roles": {role: [e["build"] for e in shown["events"] if e[role]] for role in ("first", "last", "richest")},
            "builds": [(b["name"], b["count"]) for b in shown["builds"]],
            "times": [shown[name] for name in ("first_seen", "last_seen")]}


def commits(text):
    return [letter * 40 for letter in text]


BEGIN = time.time()


def events_of(places):
    """Events of builds a, b and c, the second with the longest stack, the last two with one bit off; at the same times
    for every service of this test."""
    deep = {"thread": 1, "frames": [service.frame("deep", 70 + i) for i in range(5)]}
    return [event(place, f"e{i}", mode=mode, time=service.timestamp_at(BEGIN - 1000 + 100 * i), build=build("abc"[i]),
                  f_value=0xFC if i else 0, **({"f_released": deep} if i == 1 else {}))
            for i, (place, mode) in enumerate(zip(places, ("guard", "sample", "sample")))]


def at_once():
    with Service(start=False) as s:
        take(s, *events_of("aaa"))
        return derived(s)


def merged_findings_are_as_if_their_events_had_been_taken_in_together():
    wanted = at_once()
    equal(wanted["roles"], {"first": commits("a"), "last": commits("c"), "richest": commits("b")})
    equal((wanted["damaged"], wanted["one_bit"], wanted["last_build"]), (3, 2, "c" * 40))
    for pairs in ((("1", "2"), ("1", "3")), (("2", "3"), ("1", "2"))):
        with Service(start=False) as s:
            take(s, *events_of("abd"))
            for pair in pairs:
                s.command("merge", *pair)
            equal(derived(s), wanted, pairs)


def a_split_finding_is_as_if_its_events_had_come_alone():
    whole = at_once()
    with Service(start=False) as s:
        take(s, *events_of("aaa")[:1])
        first = derived(s)
    with Service(start=False) as s:
        take(s, *events_of("aaa")[1:])
        others = derived(s)
    with Service(start=False) as s:
        take(s, *events_of("aaa"))
        s.command("split", "1", "--by", "mode")
        equal([derived(s, id) for id in (1, 2)], [first, others])
        s.command("split", "1", "--undo")
        equal(derived(s), whole)
    for rule in ("build", "events"):
        with Service(start=False) as s:
            take(s, *events_of("aaa"))
            of_others = [str(e["id"]) for e in s.ask("show", "1")["events"] if e["build"][0] != "a"]
            s.command("split", "1", *(("--by", "build") if rule == "build" else ("--events", ",".join(of_others))))
            equal(derived(s), first, rule)
            s.command("split", "1", "--undo")
            equal(derived(s), whole, rule)


def of_events_that_are_equally_rich_the_one_that_came_first_is_the_richest_of_a_piece():
    """Where it is split off, and where it is left: the richest of all was of the other piece."""
    deep = {"thread": 1, "frames": [service.frame("deep", 70 + i) for i in range(5)]}

    def events(modes, rich, step):
        return [event("a", f"e{i}", mode=mode, time=service.timestamp_at(BEGIN - 1000 + step * i),
                      build=build("abcde"[i]), **({"f_released": deep} if i == rich else {}))
                for i, mode in enumerate(modes)]

    for modes, rich, wanted, step in ((("guard", "sample", "sample", "sample"), 0, ("a", "b"), 100),
                                      (("guard", "guard", "sample", "guard"), 2, ("a", "c"), 100),
                                      (("guard", "sample", "guard"), 1, ("a", "b"), -100),
                                      (("guard", "guard", "sample", "guard", "sample"), 2, ("c", "a"), -100),
                                      (("sample", "sample", "sample", "guard"), 3, ("d", "a"), -100)):
        with Service(start=False) as s:
            for line in events(modes, rich, step):
                take(s, line)  # of one transaction those between are not kept
            s.command("split", "1", "--by", "mode")
            equal([[name[0] for name in derived(s, id)["roles"]["richest"]] for id in (1, 2)], [[w] for w in wanted],
                  modes, step)


def findings_that_come_after_a_split_have_numbers_of_their_own():
    """The split was made while serve runs, by a page or by a command."""
    with Service() as s:
        service.post(s, *(event(place, f"{place}{i}", environment=f"e{i}") for place in "ab" for i in range(2)))
        reply = s.http("POST", "/api/v1/findings/1/split", "text=environment", Authorization="Bearer " + s.token())
        equal(reply.status, 200)
        equal(service.post(s, event("c", "5"))["taken"], 1)
        s.command("split", "2", "--by", "environment")
        equal(service.post(s, event("d", "6"))["taken"], 1)
        equal(sorted(row["id"] for row in s.findings()), [1, 2, 3, 4, 5, 6])


def pieces_of_a_part_that_are_one_again_count_for_the_whole():
    with Service(start=False) as s:
        take(s, *events_of("aaa"), event("b", "4", ago=2000, build=build("o")))
        alone = derived(s)
        s.command("merge", "2", "1")
        wanted = derived(s, 2)
        s.command("split", "1", "--by", "mode")
        equal([derived(s, id)["count"] for id in (2, 3)], [2, 2])
        s.command("split", "1", "--undo")
        equal(derived(s, 2), wanted)
        equal([row["id"] for row in s.findings()], [2])
        s.command("split", "1")
        equal([derived(s, id)["count"] for id in (1, 2)], [3, 1])
        equal(derived(s), alone)


def the_build_of_repeats_that_stay_is_the_last_one():
    with Service(start=False) as s:
        take(s, event("a", "e-1-1-1", ago=900, build=build("a")), event("a", "e-2-1-1", ago=600, build=build("b")),
             record("repeat", "e-1-1-2", of="e-1-1-1", count=4, ago=5, build=build("c")))
        s.command("split", "1", "--by", "build")
        shown = s.ask("show", "1")
        equal((shown["last_build"], shown["builds"][0]["name"]), ("c" * 40, "c" * 40))
        equal(shown["last_seen"], shown["builds"][0]["last_seen"])


def an_event_of_a_part_counts_for_the_whole():
    with Service(start=False) as s:
        take(s, event("a", "1", ago=900, build=build("a")), event("b", "2", ago=600, build=build("b")))
        s.command("merge", "1", "2")
        take(s, event("b", "3", ago=5, build=build("c")), event("b", "4", ago=2000, build=build("o")))
        shown = derived(s)
        equal((shown["first_build"][0], shown["last_build"][0]), ("o", "c"))
        equal(shown["times"], [min(b["first_seen"] for b in s.ask("show", "1")["builds"]),
                               max(b["last_seen"] for b in s.ask("show", "1")["builds"])])
        s.command("split", "2")
        equal([derived(s, id)["first_build"][0] for id in (1, 2)], ["a", "o"])
        equal([derived(s, id)["last_build"][0] for id in (1, 2)], ["a", "c"])


def in_order(s, *letters):
    for i, letter in enumerate(letters):
        s.command("builds", "--add", letter * 40, "--time", f"2026-01-0{i + 1}T00:00:00Z")


def fresh_in(s, id=1):
    """The first build, as the list, the detail, the builds and the gate have it."""
    first = derived(s, id)["first_build"]
    rows = {b["name"]: b["new_findings"] for b in s.ask("builds")["builds"]}
    equal([name for name, new in rows.items() if new], [first], "builds")
    for name in rows:
        s.command("gate", "--new-in", name, status=99 if name == first else 0)
    return first[0]


def the_first_build_is_the_earliest_in_the_order_not_the_one_that_came_first():
    late = event("a", "1", build=build("b")), event("a", "2", ago=7200, build=build("a"))
    for orders in (0, 1, 2):  # told before, and after
        with Service(start=False) as s:
            if orders == 1:
                in_order(s, "a", "b")
            take(s, late[0])
            equal(fresh_in(s), "b")
            take(s, late[1])
            if orders == 2:
                in_order(s, "a", "b")
            equal(fresh_in(s), "a", orders)
            equal([e["build"][0] for e in s.ask("show", "1")["events"] if e["first"]], ["a"])
    with Service(start=False) as s:
        take(s, *late)
        equal(fresh_in(s), "a", "in one transaction")
    with Service(start=False) as s:
        in_order(s, "a", "b")
        take(s, event("a", "1", build=build("b")))
        take(s, event("a", "2", build=build("a")), event("a", "3", build=build("b")))
        equal(fresh_in(s), "a", "in a transaction that ends with the build that is known")
    with Service(start=False) as s:
        take(s, *late)
        in_order(s, "b", "a")
        equal(fresh_in(s), "b", "CI knows, and the clock of that machine may be wrong")
        equal(s.ask("show", "1")["first_seen"], s.ask("show", "1")["builds"][0]["first_seen"])
        in_order(s, "a", "b")
        equal(fresh_in(s), "a", "as it was told last")


def the_order_of_builds_holds_for_parts_and_pieces():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("b")), event("b", "2", build=build("c")))
        s.command("merge", "1", "2")
        in_order(s, "a", "b", "c")
        take(s, event("b", "3", build=build("a")))
        equal(fresh_in(s), "a", "seen there last, in the earliest build")
        in_order(s, "c", "b", "a")
        equal(fresh_in(s), "c")
        s.command("split", "2")
        equal([derived(s, id)["first_build"][0] for id in (1, 2)], ["b", "c"])


def a_build_without_a_place_is_first_where_its_event_is():
    with Service(start=False) as s:
        in_order(s, "a", "b")
        take(s, event("a", "1", ago=300, build=build("b")), event("a", "2", ago=200, build=build("a")),
             event("a", "3", ago=250, build=build("x")))
        equal(fresh_in(s), "a", "the earliest event is of b, and a stands before b")
        take(s, event("a", "4", ago=400, build=build("x")))
        equal(fresh_in(s), "x", "nobody knows whether a or b stand before it")
    with Service(start=False) as s:
        s.command("builds", "--add", "a" * 40, "--time", "2099-01-01T00:00:00Z")
        take(s, event("a", "1", ago=300, build=build("a")), event("a", "2", ago=200, build=build("x")))
        equal(fresh_in(s), "a", "x has no place before a, whatever time a was given")


def of_builds_that_were_seen_at_the_same_time_the_later_one_is_the_last():
    at = service.timestamp_at(BEGIN - 5)
    for together in (True, False):
        with Service(start=False) as s:
            lines = [event("a", f"{letter}", time=at, build=build(letter)) for letter in "ab"]
            for part in ([lines] if together else [lines[:1], lines[1:]]):
                take(s, *part)
            equal(derived(s)["last_build"][0], "b", together)


def an_event_of_an_earlier_time_is_kept_as_the_first():
    with Service(start=False) as s:
        for i in range(40):
            take(s, event("a", f"{i}", ago=10.0 + 10 * i, host=f"h{i}"))
        shown = s.ask("show", "1")
        equal([(e["host"], e["time"]) for e in shown["events"] if e["first"]], [("h39", shown["first_seen"])])
        equal([e["host"] for e in shown["events"] if e["last"]], ["h0"])
        check(8 < len(shown["events"]) < 16, len(shown["events"]), "the middle is thinned")


def the_roles_of_many_parts_are_listed():
    with Service(start=False) as s:
        take(s, *(event(f"p{i}", f"{i}", ago=1000.0 + i, f_value=0xFC) for i in range(60)))
        for i in range(2, 61):
            s.command("merge", "1", str(i))
        shown = s.ask("show", "1")
        equal(len(shown["events"]), 40)
        equal([[e["time"] for e in shown["events"] if e[role]] for role in ("first", "last")],
              [[shown["first_seen"]], [shown["last_seen"]]])
        equal([e["id"] for e in shown["events"] if e["richest"]], [shown["event"]])


def a_part_tells_of_the_finding_that_it_belongs_to_and_has_its_state():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("b", "2", build=build("a")))
        s.command("merge", "1", "2")
        check(s.command("show", "2").startswith("finding 2 is part of finding 1, which is new\n"))
        check("is part of" not in s.command("show", "1"))
        s.command("ignore", "2", "--because", "a test plants it")
        part = s.ask("show", "2")
        equal(list(part)[:2], ["id", "merged_into"])
        equal([part[name] for name in ("state", "new", "because", "count")], ["ignored", False, "a test plants it", 1])
        s.command("fix", "1", "--in", "b" * 40)
        part, whole = s.ask("show", "2"), s.ask("show", "1")
        for name in ("state", "new", "fixed_in", "fixed_at", "since_fix"):
            equal(part[name], whole[name], name)
        said = s.command("show", "2")
        check(said.startswith("finding 2 is part of finding 1, which is fixed\n"), said)
        equal([line.split()[1] for line in said.splitlines() if line.startswith("  state")], ["fixed"])
        s.start()
        page = s.http("GET", "/finding/2").text
        note = page.index('Part of finding <a href="/finding/1">#1</a>, which is fixed.')
        check(note < page.index("<h1>") and "badge new" not in page and "badge fixed" in page, page[:2000])
        s.stop()
        s.command("split", "2")
        equal([s.ask("show", "2").get(name) for name in ("merged_into", "state")], [None, "open"])
    with Service(start=False) as s:
        take(s, event("a", "1", ago=10 * 86400.0), event("b", "2"))
        equal(s.ask("show", "2")["new"], True)
        s.command("merge", "1", "2")
        equal([s.ask("show", id)["new"] for id in ("1", "2")], [False, False], "as the whole")


def an_event_of_a_part_is_taken_out_of_the_part():
    with Service(start=False) as s:
        take(s, *(event(place, f"{place}{i}", program=f"/srv/{i}") for place in "ab" for i in range(2)))
        s.command("merge", "1", "2")
        events = [e["id"] for e in s.ask("show", "1")["events"]]
        theirs = [e["id"] for e in s.ask("show", "2")["events"]]
        equal((len(events), len(theirs), set(theirs) < set(events)), (4, 2, True), "all are listed with the whole")
        for numbers in (f"{theirs[0]}", f"{min(events)},{theirs[0]}"):
            said = s.command("split", "1", "--events", numbers, status=1)
            check(f"event {theirs[0]} is of finding 2, a part of this one: split that one" in said, said)
        check("show ID" in s.command("split", "1", "--events", "99", status=1), "of nobody")
        s.command("split", "2")
        said = s.command("split", "2", "--events", f"{theirs[0]}")
        check("1 event of finding 2 is finding 3 now" in said, said)


service.main([merged_findings_are_as_if_their_events_had_been_taken_in_together,
              a_split_finding_is_as_if_its_events_had_come_alone, the_build_of_repeats_that_stay_is_the_last_one,
              pieces_of_a_part_that_are_one_again_count_for_the_whole,
              an_event_of_a_part_counts_for_the_whole,
              the_first_build_is_the_earliest_in_the_order_not_the_one_that_came_first,
              the_order_of_builds_holds_for_parts_and_pieces, a_build_without_a_place_is_first_where_its_event_is,
              of_builds_that_were_seen_at_the_same_time_the_later_one_is_the_last,
              of_events_that_are_equally_rich_the_one_that_came_first_is_the_richest_of_a_piece,
              an_event_of_an_earlier_time_is_kept_as_the_first, the_roles_of_many_parts_are_listed,
              an_event_of_a_part_is_taken_out_of_the_part,
              a_part_tells_of_the_finding_that_it_belongs_to_and_has_its_state,
              findings_that_come_after_a_split_have_numbers_of_their_own])
