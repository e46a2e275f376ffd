#!/usr/bin/env python3
"""Rules for checked processes: what they begin with, what reaches them while they run, and who is believed."""

import json
import os
import re
import signal
import sqlite3
import struct
import time

import service
from service import Service, append, check, equal, event
from steered import STEERED, Segment, Steered, policy, rule, rule_unseen


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
            print(f"    a pause of {pause} us: {took:.3f} s")
            check(took < 5, took)
            equal(process.end(), 0)


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


def a_collector_that_died_goes_on():
    """Or ended, with rules and without; also in the middle of a change: the generation is odd then."""
    with Service() as s:
        process = Steered(s, options="mode=sample")
        before = policy(s)
        for sig in (15, 9, 15):
            s.stop(sig)
            if sig == 9:
                live = Segment(before["live"], write=True)
                live.words[4] += 1
                time.sleep(0.3)
                live.leave()
            s.start()
            equal((policy(s)["live"], policy(s)["nonce"]), (before["live"], before["nonce"]))
            number = rule(s, "set", "--options", f"sample_rate={1000 + sig}")
            s.wait(lambda: f"policy rule {number}: sample_rate={1000 + sig}" in process.said())
        equal(process.end(), 0)


def a_collector_makes_the_segment_anew():
    """A user who logs out may take the shared memory along."""
    with Service() as s:
        before = policy(s)["live"]
        Segment(before).remove()
        s.wait(lambda: policy(s)["live"] != before)
        process = Steered(s, options="mode=sample")
        number = rule(s, "set", "--options", "sample_rate=99")
        s.wait(lambda: f"policy rule {number}: sample_rate=99" in process.said())
        equal(process.end(), 0)


def nothing_is_left_where_nobody_is_steered():
    with Service() as s:
        live = policy(s)["live"]
        check(Segment.exists(live))
        equal(s.stop(), 0)
        check(not Segment.exists(live))
        check(not os.path.exists(os.path.join(s.directory, "policy")))


def only_ones_own_whole_files_are_believed():
    with Service() as s:
        rule(s, "set", "--options", "mode=sample:sample_rate=55")
        path = os.path.join(s.directory, "policy")
        equal(s.stop(), 0)
        with open(path, "rb") as file:
            good = file.read()

        def steered():
            process = Steered(s)
            equal(process.end(), 0)
            return "sample_rate 55" in process.begins()

        def write(data, mode=0o600):
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, mode)

        check(steered(), "the good one")
        for what, data in (("cut", good[:-1]), ("empty", b""), ("longer", good + b"\0"), ("head alone", good[:48]),
                           ("a byte is wrong", good[:60] + b"\x7f" + good[61:]),
                           ("another version", good[:8] + b"\2" + good[9:]), ("zeros", b"\0" * len(good))):
            write(data)
            check(not steered(), what)
        write(good, 0o620)
        check(not steered(), "others may write it")
        write(good)
        os.chmod(s.directory, 0o770)
        check(not steered(), "others may write the folder")
        os.chmod(s.directory, 0o700)
        os.rename(path, path + ".real")
        os.symlink("policy.real", path)
        check(not steered(), "a link")
        os.unlink(path)
        os.mkfifo(path)
        check(not steered(), "a pipe")
        os.unlink(path)
        write(good)
        if give_away(path):
            check(not steered(), "another user's")
        os.unlink(path)
        os.rename(path + ".real", path)
        check(steered(), "the good one again")
        Segment(struct.unpack_from("=i", good, 32)[0]).remove()


def give_away(path):
    try:
        os.chown(path, 65534, 65534)
        return True
    except OSError:  # not root, or no such user in this namespace
        return False


def a_file_that_is_cut_while_it_is_in_use_harms_nobody():
    with Service() as s:
        process = Steered(s, options="mode=sample")
        os.truncate(os.path.join(s.directory, "policy"), 0)
        time.sleep(0.3)
        number = rule_unseen(s, "set", "--options", "sample_rate=66")
        s.wait(lambda: f"policy rule {number}: sample_rate=66" in process.said())
        equal(process.end(), 0)
        equal(policy(s)["rules"], 1)


def a_damaged_segment_changes_nothing():
    with Service() as s:
        process = Steered(s, options="mode=sample")
        live = Segment(policy(s)["live"], write=True)
        live.words[20] ^= 1  # of the first rule's program
        live.words[10] = 32  # rules
        live.words[4] += 2   # a new generation
        time.sleep(0.5)
        live.leave()
        equal(process.process.poll(), None)
        equal(process.end(), 0)
        check("policy rule" not in process.text, process.text)


def children_are_steered_too():
    with Service() as s:
        process = Steered(s, "fork", options="mode=sample")
        number = rule(s, "set", "--options", "sample_rate=44")
        s.wait(lambda: process.said().count(f"policy rule {number}: sample_rate=44") == 2)
        equal(process.end(), 0)


# ---- Sites ----

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


# ---- Commands and HTTP ----

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


def rules_are_kept_and_told_as_they_were_set():
    selectors = {"program": "p" * 127, "build": "4f2c9ab", "environment": "live"}
    with Service() as s:
        token = {"Authorization": "Bearer " + s.token()}
        body = "&".join(f"{name}={value}" for name, value in selectors.items())
        for action, more in (("set", "&options=sample_rate%3D50"), ("sweep", "&options=halt%3D0"), ("snapshot", "")):
            reply = s.http("POST", "/api/v1/steering", f"action={action}&{body}&because=by+hand{more}", **token)
            equal(reply.status, 200, reply.text)
        rules = s.http("GET", "/api/v1/steering").json()["rules"]
        equal([[row[name] for name in ("rule", "kind", "options", "because", "reached")] for row in rules],
              [[1, "options", "sample_rate=50", "by hand", 0], [2, "sweep", "", "by hand", 0],
               [3, "snapshot", "", "by hand", 0]])
        for row in rules:
            equal({name: row[name] for name in selectors}, selectors)
            check(row["since"] > service.timestamp(60) and "last_reached" not in row, row)
        s.wait(lambda: policy(s)["rules"] == 3)
        with open(os.path.join(s.directory, "policy"), "rb") as file:
            data = file.read()
        for i, options in enumerate((b"sample_rate=50", b"", b"")):
            at = 48 + 448 * i
            number, kind = struct.unpack_from("=II", data, at)
            equal((number, kind), (i + 1, i + 1))
            texts = [data[at + 8:].split(b"\0")[0], data[at + 248:].split(b"\0")[0]]
            equal(texts, [b"p" * 127, options])
            check(b"4f2c9ab\0" in data[at:at + 248] and b"live\0" in data[at:at + 248], data[at:at + 248])
        equal(s.http("POST", "/api/v1/steering", "action=unset&rule=2&because=enough", **token).status, 200)
        equal(s.http("POST", "/api/v1/steering", "action=unset&rule=2&because=enough", **token).status, 409)
        steps = s.http("GET", "/api/v1/steering").json()["steps"]
        equal([(step["rule"], step["finding"], step["done"], step["because"]) for step in steps],
              [(2, 0, "unset", "enough"), (3, 0, "snapshot", "by hand"), (2, 0, "sweep", "by hand"),
               (1, 0, "set sample_rate=50", "by hand")])
        equal([row["rule"] for row in s.ask("steer")["rules"]], [1, 3])
        listed = s.command("steer", "list")
        check("1    sample_rate=50  program p" in listed and "3    snapshot" in listed and "taken" not in listed,
              listed)
        log = s.command("steer", "log")
        check("rule 2: unset, because: enough" in log, log)
        for text, status in (("x" * 300, 200), ("x" * 301, 409), ("a%7fb", 409), ("%20%09", 409)):
            equal(s.http("POST", "/api/v1/steering", "action=sweep&because=" + text, **token).status, status, text)
        for build, status in (("abcdef", 409), ("abcdef0", 200), ("1.2.3", 200), ("123456", 200), ("b" * 80, 409)):
            reply = s.http("POST", "/api/v1/steering", f"action=sweep&because=x&build={build}", **token)
            equal(reply.status, status, build, reply.text)


def steps_of_processes_count_for_the_rule_that_asked():
    def step(number, rule, done, ago=0):
        return service.record("step", f"s-{number}", rule=rule, done=done, ago=ago)

    with Service(start=False) as s:
        s.once()
        for _ in range(2):
            s.command("steer", "set", "--options", "halt=0", "--because", "x")
        append(s.directory, step(1, 1, "halt=0", 5), step(2, 1, "halt=0", 500),
               step(3, 2, "no snapshot: this mode has none"),
               step(4, 1, "no snapshot: this mode has none"), step(5, 1, "no snapshot: this mode has none"),
               step(6, 9, "no snapshot: this mode has none"), step(7, 2, "snapshot: this mode has no snapshots"))
        s.once()
        rows = {row["rule"]: row for row in s.ask("steer")["rules"]}
        equal((rows[1]["reached"], rows[2]["reached"]), (2, 0))
        check(rows[1]["last_reached"] > service.timestamp(100), rows[1])
        log = s.ask("steer", "log")["steps"]
        equal(sorted((x["rule"], x["done"], x["because"]) for x in log if "says" in x["because"]),
              [(1, "no snapshot: this mode has none", "a process says so"),
               (2, "no snapshot: this mode has none", "a process says so")])
        check("taken 2 times by running processes" in s.command("steer", "list"), s.command("steer", "list"))


def steps_are_kept_to_their_most_and_sweeps_for_ten_minutes():
    with Service(start=False) as s:
        s.once()
        for action in ("sweep", "snapshot", "set"):
            s.command("steer", action, *(("--options", "halt=0") if action == "set" else ()), "--because", "x")
        database = sqlite3.connect(os.path.join(s.directory, "ringfence.db"), isolation_level=None)
        database.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO"
                         " steer_step(time, rule, finding, done, because) SELECT 1, 1, 0, 'x', i FROM n")
        s.start()
        equal([len(s.http("GET", "/api/v1/steering" + query).json()["steps"]) for query in ("", "?limit=7")], [100, 7])
        for seconds, rules in ((590, 3), (20, 1)):
            database.execute("UPDATE steer SET time = time - ?", (seconds * 1000,))
            time.sleep(1.1)
            s.wait(lambda wanted=rules: policy(s)["rules"] == wanted)
            equal([policy(s)["rules"], len(s.ask("steer")["rules"])], [rules, rules], seconds)
        equal([policy(s)["newest"], s.ask("steer")["rules"][0]["kind"]], [3, "options"])
        os.mkdir(s.directory + "/policy.new")
        s.command("steer", "sweep", "--because", "y")
        equal(database.execute("SELECT count(*), min(id) > 500 FROM steer_step").fetchone(), (2000, 1))
        s.wait(lambda: "new processes do not get the rules" in s.log())
        os.rmdir(s.directory + "/policy.new")
        s.wait(lambda: policy(s)["newest"] == 4)
        equal(os.stat(s.directory + "/policy").st_mode & 0o777, 0o600)
        equal(s.log().count("new processes do not get the rules"), 1)
        database.close()


def a_damaged_policy_file_is_not_gone_on_with():
    """Of another writer's segment, or with a byte that is wrong: a new segment has another number."""
    for damage in (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], lambda data: data[:-1],
                   lambda data: b"X" + data[1:]):
        with Service() as s:
            rule(s, "set", "--options", "sample_rate=50")
            before = policy(s)
            s.stop()
            path = os.path.join(s.directory, "policy")
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(damage(data))
            s.start()
            after = policy(s)
            check(after["nonce"] != before["nonce"] and after["live"] != before["live"], before, after)
            equal((after["rules"], os.stat(path).st_mode & 0o777), (1, 0o600))
            Segment(before["live"]).remove()


def commands_refuse_what_makes_no_sense():
    with Service(start=False) as s:
        s.once()
        wrong = [(("steer", "set", "--because", "x"), 2, "--options"),
                 (("steer", "set", "--options", "mode=fast", "--because", "x"), 2, "allowed: off, sample"),
                 (("steer", "set", "--options", "samplerate=5", "--because", "x"), 2, "unknown key"),
                 (("steer", "set", "--options", "log=/tmp/x", "--because", "x"), 2, "log cannot be set"),
                 (("steer", "set", "--options", "help=1", "--because", "x"), 2, "help cannot be set"),
                 (("steer", "set", "--options", "halt=0"), 2, "give a reason"),
                 (("steer", "set", "--options", "halt=0", "--because", " "), 2, "give a reason"),
                 (("steer", "set", "--options", "halt=0:" * 40, "--because", "x"), 2, "too long"),
                 (("steer", "set", "--options", "halt=0", "--program", "p" * 128, "--because", "x"), 2, "too long"),
                 (("steer", "set", "--options", "halt=0", "--build", "4f2c9", "--because", "x"), 2, "seven"),
                 (("steer", "set", "--options", "halt=0", "--because", "a\nb"), 2, "control"),
                 (("steer", "unset", "1", "--because", "x"), 1, "no rule 1"),
                 (("steer", "unset", "x", "--because", "x"), 2, "not the number"),
                 (("steer", "sweep", "--options", "halt=0", "--because", "x"), 2, "belongs to"),
                 (("steer", "dance"), 2, "steer takes"), (("steer", "set", "halt=0"), 2, "steer takes")]
        for words, status, message in wrong:
            got = s.command(*words, status=status)
            check(message in got, words, got)
        equal(s.ask("steer"), {"rules": [], "sites": [], "steps": []})
        check("when `ringfence serve` runs" in s.command("steer", "set", "--options", "halt=0", "--because", "x"))
        for _ in range(31):
            s.command("steer", "sweep", "--because", "x")
        check("32 rules" in s.command("steer", "sweep", "--because", "x", status=1))
        s.command("steer", "unset", "1", "--because", "enough")
        s.command("steer", "sweep", "--because", "x")
        equal([row["rule"] for row in s.ask("steer")["rules"]], list(range(2, 34)))
        log = s.command("steer", "log")
        check("rule 1: unset, because: enough" in log and "rule 1: set halt=0, because: x" in log, log)


def commands_know_whether_a_collector_runs():
    with Service(start=False) as s:
        for name in ("d2", "x" * 150):  # the second is too long for a socket's address
            s.directory = os.path.join(s.root, name)
            os.mkdir(s.directory, 0o700)
            s.start()
            check(s.ask("steer", "sweep", "--because", "x")["collector_runs"], name)
            s.stop()
            check(not s.ask("steer", "sweep", "--because", "x")["collector_runs"], name)


def rules_that_hold_for_a_while_end():
    with Service(start=False) as s:
        s.once()
        s.command("steer", "sweep", "--because", "x")
        s.command("steer", "set", "--options", "halt=0", "--because", "y")
        old = sqlite3.connect(os.path.join(s.directory, "ringfence.db"))
        old.execute("UPDATE steer SET time = time - 601000")
        old.commit()
        old.close()
        s.start()
        s.wait(lambda: policy(s)["rules"] == 1)
        equal([row["kind"] for row in s.ask("steer")["rules"]], ["options"])
        equal(s.ask("steer", "log")["steps"][0]["because"], "it was asked for ten minutes ago")


def who_steers_has_the_right_to():
    with Service(start=False) as s:
        with open(os.path.join(s.directory, "tokens"), "w", encoding="utf-8", opener=private) as file:
            file.write("steer steersteersteersteer\nread,post,triage triagetriagetriage00\n")
        s.start()
        form = "action=set&options=sample_rate%3D50&because=by+HTTP"
        kind = "application/x-www-form-urlencoded"
        for path in ("/api/v1/steering", "/steering"):
            equal(s.http("POST", path, form, Content_Type=kind).status // 100, 4, path)
            reply = s.http("POST", path, form, Content_Type=kind, Authorization="Bearer triagetriagetriage00")
            equal(reply.status // 100, 4, path)
        equal(s.http("GET", "/api/v1/steering").json(), {"rules": [], "sites": [], "steps": []})
        reply = s.http("POST", "/api/v1/steering", form, Content_Type=kind, Authorization="Bearer steersteersteersteer")
        equal((reply.status, reply.json()), (200, {"done": "rule 1 is set"}))
        reply = s.http("POST", "/api/v1/steering", "action=set&options=mode%3Dno&because=x", Content_Type=kind,
                       Authorization="Bearer steersteersteersteer")
        equal(reply.status, 409)
        reply = s.http("POST", "/api/v1/findings/1/fix", "", Content_Type=kind,
                       Authorization="Bearer steersteersteersteer")
        equal(reply.status // 100, 4, "steering is no triage")
        s.wait(lambda: policy(s)["rules"] == 1)
        reply = s.http("POST", "/steering", "action=unset&rule=1&because=done", Content_Type=kind,
                       Authorization="Bearer " + s.token())
        equal((reply.status, reply.headers["location"]), (303, "/steering"))


def private(path, flags):
    return os.open(path, flags, 0o600)


def the_page_shows_rules_and_steps_with_reasons():
    with Service() as s:
        rule(s, "set", "--options", "sample_rate=50", "--program", "<b>x</b>", because="too \"seldom\" <seen>")
        page = s.http("GET", "/steering").text
        check("Call sites near open findings" not in page, page)
        for text in ("sample_rate=50", "&lt;b&gt;x&lt;/b&gt;", "too &quot;seldom&quot; &lt;seen&gt;", "sign in"):
            check(text in page, text, page)
        check("<form method=\"post\"" not in page)
        page = s.http("GET", "/steering", Authorization="Bearer " + s.token()).text
        check(page.count("<form method=\"post\"") == 2, page)


service.main([
    rules_hold_from_the_beginning,
    a_policy_is_for_whom_it_names,
    the_users_own_options_win,
    modules_are_named_by_rules,
    page_mode_keeps_all_its_blocks,
    tests_of_bazel_are_not_steered,
    records_name_the_rules,
    a_step_is_told_as_the_page_shows,
    rates_reach_a_running_process,
    a_rate_by_a_policy_costs_no_more_than_time_allows,
    a_change_is_seen_within_a_second,
    blocks_are_swept_now,
    snapshots_are_written_now, snapshots_come_from_time_to_time, a_child_of_fork_takes_snapshots_of_its_own,
    a_rule_sets_how_often_snapshots_come, modes_without_snapshots_say_so, sample_tells_of_the_run_instead,
    a_collector_that_died_goes_on,
    a_collector_makes_the_segment_anew,
    nothing_is_left_where_nobody_is_steered,
    only_ones_own_whole_files_are_believed,
    a_file_that_is_cut_while_it_is_in_use_harms_nobody,
    a_damaged_segment_changes_nothing,
    children_are_steered_too,
    sites_near_open_findings_are_raised,
    findings_without_a_build_id_have_no_site,
    sites_follow_what_becomes_of_findings, a_policy_has_the_sites_that_were_seen_last,
    rules_are_kept_and_told_as_they_were_set, steps_of_processes_count_for_the_rule_that_asked,
    a_damaged_policy_file_is_not_gone_on_with, steps_are_kept_to_their_most_and_sweeps_for_ten_minutes,
    commands_refuse_what_makes_no_sense,
    commands_know_whether_a_collector_runs,
    rules_that_hold_for_a_while_end,
    who_steers_has_the_right_to,
    the_page_shows_rules_and_steps_with_reasons,
])
