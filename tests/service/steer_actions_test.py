#!/usr/bin/env python3
"""Sweeps and snapshots of checked processes, by a rule or from time to time."""

import json
import os
import re
import time

import service
from service import Service, check, equal
from steered import Steered, rule


def blocks_are_swept_now():
    with Service() as s:
        process = Steered(s, "damage", options="mode=guard:halt=0")
        time.sleep(0.2)
        equal(s.findings(), [])
        rule(s, "sweep", "--program", "other")
        number = rule(s, "sweep", "--program", "steered")
        s.wait(lambda: s.findings())
        equal(s.findings()[0]["bug"], "heap-buffer-overflow")
        equal([r["reached"] for r in s.ask("steer")["rules"]], [0, 1])
        process.end()
        # A process that begins later was not meant.
        process = Steered(s, options="mode=guard")
        time.sleep(0.5)
        check(f"rule {number}: sweep" not in process.said(), process.said())
        process.end()


def snapshots_are_written_now():
    with Service() as s:
        log = os.path.join(s.root, "log.jsonl")
        process = Steered(s, options="mode=guard:format=json:log=" + log)
        number = rule(s, "snapshot")
        s.wait(lambda: os.path.exists(log) and os.path.getsize(log))
        with open(log, encoding="utf-8") as file:
            snapshot = json.loads(file.readline())
        equal((snapshot["type"], snapshot["name"]), ("snapshot", f"rule {number}"))
        equal(process.end(), 0)
        process = Steered(s, options="mode=sample")
        number = rule(s, "snapshot")
        s.wait(lambda: f"policy rule {number}: no snapshot" in process.said())
        equal(process.end(), 0)
        s.wait(lambda: any("no snapshot" in step["done"] for step in s.ask("steer", "log")["steps"]))
        rules = {row["rule"]: row["reached"] for row in s.ask("steer")["rules"]}
        equal(rules, {number - 1: 1, number: 0}, "one that was not taken does not count as taken")
        check("no snapshot: this mode has none, because: a process says so" in s.command("steer", "log"))


def names_of_snapshots(s):
    """The names of each process's snapshots, oldest first."""
    return [[row["name"] for row in s.ask("processes", str(p["id"]))["snapshots"]]
            for p in s.ask("processes")["processes"]]


def snapshots_come_from_time_to_time():
    for mode in ("guard:watch=0", "guard", "page"):
        with Service() as s:
            process = Steered(s, options=f"snapshot_every=1:mode={mode}")
            s.wait(lambda: names_of_snapshots(s) and len(names_of_snapshots(s)[0]) >= 2)
            equal(process.end(), 0)
            check("snapshot" not in process.text and "call site" not in process.text, process.text)
            check(all(re.fullmatch(r"after \d+ s", name) for name in names_of_snapshots(s)[0]))


def a_child_of_fork_takes_snapshots_of_its_own():
    with Service() as s:
        process = Steered(s, "fork", options="snapshot_every=1:mode=guard")
        s.wait(lambda: len(names_of_snapshots(s)) == 2)
        equal(process.end(), 0)


def a_rule_sets_how_often_snapshots_come():
    with Service() as s:
        process = Steered(s, options="mode=guard")
        number = rule(s, "set", "--options", "snapshot_every=1")
        s.wait(lambda: f"policy rule {number}: snapshot_every=1\n" in process.said())
        s.wait(lambda: names_of_snapshots(s))
        rule(s, "unset", str(number))
        s.wait(lambda: ": snapshot_every=0\n" in process.said())
        equal(process.end(), 0)
        check("watch=" not in process.text.split("begins")[1], process.text)
        process = Steered(s, options="mode=sample")
        number = rule(s, "set", "--options", "snapshot_every=1")
        s.wait(lambda: f"policy rule {number}: snapshot_every=1: this mode has no snapshots" in process.said())
        equal(process.end(), 0)


def modes_without_snapshots_say_so():
    for mode, more in (("off", ""), ("sample", ":collector=none")):
        with Service(start=False) as s:
            process = Steered(s, options=f"snapshot_every=1:mode={mode}{more}")
            equal(process.end(), 0)
            check(f"snapshot_every: mode {mode} takes no snapshots" in process.text, process.text)


def sample_tells_of_the_run_instead():
    with Service() as s:
        process = Steered(s, options="snapshot_every=1:mode=sample")
        s.wait(lambda: s.ask("coverage")["coverage"])
        equal((process.end(), "takes no snapshots" in process.text), (0, False))


service.main([
    blocks_are_swept_now, snapshots_are_written_now, snapshots_come_from_time_to_time,
    a_child_of_fork_takes_snapshots_of_its_own, a_rule_sets_how_often_snapshots_come,
    modes_without_snapshots_say_so, sample_tells_of_the_run_instead,
])
