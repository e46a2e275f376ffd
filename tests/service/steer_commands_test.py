#!/usr/bin/env python3
"""Rules as users set, read and end them: by commands, by HTTP and on the page."""

import os
import resource
import sqlite3
import struct
import time

import service
from service import Service, append, check, equal
from steered import policy, rule


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

        def age(seconds):
            """Anew before each look: on a busy machine the seconds that are left of 600 may be over before it."""
            database.execute("UPDATE steer SET time = ?", (int((time.time() - seconds) * 1000),))
            return True

        for seconds, rules in ((590, 3), (610, 1)):
            age(seconds)
            time.sleep(1.1)
            s.wait(lambda seconds=seconds, wanted=rules: age(seconds) and policy(s)["rules"] == wanted)
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


def a_policy_that_has_no_room_is_said_to_have_none():
    """With the reason of the system's, where a part of it was written."""
    with Service() as s:
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (5000, hard))
        s.command("steer", "sweep", "--because", "x")
        s.wait(lambda: "/policy: File too large; new processes do not get the rules" in s.log())
        check("policy.new" not in os.listdir(s.directory), os.listdir(s.directory))
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        s.wait(lambda: os.path.exists(s.directory + "/policy") and policy(s)["newest"] == 1)


def commands_refuse_what_makes_no_sense():
    with Service(start=False) as s:
        s.once()
        wrong = [(("steer", "set", "--because", "x"), 2, "--options"),
                 (("steer", "set", "--options", "", "--because", "x"), 2, "give the options to set"),
                 (("steer", "set", "--options", ":", "--because", "x"), 2, "give the options to set"),
                 (("steer", "set", "--options", "::", "--because", "x"), 2, "give the options to set"),
                 (("steer", "set", "--options", " ", "--because", "x"), 2, "unknown key"),
                 (("steer", "set", "--options", "halt=0: ", "--because", "x"), 2, "unknown key"),
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
    rules_are_kept_and_told_as_they_were_set, steps_of_processes_count_for_the_rule_that_asked,
    steps_are_kept_to_their_most_and_sweeps_for_ten_minutes, commands_refuse_what_makes_no_sense,
    commands_know_whether_a_collector_runs, rules_that_hold_for_a_while_end, who_steers_has_the_right_to,
    the_page_shows_rules_and_steps_with_reasons, a_policy_that_has_no_room_is_said_to_have_none,
])
