#!/usr/bin/env python3
"""Members of a finding that follow from its events: the same however the events came to be of one finding."""

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
            "times": [shown[name][:16] for name in ("first_seen", "last_seen")]}


def commits(text):
    return [letter * 40 for letter in text]


def events_of(places):
    """Events of builds a, b and c, the second with the longest stack, the last two with one bit off."""
    deep = {"thread": 1, "frames": [service.frame("deep", 70 + i) for i in range(5)]}
    return [event(place, f"e{i}", mode=mode, ago=1000.0 - 100 * i, build=build("abc"[i]), f_value=0xFC if i else 0,
                  **({"f_released": deep} if i == 1 else {}))
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
        equal(shown["times"], [min(b["first_seen"] for b in s.ask("show", "1")["builds"])[:16],
                               max(b["last_seen"] for b in s.ask("show", "1")["builds"])[:16]])
        s.command("split", "2")
        equal([derived(s, id)["first_build"][0] for id in (1, 2)], ["a", "o"])
        equal([derived(s, id)["last_build"][0] for id in (1, 2)], ["a", "c"])


service.main([merged_findings_are_as_if_their_events_had_been_taken_in_together,
              a_split_finding_is_as_if_its_events_had_come_alone, the_build_of_repeats_that_stay_is_the_last_one,
              an_event_of_a_part_counts_for_the_whole])
