#!/usr/bin/env python3
"""Requests over HTTP: which hosts and methods are answered, what is refused, and what the answers are."""

import gzip
import http.client
import json
import os
import re
import socket
import stat
import subprocess

import service
from service import Service, append, check, equal, event, with_finding


def only_hosts_of_ours_are_answered():
    with with_finding("--host", "rf.example.org") as s:
        for host, status in [("evil.example", 403), ("127.0.0.1", 403), (f"127.0.0.1:{s.port}", 200), ("", 403),
                             (f"localhost:{s.port}", 200), (f"[::1]:{s.port}", 200), (f"127.0.0.1.evil:{s.port}", 403),
                             ("rf.example.org", 200), ("rf.example.org.evil", 403), (f"localhost:{s.port}1", 403),
                             ("localhost", 403), (f"LOCALHOST:{s.port}", 200), ("RF.example.ORG", 200),
                             (f"rf.example.org:{s.port}", 200), ("rf.example.org:1", 403)]:
            for path in ("/", "/api/v1/findings", "/style.css"):
                equal(s.http("GET", path, host=host).status, status, host, path)


def the_address_that_a_server_names_is_answered():
    for listen in ("127.9.0.2:0", "0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0", "127.0.0.80:80"):
        with Service(start=False) as s:
            s.options += ["--listen", listen]
            try:
                s.start()
            except AssertionError:
                check("cannot listen" in s.log() and (":80" in listen or "[" in listen), s.log())
                continue  # no IPv6 here, or port 80 is of the system
            url = re.search(r"page at (http://\S+)", s.log())[1]
            check("//0.0.0.0:" not in url and "//[::]:" not in url, url)
            equal(answer_of(url + "/sign-in"), "200", listen)
            equal(answer_of(url + "/"), "200" if listen.startswith("127.") else "401", "of this machine alone", listen)
            equal(answer_of(url + "/sign-in", "-H", "Host: evil.example"), "403", listen)
            equal(answer_of(url + "/sign-in", "-H", "Host: 127.0.0.3"), "403", listen)
            if listen.endswith(":80"):
                equal(answer_of(url + "/sign-in", "-H", "Origin: http://127.0.0.80"), "200")


def answer_of(url, *more):
    return subprocess.run(["curl", "-s", "-g", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", *more, url],
                          stdout=subprocess.PIPE, check=False).stdout.decode()


def the_socket_in_the_folder_answers_this_user():
    with with_finding() as s:
        path = os.path.join(s.directory, "serve.sock")
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
            own = file.read()
        check("Umask:\t0077\n" in own, "folders that are made later can be entered", own[:100])

        def ask(url, *more):
            done = subprocess.run(["curl", "-s", "-w", "\n%{http_code}", "--unix-socket", "serve.sock", *more,
                                   url], cwd=s.directory, stdout=subprocess.PIPE, check=False)
            body, status = done.stdout.decode().rsplit("\n", 1)
            return int(status), body

        equal(json.loads(ask("http://localhost/api/v1/findings")[1])["total"], 1)
        equal(ask("http://evil.example/api/v1/findings")[0], 403)
        equal(ask("http://localhost/api/v1/records", "--data-binary", json.dumps(event("b", "2")))[0], 200)
        equal(ask("http://localhost/api/v1/findings/1/fix", "-d", "")[0], 401, "triage needs a token here, too")
        equal(ask("http://localhost/api/v1/findings/1/fix", "-d", "", "-H", "Authorization: Bearer " + s.token())[0],
              200)
        s.stop(9)
        s.start()
        equal(ask("http://localhost/")[0], 200, "after a collector that was killed")
        s.stop()
        check(not os.path.exists(path))


def answer_to(s, request):
    """The status line of the first answer to what is sent as it stands, and the whole of it."""
    with socket.create_connection(("127.0.0.1", s.port), 20) as connection:
        connection.sendall(request.replace("HOST", f"127.0.0.1:{s.port}").encode())
        with connection.makefile("rb") as file:
            lines = []
            while not lines or lines[-1].strip():
                lines.append(file.readline())
                check(lines[-1], request, lines)
            return int(lines[0].split()[1]), b"".join(lines).decode().lower()


def requests_that_may_be_read_in_two_ways_are_refused():
    with with_finding() as s:
        good = "GET /finding/1 HTTP/1.1\r\nHost: HOST\r\n"
        equal(answer_to(s, good + "\r\n")[0], 200)
        for more in ("Host: HOST", "Host: evil.example", "Origin: http://HOST\r\nOrigin: http://evil.example",
                     "Content-Length: 0\r\nContent-Length: 0", "Authorization: Basic x\r\nAuthorization: Bearer y",
                     "Content-Length: 3\r\nTransfer-Encoding: chunked", "hOST: evil.example"):
            equal(answer_to(s, good + more + "\r\n\r\n")[0], 400, more)


def a_coding_that_is_not_known_is_refused_at_once():
    """Its end is not known either: what follows would count as a part of it."""
    with with_finding() as s:
        post = "POST /api/v1/records HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n"
        for coding in ("gzip, chunked", "identity", "xchunked", "chunked, chunked", "chunked;q=1"):
            equal(answer_to(s, post % coding)[0], 501, coding)
        for coding in ("chunked", "Chunked"):
            equal(answer_to(s, post % coding)[0], 200, coding)


def targets_with_a_host_are_taken():
    """As RFC 9112 wants of every server: "GET http://HOST/path". The host in it counts."""
    with with_finding() as s:
        for target, host, status in (("http://HOST/finding/1", "HOST", 200), ("HTTP://HOST", "HOST", 200),
                                     ("http://HOST/finding/2", "HOST", 404),
                                     ("http://evil.example/finding/1", "HOST", 403),
                                     ("http://evil.example", "HOST", 403), ("http:///", "HOST", 403)):
            equal(answer_to(s, f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")[0], status, target)


def methods_that_nothing_has_are_named_so():
    with with_finding() as s:
        for method in ("OPTIONS", "PUT", "DELETE", "TRACE", "PATCH", "get"):
            status, answer = answer_to(s, f"{method} /finding/1 HTTP/1.1\r\nHost: HOST\r\n\r\n")
            equal(status, 405, method)
            check("allow: get, head, post" in answer, answer)
        for path in ("/", "/processes", "/builds", "/coverage", "/steering", "/status", "/finding/1", "/style.css",
                     "/script.js", "/sign-in", "/api/v1/findings", "/api/v1/findings/1", "/nothing",
                     "/finding/99999999999999999999"):
            get, head = s.http("GET", path), s.http("HEAD", path)
            equal((get.status, get.headers["content-length"]), (head.status, head.headers["content-length"]), path)
            equal(head.text, "")
        equal(s.http("GET", "/finding/99999999999999999999").status, 404)
        for name in ("Range", "If_None_Match", "If_Modified_Since"):
            equal(s.http("GET", "/style.css", **{name: "bytes=0-9"}).status, 200)


def every_answer_has_the_headers_that_bind_browsers():
    wanted = {"content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                                         "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
              "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
              "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
              "x-frame-options": "DENY", "cache-control": "no-store"}
    with with_finding() as s:
        kinds = [("/", 200, "text/html; charset=utf-8"), ("/style.css", 200, "text/css; charset=utf-8"),
                 ("/script.js", 200, "text/javascript; charset=utf-8"), ("/favicon.svg", 200, "image/svg+xml"),
                 ("/api/v1/findings", 200, "application/json; charset=utf-8"),
                 ("/nothing", 404, "text/html; charset=utf-8"),
                 ("/api/v1/nothing", 404, "application/json; charset=utf-8"),
                 ("/buildid/00/debuginfo", 404, "text/html; charset=utf-8")]
        for path, status, kind in kinds:
            for _ in range(2):  # the second one of a list is a copy
                reply = s.http("GET", path, Accept="text/html,*/*")
                equal((reply.status, reply.headers["content-type"]), (status, kind), path)
                equal({name: reply.headers.get(name) for name in wanted}, wanted, path)
        for status, method, path, title, form in ((404, "GET", "/nothing", "Not found", False),
                                                  (403, "GET", "/", "Not allowed", False),
                                                  (401, "POST", "/finding/1/fix", "Not allowed", True),
                                                  (405, "PUT", "/", "Not done", False)):
            reply = s.http(method, path, body="" if method != "GET" else None, Accept="text/html",
                           host="evil.example" if status == 403 else None)
            equal((reply.status, f"<h1>{title}</h1>" in reply.text, "<form" in reply.text), (status, True, form), path)
            equal(reply.headers["x-frame-options"], "DENY")
        reply = s.http("POST", "/sign-in", body="token=" + s.token(), Origin=f"http://127.0.0.1:{s.port}")
        equal({name: reply.headers.get(name) for name in wanted}, wanted)
        equal(s.http("GET", "/nothing").json(), {"error": "there is nothing at this path"}, "a program wants no page")


def an_address_of_ipv6_stands_in_brackets():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        print("no IPv6 here")
        return
    with Service("--listen", "[::1]:0") as s:
        check(f"http://[::1]:{s.port}" in s.log(), s.log())
        with socket.create_connection(("::1", s.port)) as c:
            c.sendall(f"GET /status HTTP/1.0\r\nHost: [::1]:{s.port}\r\n\r\n".encode())
            check(c.recv(12).endswith(b" 200"))


def a_port_is_free_for_the_next_server_at_once():
    with Service() as s, Service(start=False) as other:
        with socket.create_connection(("127.0.0.1", s.port)) as held:
            held.sendall(f"GET /style.css HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode())
            check(held.recv(100).startswith(b"HTTP/1.1 200"))
            said = other.command("serve", "--listen", f"127.0.0.1:{s.port}", status=1)
            check("choose another with --listen" in said, said)
            s.stop()
            s.options += ["--listen", f"127.0.0.1:{s.port}"]
            s.start()
        equal(s.http("GET", "/").status, 200)


def text_of_the_query_is_never_sql():
    with with_finding() as s:
        for text in ("'", "a' OR '1'='1", "%25", "x;DROP TABLE finding", "\\"):
            for name in ("search", "environment", "build", "new_in", "state", "order", "limit", "offset"):
                quoted = "".join(f"%{byte:02x}" for byte in text.encode())
                status = 200 if name == "search" else 400
                equal(s.http("GET", f"/api/v1/findings?{name}={quoted}").status, status, name, text)
                page = 400 if name in ("state", "order", "limit", "offset") else 200
                equal(s.http("GET", f"/?{name}={quoted}").status, page, name, text)
        equal(len(s.findings()), 1)


def sizes_are_bounded():
    with with_finding() as s:
        own = {"Authorization": "Bearer " + s.token()}
        equal(s.http("POST", "/api/v1/findings/1/ignore", body="text=" + "x" * 600, **own).status, 409)
        equal(s.http("POST", "/api/v1/findings/1/ignore", body="text=" + "x" * 9000, **own).status, 413)
        equal(s.http("POST", "/api/v1/findings/1/ignore", body="text=" + "x" * 500, **own).status, 200)
        equal(s.http("POST", "/api/v1/records", body="x" * (5 << 20), **own).status, 413)
        for more, status in ((0, 200), (1, 413)):
            equal(s.http("POST", "/api/v1/records", body="\n" * ((4 << 20) + more), **own).status, status, more)
            equal(s.http("POST", "/finding/1/reopen", body="&" * (8192 + more), **own).status, [303, 413][more], more)
        check(s.http("GET", "/" + "x" * 60000).status in (413, 414, 431))
        equal(s.http("PUT", "/", body="", **own).status, 405)
        equal(s.http("DELETE", "/api/v1/findings/1", **own).status, 405)
        equal(s.http("GET", "/").status, 200)


def records_can_be_posted():
    with Service() as s:
        lines = b"".join(service.line_of(event("a", f"{i}")) for i in range(3))
        for taken, twice, unreadable in ((3, 3, 1), (0, 6, 1)):
            equal(s.http("POST", "/api/v1/records", body=lines + lines + b"no record").json(),
                  {"taken": taken, "twice": twice, "unreadable": unreadable})
        equal([row["count"] for row in s.findings()], [3])


def a_body_that_is_no_records_is_not_called_taken():
    with Service() as s:
        line = service.line_of(event("a", "1"))
        equal(s.http("POST", "/api/v1/records", body=b"hello\n\n" + line + b"x" * 300000).json(),
              {"taken": 1, "twice": 0, "unreadable": 2})
        packed = gzip.compress(service.line_of(event("a", "2")))
        equal(s.http("POST", "/api/v1/records", body=packed, Content_Encoding="gzip").status, 415)
        equal(s.http("POST", "/api/v1/symbols", body=packed, Content_Encoding="deflate").status, 415)
        equal(s.http("POST", "/api/v1/records", body=line, Content_Encoding="Identity").json()["twice"], 1)
        equal(s.ask("status")["events"], 1)


def the_answers_are_those_of_the_command():
    with with_finding() as s:
        for path, words in [("findings", ("findings",)), ("findings/1", ("show", "1")), ("builds", ("builds",)),
                            ("why?a=1&b=1", ("why", "1", "1"))]:
            equal(s.http("GET", "/api/v1/" + path).json(), s.ask(*words), path)
        for words, found in (("OPEN_A+app.c", 1), ("OPEN_A%20app.c", 1), ("OPEN_A%2Bapp.c", 0)):
            equal(len(s.http("GET", "/api/v1/findings?search=" + words).json()["findings"]), found, words)
        append(s.directory, event("a", "2", pid=8))
        s.wait(lambda: s.findings()[0]["count"] == 2)
        equal([s.http("GET", f"/api/v1/findings/1?event={id}").json()["record"]["pid"] for id in (1, 2)], [7, 8])
        for path in ("findings/9", "why?a=1&b=9", "nothing", "findings/1/x", "findings/1x", "findings/1?event=9",
                     "findings/99999999999999999999", "processes/99999999999999999999", "coverage/9", "findings/"):
            equal(s.http("GET", "/api/v1/" + path).status, 404, path)


def values_that_the_command_would_refuse_are_refused():
    with with_finding() as s:
        for path, message in (("findings?state=zzz", "state=zzz: use one of: open new reopened fixed ignored all"),
                              ("findings?state=ope", "state=ope: use one of"),
                              ("findings?order=size", "order=size: use one of: last first count"),
                              ("findings?limit=-1", "limit=-1: use a number from 0 on"),
                              ("findings?offset=1x", "offset=1x: use a number"),
                              ("findings/1?event=zzz", "event=zzz: use a number"),
                              ("coverage/1?watched=zzz", "watched=zzz: use one of: no yes all"),
                              ("processes/1?against=99999999999999999999", "against=99999999999999999999: use"),
                              ("findings?build=zzzz", "no build is called zzzz; "),
                              ("findings?new_in=zzz", "no build is called zzz; "),
                              ("findings?environment=nope", "no process has reported from environment nope; "),
                              ("findings?env=ci", "env: use one of: state build new_in environment search order limit"),
                              ("findings?limit=1&new-in=1.0", "new-in: use one of: state"),
                              ("findings/1?offset=1", "offset: use one of: event limit"),
                              ("builds?state=all", "state: use one of: limit offset"),
                              ("findings?search=parse%00zzz", "search: a value cannot hold a NUL"),
                              ("coverage?module=%00", "module: a value cannot hold a NUL"),
                              ("findings?state%00x=all", "state: a value cannot hold a NUL"),
                              ("status?x=y", "x: there are no parameters here"),
                              ("coverage/1?module=a", "module: use one of: watched limit offset")):
            answer = s.http("GET", "/api/v1/" + path)
            equal(answer.status, 400, path)
            check(answer.json()["error"].startswith(message), answer.text)
        for path in ("why?a=1", "why?b=1", "why"):
            answer = s.http("GET", "/api/v1/" + path)
            equal((answer.status, "takes two findings" in answer.json()["error"]), (400, True), path)
        for path in ("findings?state=&limit=&order=", "findings?state=all&order=count&limit=0&offset=9", "status",
                     "findings?build=1.0&new_in=" + "1" * 40 + "&environment=development&search=",
                     "activity?after=0&limit=1", "coverage?module=a&limit=1&offset=1", "builds?limit=1&offset=1",
                     "findings/1?limit=1&event=1", "processes?program=a&host=b&offset=1"):
            equal(s.http("GET", "/api/v1/" + path).status, 200, path)


def a_question_that_would_be_cut_has_no_answer():
    """Of pages as of programs; nor has it the answer to the question that would be left, which is kept."""
    with service.with_finding() as s:
        for path in ("/api/v1/findings", "/", "/processes", "/builds", "/finding/1", "/coverage", "/status"):
            equal(s.http("GET", path).status, 200, path)
            equal(s.http("GET", path + "?limit=1").status, 200 if path != "/status" else 200, path)
            reply = s.http("GET", path + "?limit=1%00")
            equal((reply.status, reply.json()["error"]), (400, "limit: a value cannot hold a NUL (%00)"), path)


def a_path_that_would_be_cut_is_none():
    """Whoever asks, however."""
    with service.with_finding() as s:
        token = {"Authorization": "Bearer " + s.token()}
        for path in ("/%00", "/finding/1%00x", "/finding/%001", "/api/v1/findings%00", "/api/v1/findings/1%00/2",
                     "/style.css%00x", "/sign-in%00", "/api/v1/events%00", f"http://127.0.0.1:{s.port}/%00"):
            for method in ("GET", "POST"):
                reply = s.http(method, path, b"text=x" if method == "POST" else None, **token)
                equal((reply.status, reply.json()["error"]), (400, "a path cannot hold a NUL (%00)"), method, path)
        equal(s.http("POST", "/api/v1/findings/1/ignore%00x", "text=x", **token).status, 400)
        equal(service.state(s), "open")
        equal(s.http("GET", "/finding/1%2500x").status, 404, "the characters %00")
        connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
        for path, status in (("/finding/1%00", 400), ("/finding/1", 200), ("/finding/1%00", 400)):
            connection.request("GET", path)
            reply = connection.getresponse()
            equal((reply.status, len(reply.read()) != 0), (status, True), path)
        connection.close()


def a_decision_whose_text_is_nowhere_to_be_read_is_none():
    """As JSON, as another kind of form, in the query, under another name: it would be fixed in the next build."""
    part = "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nbuild-7\r\n--x--\r\n"
    with with_finding() as s:
        bearer = "Bearer " + s.token()
        for query, body, kind in (("", '{"text":"build-7"}', "application/json"), ("", part, "multipart/form-data"),
                                  ("?text=build-7", "", None), ("", "in=build-7", None), ("", "text=x&texts=y", None),
                                  ("", "build-7", "text/plain"), ("?text", "", None)):
            headers = {"Content_Type": kind} if kind else {}
            for path in ("/api/v1/findings/1/fix", "/finding/1/fix"):
                reply = s.http("POST", path + query, body, Authorization=bearer, **headers)
                equal((reply.status, service.state(s)), (400, "open"), query, body)
                check("form" in reply.text, reply.text)
        equal(s.http("POST", "/steering", "action=sweep&because=x&reason=y", Authorization=bearer).status, 400)
        equal(s.http("POST", "/sign-in", "token=" + s.token() + "&next=/").status, 400)
        equal(s.http("POST", "/api/v1/findings/1/fix", "&text=build-7&", Authorization=bearer).status, 200)
        equal(s.ask("show", "1")["fixed_in"], "build-7")
        equal(service.post(s, event("b", "2"))["taken"], 1)


def a_value_that_would_be_cut_is_refused():
    """In each form, in the query of each change, as %00 and as the byte itself."""
    with service.with_finding() as s:
        token = {"Authorization": "Bearer " + s.token()}
        for path, form in (("/api/v1/findings/1/ignore", "text=known%s, or not"), ("/finding/1/ignore", "text=%s"),
                           ("/api/v1/steering", "action=sweep&because=a%sb"), ("/steering", "action=swe%sep&because=x"),
                           ("/sign-in", "token=" + s.token() + "%s&back=/")):
            for nul in (b"%00", b"\0", b"%25%00"):
                reply = s.http("POST", path, form.encode().replace(b"%s", nul), **token)
                equal((reply.status, reply.json()["error"]), (400, "the form: a value cannot hold a NUL (%00)"), path)
        reply = s.http("POST", "/api/v1/symbols?name=a%00b", b"x", **token)
        equal((reply.status, reply.json()["error"]), (400, "name: a value cannot hold a NUL (%00)"))
        equal((service.state(s), s.ask("steer")["rules"]), ("open", []))
        text = "text=%2500%2000%2C%25%2"
        equal(s.http("POST", "/api/v1/findings/1/ignore", text, **token).status, 200)
        equal(s.ask("show", "1")["because"], "%00 00,%%2")
        equal(service.post(s, b"\0%00\n", event("b", "2"))["taken"], 1, "records are no form")


service.main([
    the_address_that_a_server_names_is_answered, the_socket_in_the_folder_answers_this_user,
    only_hosts_of_ours_are_answered, requests_that_may_be_read_in_two_ways_are_refused, targets_with_a_host_are_taken,
    a_coding_that_is_not_known_is_refused_at_once,
    methods_that_nothing_has_are_named_so, an_address_of_ipv6_stands_in_brackets, text_of_the_query_is_never_sql,
    sizes_are_bounded, records_can_be_posted, every_answer_has_the_headers_that_bind_browsers,
    a_port_is_free_for_the_next_server_at_once, a_body_that_is_no_records_is_not_called_taken,
    a_decision_whose_text_is_nowhere_to_be_read_is_none,
    a_path_that_would_be_cut_is_none, a_value_that_would_be_cut_is_refused, a_question_that_would_be_cut_has_no_answer,
    the_answers_are_those_of_the_command, values_that_the_command_would_refuse_are_refused])
