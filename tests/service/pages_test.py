#!/usr/bin/env python3
"""The collector's pages: their forms, what they load, and what an open one hears."""

import http.client
import re
import socket
import time

import service
from service import Service, append, check, equal, event, with_finding


def a_finding_is_split_from_its_page():
    with with_finding() as s:
        cookie = s.cookie()
        own = f"http://127.0.0.1:{s.port}"
        check('action="/finding/1/split"' not in s.http("GET", "/finding/1").text, "not signed in")
        check('<option value="mode">' in s.http("GET", "/finding/1", Cookie=cookie).text)
        equal(s.http("POST", "/finding/1/split", body="text=mode", Cookie=cookie, Origin=own).status, 303)
        equal(s.ask("show", "1")["split_by"], "mode")
        check('value="undo"' in s.http("GET", "/finding/1", Cookie=cookie).text)
        equal(s.http("POST", "/finding/1/split", body="text=undo", Cookie=cookie, Origin=own).status, 303)
        check("split_by" not in s.ask("show", "1"))
        equal(s.http("POST", "/finding/1/split", body="text=%27", Cookie=cookie, Origin=own).status, 409)


def a_page_s_forms_do_what_their_buttons_say():
    form = r'<form method="post" action="/finding/1/(\w+)">(?:<input name="(\w+)"[^>]*?( required)?>)?<button>([^<]+)<'
    with with_finding() as s:
        cookie = s.cookie()
        own = f"http://127.0.0.1:{s.port}"

        def forms():
            text = s.http("GET", "/finding/1", Cookie=cookie).text
            equal(service.Nesting(text).wrong, [])
            return re.findall(form, text)

        equal(forms(), [("fix", "text", "", "Fixed"), ("ignore", "text", " required", "Ignore"),
                        ("merge", "other", " required", "Merge it in")])
        equal(s.http("POST", "/finding/1/fix", body="text=", Cookie=cookie, Origin=own).status, 303)
        equal(forms(), [("reopen", "", "", "Open again")])
        equal(s.http("POST", "/finding/1/reopen", body="", Cookie=cookie, Origin=own).status, 303)
        words = "text=not+ours%3a+1%2B1+is+100%+of+2%"  # as a browser sends them, and two that are no code
        equal(s.http("POST", "/finding/1/ignore", body=words, Cookie=cookie, Origin=own).status, 303)
        equal(s.ask("show", "1")["because"], "not ours: 1+1 is 100% of 2%")
        equal(s.http("POST", "/finding/1/reopen", body="", Cookie=cookie, Origin=own).status, 303)
        append(s.directory, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
        reply = s.http("POST", "/finding/2/merge", body="other=1", Cookie=cookie, Origin=own)
        equal((reply.status, reply.headers["location"]), (303, "/finding/2"))
        equal(forms(), [("split", "", "", "Split off again")])
        reply = s.http("POST", "/finding/1/ignore", body="text=x", Cookie=cookie, Origin=own)
        equal((reply.status, reply.headers["location"]), (303, "/finding/2"), "the page of the whole")
        equal(s.http("POST", "/api/v1/findings/1/split", body="", Authorization="Bearer " + s.token()).json(),
              {"done": "finding 1 stands alone again"})
        reply = s.http("POST", "/api/v1/findings/1/merge", body="other=2", Authorization="Bearer " + s.token())
        equal((reply.status, reply.json()), (200, {"done": "finding 2 is part of 1 now"}))


def pages_are_well_formed():
    with with_finding() as s:
        append(s.directory, service.event("b", "2", f_value=0x41), service.event("b", "3", ago=86400), b"no record\n")
        s.wait(lambda: len(s.findings()) == 2 and s.ask("status")["losses"])
        for path in ("/", "/?state=all&build=1.0", "/?search=x", "/finding/1", "/finding/2", "/builds", "/coverage",
                     "/processes", "/steering", "/status", "/sign-in", "/nowhere"):
            equal(service.Nesting(s.http("GET", path, Accept="text/html").text).wrong, [], path)
        chosen = s.http("GET", "/?build=1.0").text
        check('<input name="build" value="1.0"' in chosen)
        check("No process has sent a snapshot" in s.http("GET", "/processes").text)
        check("search=a%20%26b" in s.http("GET", "/?search=a%20%26b").text, "links keep the search")
        record = re.search(r'<section class="card record">\n<h2>One event, whole</h2>\n(.*?)</section>',
                           s.http("GET", "/finding/1").text, re.S)[1]
        check("open_a" in record and "close_a" in record and "behind the end of a block" in record, record)
        front = s.http("GET", "/").text
        check('name="build"' not in front)
        check(re.search(r'class="spark"[^>]*><path d="(M\d+ \d+h3v\d+h-3z)+"', front), "a bar for a day with events")


def a_list_keeps_what_was_chosen():
    with with_finding() as s:
        append(s.directory, *(event(f"p{i}", f"p{i}", environment="ci", ago=i) for i in range(4)))
        s.wait(lambda: len(s.findings()) == 5)
        query = "state=all&environment=ci&build=1&new_in=%3C2&search=src%20%26&order=count"
        two = "/?state=all&limit=2"
        for path, links in ((two, [two + "&offset=2"]), (two + "&offset=2", [two, two + "&offset=4"]),
                            (two + "&offset=4", [two + "&offset=2"]), (two + "&offset=1", [two, two + "&offset=3"]),
                            ("/?state=all", [])):
            text = s.http("GET", path).text
            got = re.findall(r'<a rel="\w+" href="([^"]*)"', text)
            equal([link.replace("&amp;", "&") for link in got], links, path)
        text = s.http("GET", "/?" + query).text
        for name in ("open", "new", "reopened", "fixed", "ignored", "all"):
            check(f'<a href="/?{query.replace("state=all", "state=" + name).replace("&", "&amp;")}"' in text, name,
                  text)
        equal(re.findall(r'<a href="[^"]*state=(\w+)[^"]*" aria-current="page"', text), ["all"])
        equal(re.findall(r'<option value="(\w*)" selected>', text), ["ci", "count"])
        check('name="search" value="src &amp;"' in text and 'name="build" value="1"' in text, text)
        check('name="new_in" value="&lt;2"' in text, text)
        check("No finding matches" in s.http("GET", "/?new_in=2").text, "there are others")
        counts = re.findall(r">(\w+) <b>(\d+)</b></a>", s.http("GET", "/").text)
        equal(counts, [("Open", "5"), ("New", "5"), ("Reopened", "0"), ("Fixed", "0"), ("Ignored", "0"), ("All", "5")])


def paper_has_no_colours_of_the_dark():
    """What rules for the dark set, as a browser in it prints by them too, those for print set anew."""
    with Service() as s:
        style = s.http("GET", "/style.css").text
    blocks = re.findall(r"@media ([^{]*)\{((?:[^{}]*\{[^{}]*\})*[^{}]*)\}", style)

    def names(*words):
        return {name for media, block in blocks if all(word in media for word in words) and "screen" not in media
                for name in re.findall(r"(--[\w-]+):|([^{};]*)\{ *color:", block)}

    check(any("dark" in media for media, _ in blocks) and names("print"), blocks)
    missing = names("prefers-color-scheme: dark") - names("print")
    equal(missing, {("--pressed", "")}, "buttons are not printed")


def pages_run_nothing_and_load_nothing_from_elsewhere():
    with with_finding() as s:
        for path in ("/", "/finding/1", "/builds", "/coverage", "/status", "/sign-in", "/nowhere"):
            reply = s.http("GET", path, Accept="text/html")
            policy = reply.headers["content-security-policy"]
            check("default-src 'none'" in policy and "unsafe" not in policy, path)
            equal(reply.headers["x-content-type-options"], "nosniff")
            check(re.search(r"<script(?! src=\"/script\.js\")|\son\w+=|\sstyle=|https?:(?!//www\.w3\.org)",
                            reply.text) is None,
                  path)


def what_records_say_is_text_on_the_page():
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;\u202e\x1b[31m\x9b7m\x7f"
    with Service() as s:
        body = service.finding("a", detail=evil, allocator=evil, mode=evil, bug="bad-free")
        for stack in ("found", "allocated"):
            for frame in body[stack]["frames"]:
                frame.update(function=evil, file=evil, module=evil)
        append(s.directory,
               service.record("finding", evil, finding=body, host=evil, program=evil, mode=evil, environment=evil,
                                           build={"version": evil, "commit": evil, "build_id": evil},
                                           labels={evil: evil}),
               service.record("summary", "s", program=evil, mode=evil, environment=evil, seconds=1.0))
        s.wait(lambda: s.ask("status")["processes"] == 1)
        s.http("POST", "/api/v1/findings/1/ignore", body="text=" + "%3Cscript%3Ealert(1)",
               Authorization="Bearer " + s.token())
        for path in ("/?state=all", "/finding/1", "/builds", "/coverage", "/status",
                     "/?search=%3Cscript%3E%22&state=%3Cimg",
                     "/finding/%3Cscript%3E"):
            text = s.http("GET", path, Accept="text/html").text
            check("<script>alert" not in text and "<img src=x" not in text and "\u202e" not in text, path)
        equal(s.http("GET", "/api/v1/findings/1").json()["record"]["host"], evil)
        for words in (("show", "1"), ("findings", "--state", "all"), ("builds",), ("coverage",)):
            check(not set("\x1b\x9b\x7f") & set(s.command(*words)), words)


def pages_that_are_open_hear_of_changes_and_closed_ones_cost_nothing():
    with with_finding() as s:
        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=20)
            connection.request("GET", "/api/v1/events")
            stream = connection.getresponse()
            return None if stream.status == 503 else (connection, stream)

        def listen():
            """Those that were closed leave room within a second, or later on a busy machine."""
            return s.wait(ask)

        for _ in range(90):  # more than there is room for at once
            connection, stream = listen()
            equal((stream.status, stream.headers["Content-Type"]), (200, "text/event-stream"))
            connection.sock.close() if connection.sock else stream.close()
            connection.close()
        _, stream = listen()
        equal(stream.readline(), b"retry: 3000\n")
        equal([stream.headers[name] for name in ("cache-control", "x-content-type-options", "x-frame-options")],
              ["no-store", "nosniff", "DENY"])
        bearer = {"Authorization": "Bearer " + s.token()}
        for change in (lambda: append(s.directory, event("b", "2")), lambda: s.command("ignore", "1", "--because", "x"),
                       lambda: s.http("POST", "/api/v1/findings/1/reopen", **bearer)):
            change()
            seen = b""
            while b"event: change" not in seen:
                line = stream.readline()
                check(line, "the stream ended")
                seen += line
            time.sleep(2.5)  # nothing of that change is to come any more


def pages_that_were_closed_make_room_at_once():
    """Not only when something changes, or the next beat shows that nobody listens."""
    with with_finding() as s:
        time.sleep(1.5)  # what changed was told
        def listen():
            connection = socket.create_connection(("127.0.0.1", s.port), 20)
            connection.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode())
            if connection.recv(1000).startswith(b"HTTP/1.1 200"):
                return connection
            connection.close()
            return None

        for _ in range(3):
            # Long before the next beat, which comes after twenty seconds.
            listening = [s.wait(listen, seconds=8) for _ in range(60)]
            for connection in listening:
                connection.close()
            time.sleep(2.5)


def an_open_page_hears_of_nothing_where_nothing_changes():
    with with_finding() as s:
        connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=4)
        connection.request("GET", "/api/v1/events")
        stream = connection.getresponse()
        time.sleep(3)  # the finding itself
        seen = b""
        try:
            while True:
                seen += stream.readline()
        except TimeoutError:
            pass
        check(b"event: hello" in seen and seen.count(b"event: change") <= 1, seen)


service.main([
    # The longest come first.
    pages_that_are_open_hear_of_changes_and_closed_ones_cost_nothing,
    an_open_page_hears_of_nothing_where_nothing_changes, a_finding_is_split_from_its_page, pages_are_well_formed,
    a_page_s_forms_do_what_their_buttons_say, pages_run_nothing_and_load_nothing_from_elsewhere,
    what_records_say_is_text_on_the_page, a_list_keeps_what_was_chosen,
    pages_that_were_closed_make_room_at_once, paper_has_no_colours_of_the_dark,
])
