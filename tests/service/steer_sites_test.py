#!/usr/bin/env python3
"""Call sites near open findings, which processes watch more often."""

import time

import service
from service import Service, append, check, equal, event
from steered import Steered, policy, rule


def site_key(finding):
    """As processes make it of the innermost four return addresses: tests/checkers/policy_test.cc."""
    frames = finding["allocated"]["frames"][:4]
    key = len(frames)
    for frame in frames:
        key = (key ^ (int(frame["pc"], 16) & 0xFFF)) * 0x9E3779B97F4A7C15 % 2**64
    return key >> 32 or 1


def sites_near_open_findings_are_raised():
    with Service() as s:
        process = Steered(s, "damage", options="mode=guard:halt=0")
        rule(s, "sweep")
        s.wait(lambda: s.findings())
        process.end()
        sites = s.wait(lambda: policy(s)["sites"])
        record = s.ask("show", "1")["record"]
        equal(sites, [(int(record["build"]["build_id"][:16], 16), site_key(record["finding"]), 1)])
        equal([row["finding"] for row in s.ask("steer")["sites"]], [1])
        page = s.http("GET", "/steering").text
        check("Call sites near open findings" in page and "<tr><td><a href=\"/finding/1\">finding 1</a>" in page, page)
        steps = s.ask("steer", "log")["steps"]
        check(any(step["finding"] == 1 and step["done"] == "call site raised" and "finding 1 is open" in step["because"]
                  for step in steps), steps)
        s.command("fix", "1")
        s.wait(lambda: not policy(s)["sites"])
        step = s.ask("steer", "log")["steps"][0]
        equal((step["finding"], step["done"], step["because"]),
              (1, "call site no longer raised", "finding 1 is fixed"))
        s.command("reopen", "1")
        s.wait(lambda: policy(s)["sites"])


def findings_without_a_build_id_have_no_site():
    with Service() as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings())
        time.sleep(1.2)
        equal(policy(s)["sites"], [])


def of_commit(place, id, commit, **more):
    """An event of a build with a build-id; its program's call site has addresses of its own."""
    return event(place, id, build={"version": "", "commit": commit * 40, "build_id": commit * 16}, **more)


def sites_follow_what_becomes_of_findings():
    def sites():
        return sorted((number, hex(key)[2]) for key, _, number in policy(s)["sites"])

    with Service() as s:
        append(s.directory, of_commit("a", "1", "a", ago=50), of_commit("b", "2", "b", ago=40),
               event("c", "3", build={"version": "7", "commit": "", "build_id": ""}, ago=30),
               of_commit("d", "4", "d", ago=20, f_allocated={"thread": 1, "frames": []}))
        s.wait(lambda: sites() == [(1, "a"), (2, "b")])
        equal([(row["finding"], row["build"][0]) for row in s.ask("steer")["sites"]], [(2, "b"), (1, "a")])
        equal(sites()[0][0] and [key for _, key, number in policy(s)["sites"] if number == 1],
              [site_key(s.ask("show", "1")["record"]["finding"])])
        told = s.ask("steer", "log")["steps"]
        equal(sorted((step["finding"], step["rule"], step["done"]) for step in told),
              [(1, 0, "call site raised"), (2, 0, "call site raised")])
        append(s.directory, of_commit("a", "5", "e"))
        s.wait(lambda: sites() == [(1, "e"), (2, "b")])
        equal(len(s.ask("steer", "log")["steps"]), 2, "the same site, of another build")
        s.command("merge", "1", "2")
        s.wait(lambda: sites() == [(1, "e")])
        s.command("ignore", "1", "--because", "x")
        s.wait(lambda: sites() == [])
        equal([(step["finding"], step["done"], step["because"]) for step in s.ask("steer", "log")["steps"][:2]],
              [(1, "call site no longer raised", "finding 1 is ignored"),
               (2, "call site no longer raised", "finding 2 is part of 1")])
        s.command("fix", "1")
        append(s.directory, of_commit("a", "6", "f"))
        s.wait(lambda: sites() == [(1, "f")])
        equal(s.ask("show", "1")["state"], "reopened")
        equal(len(s.ask("steer", "log")["steps"]), 5)
        s.command("split", "2")
        s.wait(lambda: sites() == [(1, "f"), (2, "b")])


def a_policy_has_the_sites_that_were_seen_last():
    with Service() as s:
        append(s.directory, *(of_commit(f"p{i}", f"{i}", "a", ago=3000 - i) for i in range(300)))
        s.wait(lambda: len(policy(s)["sites"]) == 256)
        numbers = {number for _, _, number in policy(s)["sites"]}
        s.wait(lambda: {number for _, _, number in policy(s)["sites"]} == set(range(45, 301)))
        check(numbers, numbers)
        s.command("ignore", "300", "--because", "x")
        s.wait(lambda: 300 not in {number for _, _, number in policy(s)["sites"]})


service.main([
    sites_near_open_findings_are_raised, findings_without_a_build_id_have_no_site,
    sites_follow_what_becomes_of_findings, a_policy_has_the_sites_that_were_seen_last,
])
