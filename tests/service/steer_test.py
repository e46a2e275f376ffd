#!/usr/bin/env python3
"""Rules for checked processes: whom they are for, what these begin with, and what reaches them while they run."""

import json
import os
import signal
import time

import service
from service import Service, check, equal
from steered import STEERED, Segment, Steered, policy, rule


def rules_hold_from_the_beginning():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample:sample_rate=777")
        process = Steered(s)
        check("mode sample, sample_rate 777" in process.begins(), process.begins())
        check("policy rules 1" in process.begins(), process.begins())
        equal(process.end(), 0)


def a_policy_is_for_whom_it_names():
    with Service() as s:
        path = "*/" + os.path.basename(STEERED)  # all of it may be too long
        rule(s, "set", "--options", "mode=sample:sample_rate=101", "--program", "steered")
        rule(s, "set", "--options", "sample_rate=102", "--program", path, "--env", "production")
        rule(s, "set", "--options", "sample_rate=103", "--program", "*ered", "--build", "2.1.0")
        rule(s, "set", "--options", "sample_rate=104", "--build", "4f2c9a1", "--env", "production")
        rule(s, "set", "--options", "sample_rate=105", "--program", "steere")
        cases = [({}, "101", "1"), ({"RINGFENCE_ENVIRONMENT": "production"}, "102", "1,2"),
                 ({"RINGFENCE_VERSION": "2.1.0"}, "103", "1,3"), ({"RINGFENCE_VERSION": "2.1"}, "101", "1"),
                 ({"RINGFENCE_ENVIRONMENT": "production", "RINGFENCE_COMMIT": "4f2c9a1" + "0" * 33}, "104", "1,2,4")]
        for environment, rate, rules in cases:
            process = Steered(s, **environment)
            check(f"sample_rate {rate}," in process.begins(), environment, process.begins())
            check(f"policy rules {rules}" in process.begins(), environment, process.begins())
            equal(process.end(), 0)


def the_users_own_options_win():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample:sample_rate=300")
        process = Steered(s, options="sample_rate=9000")
        check("mode sample, sample_rate 9000" in process.begins(), process.begins())
        rule(s, "set", "--options", "sample_rate=400")
        rule(s, "set", "--options", "raise=4")
        s.wait(lambda: "policy rule 3: sample_rate=9000:raise=4" in process.said())
        equal(process.end(), 0)
        check("sample_rate=400" not in process.text, process.text)
        process = Steered(s, options="mode=guard")
        check("mode guard" in process.begins(), process.begins())
        equal(process.end(), 0)


def modules_are_named_by_rules():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample:modules=liba.so,libb.so")
        process = Steered(s, options="help=1")
        equal(process.end(), 0)
        check("\n  modules=liba.so,libb.so\n" in process.text, process.text)
        check("rules of the collector's policy that set some of these values: 1\n" in process.text, process.text)
        rule(s, "set", "--options", "modules=libc*")
        process = Steered(s, options="help=1")
        equal(process.end(), 0)
        check("\n  modules=libc*\n" in process.text, process.text)
        process = Steered(s, options="help=1:modules=own")
        equal(process.end(), 0)
        check("\n  modules=own\n" in process.text, process.text)


def page_mode_keeps_all_its_blocks():
    """A rule for guard's rate takes nothing from it."""
    with Service() as s:
        rule(s, "set", "--options", "mode=page:watch=5:raise=9")
        process = Steered(s, options="summary=1:format=json:log=" + s.root + "/page.jsonl")
        equal(process.end(), 0)
        with open(s.root + "/page.jsonl", encoding="utf-8") as file:
            summary = [json.loads(line) for line in file][-1]
        equal((summary["mode"], summary.get("unpaged_blocks", 0)), ("page", 0))


def tests_of_bazel_are_not_steered():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample")
        process = Steered(s, TEST_TARGET="//a:test")
        check("mode guard" in process.begins() and "policy" not in process.begins(), process.begins())
        equal(process.end(), 0)


def records_name_the_rules():
    with Service() as s:
        rule(s, "set", "--options", "halt=0")
        process = Steered(s, "damage")
        process.end()
        s.wait(lambda: s.findings())
        labels = [row["name"] for row in s.ask("show", "1")["labels"]]
        check("policy=1" in labels, labels)


def a_step_is_told_as_the_page_shows():
    with open("docs/service/steering.md", encoding="utf-8") as file:
        sample = json.loads([line for line in file if line.startswith('{"record":"step"')][0])
    with Service() as s:
        process = Steered(s, options="mode=sample")
        spool = os.path.join(s.directory, "spool", "current")
        s.process.send_signal(signal.SIGSTOP)  # what comes from now on stays in the spool
        try:
            live = Segment(policy(s)["live"], write=True)
            live.put_rule(5, b"sample_rate=500")
            s.wait(lambda: os.path.exists(spool) and os.path.getsize(spool))
            with open(spool, encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
            live.leave()
        finally:
            s.process.send_signal(signal.SIGCONT)
        equal(process.end(), 0)
        equal((records[0]["rule"], records[0]["done"]), (5, "sample_rate=500:raise=1"))
        equal(list(records[0]), list(sample))


def rates_reach_a_running_process():
    with Service() as s:
        for mode, name in (("sample", "sample_rate"), ("guard", "watch")):
            process = Steered(s, options="mode=" + mode)
            number = rule(s, "set", "--options", f"{name}=123:raise=2", "--program", "steered")
            unseen = rule(s, "set", "--options", f"{name}=5", "--program", "another")
            s.wait(lambda: f"policy rule {number}: {name}=123:raise=2" in process.said())
            reached = s.wait(lambda: {r["rule"]: r for r in s.ask("steer")["rules"] if r["reached"] == 1})
            check(list(reached) == [number] and reached[number]["last_reached"] >= reached[number]["since"], reached)
            check(all("last_reached" not in r for r in s.ask("steer")["rules"] if r["rule"] == unseen))
            rule(s, "unset", str(unseen))
            rule(s, "unset", str(number))
            plain = "sample_rate=5000" if mode == "sample" else "watch=2000"
            s.wait(lambda: f"policy rule {number}: {plain}:raise=1" in process.said())
            equal(process.end(), 0)


def a_rate_by_a_policy_costs_no_more_than_time_allows():
    """A thread samples a block every few milliseconds, as without a policy, and not each second one."""
    with Service() as s:
        log = os.path.join(s.root, "dense.json")
        rule(s, "set", "--options", "sample_rate=100", "--program", "steered")
        process = Steered(s, options="mode=sample:summary=1:log=" + log, pause=0)
        number = rule(s, "set", "--options", "sample_rate=2", "--program", "steered")
        s.wait(lambda: f"policy rule {number}: sample_rate=2" in process.said())
        time.sleep(0.3)
        equal(process.end(), 0)
        with open(log, encoding="utf-8") as file:
            summary = json.loads(file.read().splitlines()[-1])
        equal(summary["type"], "summary")
        check(summary["allocations"] <= summary["duration_ns"] / 1e6 + 10, summary)


def a_change_is_seen_within_a_second():
    """By a process that allocates ten times a millisecond, and one that does so ten times a second."""
    with Service() as s:
        for pause in (100, 100000):
            process = Steered(s, options="mode=sample", pause=pause)
            time.sleep(0.5)  # it has found its pace
            before = len(process.said().splitlines())
            begin = time.monotonic()
            rule(s, "set", "--options", f"sample_rate={pause}")
            s.wait(lambda: len(process.said().splitlines()) > before)
            took = time.monotonic() - begin
            command = service.seconds_of(lambda: s.ask("steer"))
            print(f"    a pause of {pause} us: {took:.3f} s, beside {command:.3f} s for a command")
            check(took < 5 + 3 * command, took, command)
            equal(process.end(), 0)


service.main([
    rules_hold_from_the_beginning, a_policy_is_for_whom_it_names, the_users_own_options_win,
    modules_are_named_by_rules, page_mode_keeps_all_its_blocks, tests_of_bazel_are_not_steered,
    records_name_the_rules, a_step_is_told_as_the_page_shows, rates_reach_a_running_process,
    a_rate_by_a_policy_costs_no_more_than_time_allows, a_change_is_seen_within_a_second,
])
