#!/usr/bin/env python3
"""Values at the edge of what they may be in options, in requests, and on the pages."""

import json
import os
import sqlite3

import service
from service import Service, append, check, equal, event


def long_words_are_looked_for_by_their_beginning():
    with Service(start=False) as s:
        name = "n" * 70
        append(s.directory, event(name, "b-1-1-1"), event("other", "b-1-1-2"))
        s.once()
        equal(len(s.findings("--search", name)), 1)
        equal(len(s.findings("--search", name + " src/app.c")), 1)
        equal(len(s.findings("--search", name + " nothing")), 0)
        equal(len(s.findings("--search", "other")), 1)


def a_long_record_is_found_by_its_first_words():
    with Service(start=False) as s:
        frames = [{"pc": hex(i + 1), "module": "/srv/app", "offset": hex(i + 1), "function": f"f{i}_" + "x" * 300}
                  for i in range(8)]
        append(s.directory, event("p", "b-1-1-1", f_found={"frames": frames}))
        s.once()
        equal(len(s.findings("--search", "open_p")), 1)
        equal(len(s.findings("--search", "f0_xxx")), 1)
        frames = [{"pc": hex(i + 1), "module": "/usr/lib/libc.so.6", "offset": hex(i + 1), "function": f"__libc_{i}"}
                  for i in range(12)]
        append(s.directory, event("q", "b-1-1-2", f_found={"frames": frames + [service.frame("beyond_them", 1)]}))
        s.once()
        equal(len(s.findings("--search", "beyond_them")), 1, "frames of the C library take no room")


def a_filter_by_what_nobody_had_finds_nothing():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: "open_p" in s.http("GET", "/?environment=development").text)
        for words in ("environment=nowhere", "build=" + "9" * 40, "new_in=" + "9" * 40):
            check("open_p" not in s.http("GET", "/?" + words).text, words)


def limits_have_a_most():
    with Service() as s:
        for limit, got in (("5000", 1000), ("1000", 1000), ("0", 100), ("", 100), ("7", 7)):
            equal(s.http("GET", f"/api/v1/findings?limit={limit}").json()["limit"], got, limit)
        for number in range(3):
            s.command("steer", "sweep", "--because", f"r{number}")
        equal(len(s.http("GET", "/api/v1/steering?limit=2").json()["steps"]), 2)
        equal(len(s.http("GET", "/api/v1/steering").json()["steps"]), 3)


def texts_may_have_their_whole_length():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        s.command("ignore", "1", "--because", "x" * 500)
        s.command("ignore", "1", "--because", "x" * 501, status=2)
        s.command("builds", "--add", "y" * 255)
        s.command("builds", "--add", "y" * 256, status=2)
        s.command("steer", "sweep", "--because", "z" * 300)
        s.command("steer", "sweep", "--because", "z" * 301, status=2)
        s.command("steer", "sweep", "--because", "t", "--build", "abcdef1")
        s.command("steer", "sweep", "--because", "t", "--build", "abcdef", status=2)


def a_split_leaves_something_and_moves_no_damage_that_was_not_there():
    with Service(start=False) as s:
        intact = {"address": "0x1058", "bytes": "61626364", "expected": "61626364", "classes": "uuuu"}
        append(s.directory, event("p", "b-1-1-1", ago=20, f_window=intact),
               event("p", "b-1-1-2", ago=10, f_window=intact))
        s.once()
        events = [e["id"] for e in s.ask("show", "1")["events"]]
        equal(len(events), 2)
        check("nothing would be left" in s.command("split", "1", "--events", ",".join(map(str, events)), status=1))
        s.command("split", "1", "--events", str(events[0]))
        equal([(s.ask("show", i)["count"], s.ask("show", i)["damaged"]) for i in ("1", "2")], [(1, 0), (1, 0)])


def written_bytes_are_explained_by_where_they_are():
    sentence = "the NUL at the end of a string"
    with Service() as s:
        for place, address in (("end", "0x105d"), ("behind", "0x105e")):
            window = {"address": address, "bytes": "00", "expected": "fd", "classes": "!"}
            append(s.directory, event(place, f"b-1-1-{place}", f_window=window))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 2)
        pages = {f["place"]: s.http("GET", f"/finding/{f['id']}").text
                 for f in s.http("GET", "/api/v1/findings").json()["findings"]}
        check(sentence in pages["open_end src/app.c:10"])
        check(sentence not in pages["open_behind src/app.c:10"])
        check("Always at +1, always 00." in pages["open_behind src/app.c:10"])


def hosts_are_named_where_half_of_the_damage_is_one_bit():
    with Service() as s:
        for place, values in (("most", (0xFC, 0xFC, 0)), ("half", (0xFC, 0)), ("few", (0xFC, 0, 0))):
            for number, value in enumerate(values):
                append(s.directory, event(place, f"b-1-1-{place}{number}", f_value=value, host="host-of-" + place))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 3
               and sum(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]) == 8)
        for f in s.http("GET", "/api/v1/findings").json()["findings"]:
            text = s.http("GET", f"/finding/{f['id']}").text
            section = text[text.index("<h2>One bit off</h2>"):]
            section = section[:section.index("</section>")]
            equal("host-of-" in section, "open_few" not in f["place"], f["place"])
        append(s.directory, event("all", "all", f_value=0xFC))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 4)
        equal(s.http("GET", "/").text.count("one bit off"), 1, "of the one that has no other damage")


def hosts_beyond_those_that_are_listed_count():
    with Service() as s:
        for place, hosts in (("many", 21), ("fewer", 20)):
            append(s.directory, *[event(place, f"b-1-1-{place}{i}", host=f"h{i}") for i in range(hosts)])
        s.wait(lambda: sum(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]) == 41)
        for f in s.http("GET", "/api/v1/findings").json()["findings"]:
            text = s.http("GET", f"/finding/{f['id']}").text
            check(f"<b>{'21' if 'many' in f['place'] else '20'}</b> hosts" in text, f["place"])


def a_finding_that_came_back_says_after_which_fix():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1", ago=60))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 1)
        s.command("fix", "1", "--in", "2.0")
        append(s.directory, event("p", "b-1-1-2", build={"version": "2.0", "commit": "2" * 40, "build_id": "cd"}))
        s.wait(lambda: s.ask("show", "1")["state"] == "reopened")
        check("Back after a fix in 2.0" in s.http("GET", "/finding/1").text)
        check('verdict bad"><h2>Back' in s.http("GET", "/finding/1").text)
        s.command("fix", "1", "--in", "2.0")
        check('verdict bad"><h2>Fixed in 2.0' in s.http("GET", "/finding/1").text, "it was seen there")
        s.command("fix", "1", "--in", "3.0")
        check('verdict good"><h2>Fixed in 3.0' in s.http("GET", "/finding/1").text)


def a_page_that_needs_a_token_leads_back_to_itself():
    with Service() as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: s.http("GET", "/api/v1/findings").json()["total"] == 1)
        reply = s.http("POST", "/finding/1/fix", body="text=", Accept="text/html")
        equal(reply.status, 401)
        check('name="back" value="/finding/1"' in reply.text, "which is there, unlike the form's action: ", reply.text)
        for back, leads in (("/finding/1", "/finding/1"), ("/%5Cevil", "/"), ("//evil", "/"), ("https://evil", "/")):
            reply = s.http("POST", "/sign-in", body=f"token={s.token()}&back={back}")
            equal((reply.status, reply.headers["location"]), (303, leads), back)
        reply = s.http("POST", "/sign-in", body="token=0123456789abcdef", Accept="text/html")
        equal(reply.status, 401)
        check('name="back" value="/"' in reply.text, "not to where one signs in: ", reply.text)
        reply = s.http("POST", "/sign-in", body="token=0123456789abcdef&back=/finding/1", Accept="text/html")
        check('name="back" value="/finding/1"' in reply.text, "a wrong token loses no place: ", reply.text)


def tokens_have_16_to_64_characters():
    for length, fine in ((15, False), (16, True), (64, True), (65, False)):
        with Service(start=False) as s:
            path = os.path.join(s.directory, "tokens")
            with open(path, "w", encoding="ascii") as file:
                file.write("read " + "a" * length + "\n")
            os.chmod(path, 0o600)
            try:
                s.start()
                started = True
            except AssertionError:
                started = False
            equal(started, fine, length)


def a_database_of_no_version_is_refused():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        with sqlite3.connect(os.path.join(s.directory, "ringfence.db")) as db:
            db.execute("PRAGMA user_version=-1")
        db.close()
        check("is of a newer Ringfence" in s.command("serve", "--once", status=1))


def the_policy_file_stays_where_rules_hold():
    for rule in (True, False):
        with Service() as s:
            path = os.path.join(s.directory, "policy")
            s.wait(lambda: os.path.exists(path))
            if rule:
                before = os.stat(path).st_ino
                s.command("steer", "set", "--options", "watch=1", "--because", "t")
                s.wait(lambda: os.stat(path).st_ino != before)
            equal(s.stop(), 0)
            equal(os.path.exists(path), rule)


def one_refused_file_of_symbols_is_a_failure():
    with Service(start=False) as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.once()
        bad = os.path.join(s.root, "bad")
        with open(bad, "w", encoding="ascii") as file:
            file.write("no ELF file")
        for files in ((service.SERVE, bad), (bad, service.SERVE)):
            said = s.command("symbols", "upload", *files, status=1)
            check(" of build " in said and "bad is no ELF file" in said, said)


def an_alert_whose_command_was_killed_has_failed():
    with Service("--alert-command", "cat >/dev/null; kill -9 $$") as s:
        append(s.directory, event("p", "b-1-1-1"))
        s.wait(lambda: "an alert failed: the command" in s.log())
        equal(s.ask("status")["alerts_waiting"], 1)


def frames_of_the_systems_headers_are_not_the_programs():
    with Service(start=False) as s:
        inner = {"pc": "0x10", "module": "/srv/app", "offset": "0x10", "function": "copy",
                 "file": "/usr/include/bits/string.h", "line": 5}
        own = {"pc": "0x20", "module": "/srv/app", "offset": "0x20", "function": "mine", "file": "src/a.c", "line": 6}
        append(s.directory, event("p", "b-1-1-1", f_found={"frames": [inner, own]}))
        s.once()
        body = json.loads(s.command("export", "--as", "sentry").splitlines()[2])
        frames = body["exception"]["values"][-1]["stacktrace"]["frames"]
        equal([(f["function"], f["in_app"]) for f in frames], [("mine", True), ("copy", False)])


service.main([
    # The longest come first.
    an_alert_whose_command_was_killed_has_failed, long_words_are_looked_for_by_their_beginning,
    a_long_record_is_found_by_its_first_words, a_filter_by_what_nobody_had_finds_nothing, limits_have_a_most,
    texts_may_have_their_whole_length, a_split_leaves_something_and_moves_no_damage_that_was_not_there,
    written_bytes_are_explained_by_where_they_are, hosts_are_named_where_half_of_the_damage_is_one_bit,
    hosts_beyond_those_that_are_listed_count, a_finding_that_came_back_says_after_which_fix,
    a_page_that_needs_a_token_leads_back_to_itself, tokens_have_16_to_64_characters,
    a_database_of_no_version_is_refused, the_policy_file_stays_where_rules_hold,
    one_refused_file_of_symbols_is_a_failure, frames_of_the_systems_headers_are_not_the_programs,
])
