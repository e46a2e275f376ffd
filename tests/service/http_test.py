#!/usr/bin/env python3
"""Rights over HTTP, and hostile senders, who can do nothing."""

import gzip
import http.client
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import tempfile
import time

import service
from service import Service, append, check, equal, event


def with_finding(*options):
    s = Service(*options)
    append(s.directory, event("a", "1"))
    s.wait(lambda: s.findings() != [])
    return s


def state(s):
    return s.ask("show", "1")["state"]


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


def a_finding_is_split_from_its_page():
    with with_finding() as s:
        cookie = f"ringfence-{s.port}={s.token()}"
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
        cookie = f"ringfence-{s.port}={s.token()}"
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
        words = "texts=no&text=not+ours%3a+1%2B1+is+100%+of+2%"  # as a browser sends them, and two that are no code
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


def requests_from_other_origins_are_refused():
    with with_finding() as s:
        own = f"http://127.0.0.1:{s.port}"
        for origin, status in [("http://evil.example", 403), ("null", 403), (own + ".evil", 403), (own, 200),
                               (f"http://localhost:{s.port}", 200), ("file://", 403)]:
            equal(s.http("GET", "/api/v1/findings", Origin=origin).status, status, origin)
            equal(s.http("POST", "/api/v1/records", body="", Origin=origin).status, status, origin)
        for site, post in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            equal(s.http("POST", "/api/v1/records", body="", Sec_Fetch_Site=site).status, post, site)
            equal([s.http(method, "/", Sec_Fetch_Site=site).status for method in ("GET", "HEAD")], [200, 200], site)


def triage_needs_a_token_on_loopback_too():
    with with_finding() as s:
        path, body = "/api/v1/findings/1/ignore", "text=known"
        own = f"http://127.0.0.1:{s.port}"
        cookie = f"ringfence-{s.port}={s.token()}"
        for more in ({}, {"Authorization": "Bearer " + "0" * 64}, {"Authorization": "Bearer "},
                     {"Authorization": "Bearer x" + s.token()[1:]}, {"Authorization": f"Bearer {s.token()}0"},
                     {"Authorization": "Bearer " + s.token()[:-1]}, {"Authorization": s.token()},
                     {"Cookie": "ringfence-1=x"},
                     {"Cookie": cookie[:-1]}, {"Cookie": cookie + "0"}):
            check(s.http("POST", path, body=body, **more).status in (401, 403), more)
        equal(s.http("POST", path, body=body, Cookie=cookie).status, 403, "a cookie needs the origin")
        equal(s.http("POST", path, body=body, Cookie=cookie, Origin="http://evil.example").status, 403)
        equal(state(s), "open")
        for wrong in ("x" + s.token()[1:], s.token() + "0", s.token()[:-1]):
            equal(s.http("POST", path, body=body, Cookie=f"ringfence-{s.port}={wrong}", Origin=own).status, 401)
        equal(state(s), "open")
        equal(s.http("POST", path, body=body, Cookie=cookie, Origin=own).status, 200)
        equal(state(s), "ignored")
        for name in ("bearer ", "BEARER "):
            equal(s.http("POST", path, body=body, Cookie=cookie, Authorization=name + s.token()).status, 200, name)
        equal(s.http("POST", "/api/v1/findings/1/reopen", Authorization="Bearer " + s.token(), body="").status, 200)
        equal(s.http("POST", "/finding/1/fix", body="text=abc", Cookie=cookie, Origin=own).status, 303)
        equal(s.ask("show", "1")["fixed_in"], "abc")
        for bad, status in [("/api/v1/findings/9/fix", 409), ("/api/v1/findings/1/sing", 409),
                            ("/api/v1/findings/x/fix", 404),
                            ("/api/v1/findings/1", 404), ("/elsewhere", 404), ("/api/v1/findings/1x/fix", 404)]:
            equal(s.http("POST", bad, body="", Authorization="Bearer " + s.token()).status, status, bad)
            reply = s.http("POST", "/api/v1/records", body=service.line_of(event("a", bad)))
            equal(reply.status, 200, "and no transaction is left open")


def tokens_give_the_rights_that_they_name():
    tokens = {"read": "r" * 20, "post": "p" * 20, "triage,read": "t" * 20}
    with Service(start=False) as s:
        with open(s.directory + "/tokens", "w", encoding="ascii") as file:
            file.write("# of machines\n" + "".join(f"{names} {token}\n" for names, token in tokens.items()))
        os.chmod(s.directory + "/tokens", 0o600)
        append(s.directory, event("a", "1"))
        s.once()
        # Beyond loopback everything needs a token.
        s.options += ["--listen", "0.0.0.0:0"]
        s.start()
        for token, read, post, triage in [(None, 401, 401, 401), ("r" * 20, 200, 401, 401), ("p" * 20, 401, 200, 401),
                                          ("t" * 20, 200, 401, 200), (s.token(), 200, 200, 200)]:
            more = {"Authorization": "Bearer " + token} if token else {}
            equal((s.http("GET", "/api/v1/findings", **more).status,
                   s.http("POST", "/api/v1/records", body="", **more).status,
                   s.http("POST", "/api/v1/findings/1/reopen", body="", **more).status), (read, post, triage), token)
        equal(s.http("GET", "/style.css").status, 200)
        s.stop()
        for mode, text in ((0o644, "read " + "r" * 20), (0o600, "nonsense"), (0o600, "fly " + "r" * 20),
                           (0o600, "read,fly " + "r" * 20), (0o600, "read,,post " + "r" * 20),
                           (0o600, "read short"), (0o600, "read semicolon;" + "r" * 20),
                           (0o600, "read quote\"" + "r" * 20), (0o600, "read comma," + "r" * 20),
                           (0o600, "read other\u00e9" + "r" * 20)):
            with open(s.directory + "/tokens", "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(s.directory + "/tokens", mode)
            check("tokens: " in s.command("serve", "--listen", "127.0.0.1:0", status=1), text)


def with_tokens(s, lines, *options):
    with open(s.directory + "/tokens", "w", encoding="utf-8") as file:
        file.write(lines)
    os.chmod(s.directory + "/tokens", 0o600)
    s.options += options


def each_right_opens_what_it_names():
    """Seen from elsewhere, where nothing is open but what the sign-in page needs."""
    tokens = {names: names[0] * 20 for names in ("read", "post", "triage", "steer")}
    paths = {("GET", "/"): "read", ("GET", "/steering"): "read", ("GET", "/api/v1/status"): "read",
             ("POST", "/api/v1/records"): "post", ("POST", "/api/v1/symbols"): "post",
             ("POST", "/api/v1/findings/1/fix"): "triage", ("POST", "/finding/1/fix"): "triage",
             ("POST", "/steering"): "steer", ("POST", "/api/v1/steering"): "steer", ("POST", "/elsewhere"): "triage",
             ("GET", "/style.css"): None, ("GET", "/script.js"): None, ("GET", "/sign-in"): None,
             ("GET", "/favicon.svg"): None, ("HEAD", "/sign-in"): None}
    with Service(start=False) as s:
        with_tokens(s, "".join(f"{names}\t{token}\r\n" for names, token in tokens.items()), "--listen", "0.0.0.0:0")
        s.start()
        for (method, path), needed in paths.items():
            body = "" if method == "POST" else None
            allowed = [right for right, token in tokens.items()
                       if s.http(method, path, body=body, Authorization="Bearer " + token).status != 401]
            equal(allowed, [needed] if needed else list(tokens), method, path)
            equal(s.http(method, path, body=body).status == 401, needed is not None, method, path)
        needs = s.http("POST", "/api/v1/findings/1/fix", body="").json()["error"]
        equal(s.http("POST", "/api/v1/findings/1/fix", body="", Authorization="Bearer " + "r" * 20).json()["error"],
              needs)
        equal((needs, s.http("GET", "/api/v1/status").json()["error"]),
              ("this needs a token with the right to triage: sign in", "this needs a token: sign in"))
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", "serve.sock",
                               "http://localhost/"], cwd=s.directory, stdout=subprocess.PIPE, check=False)
        equal(done.stdout, b"200", "the socket is this user's, whatever the address")


def a_browser_has_the_rights_of_the_token_that_it_gave():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        s.once()
        with_tokens(s, f"read {'r' * 20}\nread,triage {'t' * 20}\nread,steer {'s' * 20}\n")
        s.start()
        own = f"http://127.0.0.1:{s.port}"
        for token, triage, steer in (("r" * 20, False, False), ("t" * 20, True, False), ("s" * 20, False, True),
                                     (s.token(), True, True)):
            reply = s.http("POST", "/sign-in", body="token=" + token, Origin=own)
            equal((reply.status, reply.headers["set-cookie"]),
                  (303, f"ringfence-{s.port}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"))
            cookie = {"Cookie": reply.headers["set-cookie"].split(";")[0]}
            equal(['action="/finding/1/ignore"' in s.http("GET", "/finding/1", **cookie).text,
                   'action="/steering"' in s.http("GET", "/steering", **cookie).text], [triage, steer], token)
            equal([s.http("POST", path, body="", Origin=own, **cookie).status
                   for path in ("/finding/1/reopen", "/api/v1/steering")],
                  [303 if triage else 401, 409 if steer else 401], token)
        equal(s.http("POST", "/sign-in", body="token=" + "x" * 20, Origin=own).status, 401)
        check('<input id="token"' in s.http("GET", "/sign-in").text)


def files_of_tokens_that_others_may_have_made_are_refused():
    with Service(start=False) as s:
        with Service(directory=s.directory):
            pass  # which makes the token
        path = s.directory + "/tokens"
        many = "".join(f"read {i:020}\n" for i in range(63))
        for text, mode, fine in ((many, 0o600, True), (many + "read " + "x" * 20, 0o600, False),
                                 ("read " + "x" * 20, 0o640, False), ("read delete\x7f" + "x" * 20, 0o600, False),
                                 ("rea " + "x" * 20, 0o600, False), ("reading " + "x" * 20, 0o600, False)):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(path, mode)
            try:
                with Service(directory=s.directory):
                    check(fine, text)
            except AssertionError as error:
                check(not fine and "/tokens: " in str(error), text, error)
        for name in ("token", "tokens"):
            with_tokens(s, "read " + "x" * 20)
            os.rename(s.directory + "/" + name, s.root + "/" + name)
            os.symlink(s.root + "/" + name, s.directory + "/" + name)
            check(f"/{name}: " in s.command("serve", "--listen", "127.0.0.1:0", status=1), name)
            os.rename(s.root + "/" + name, s.directory + "/" + name)
        os.chmod(s.directory + "/token", 0o620)
        check("/token: " in s.command("serve", "--listen", "127.0.0.1:0", status=1))


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


def who_shows_a_token_has_its_rights_alone():
    """A proxy that lets requests with a token pass is on this machine, but those who send them are not."""
    with Service(start=False) as s:
        with open(s.directory + "/tokens", "w", encoding="ascii") as file:
            file.write("post " + "p" * 20 + "\n")
        os.chmod(s.directory + "/tokens", 0o600)
        s.start()
        for token, read, post in [(None, 200, 200), ("x" * 20, 401, 401), ("", 401, 401), ("p" * 20, 401, 200),
                                  (s.token(), 200, 200)]:
            more = {} if token is None else {"Authorization": "Bearer " + token}
            equal((s.http("GET", "/api/v1/findings", **more).status,
                   s.http("POST", "/api/v1/records", body="", **more).status), (read, post), token)
        equal(s.http("GET", "/", Authorization="Bearer x").json()["error"], "this is no token of this collector")
        equal(s.http("GET", "/api/v1/findings", Authorization="Bearer").status, 401, "an empty one without its blank")
        equal(s.http("GET", "/api/v1/findings", Authorization="Bearers x").status, 200, "a proxy's own")
        equal(s.http("GET", "/", Authorization="Basic eDp5").status, 200, "a proxy's own, which it has checked")
        equal(s.http("GET", "/", Cookie=f"ringfence-{s.port}=old").status, 200, "of a browser that was signed in once")


def the_token_is_secret():
    with with_finding() as s:
        equal(stat.S_IMODE(os.stat(s.directory + "/token").st_mode), 0o600)
        equal(stat.S_IMODE(os.stat(s.directory + "/ringfence.db").st_mode), 0o600)
        check(re.fullmatch("[0-9a-f]{64}", s.token()))
        for path in ("/", "/status", "/finding/1", "/sign-in"):
            check(s.token() not in s.http("GET", path, Accept="text/html").text, path)
        check(s.token() not in s.log())


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


def a_code_signs_one_browser_in_once():
    folder = tempfile.mkdtemp(prefix="browser", dir=os.environ.get("TEST_TMPDIR"))
    with open(folder + "/xdg-open", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")  # else a browser of this machine takes the code
    os.chmod(folder + "/xdg-open", 0o700)
    os.environ["PATH"] = folder + ":" + os.environ.get("PATH", "/usr/bin:/bin")
    with with_finding("--open") as s:
        path = s.wait(lambda: re.search(r"(/sign-in\?code=[0-9a-f]{32})", s.log()))[1]
        equal(s.http("GET", path[:-1] + "x").status, 401)
        first = s.http("GET", path)
        equal(first.status, 303)
        check("HttpOnly" in first.headers["set-cookie"] and "SameSite=Strict" in first.headers["set-cookie"])
        equal(s.http("GET", path).status, 401)
        equal(s.http("GET", "/sign-in?code=").status, 401, "a code that was used is none")
        own = f"http://127.0.0.1:{s.port}"
        for token, back, status, target in [("wrong", "/", 401, None), (s.token(), "/builds", 303, "/builds"),
                                            (s.token(), "//evil.example", 303, "/"),
                                            (s.token(), "/\\evil.example", 303, "/"),
                                            (s.token(), "%2F%2Fevil.example", 303, "/"),
                                            (s.token(), "http://evil", 303, "/")]:
            reply = s.http("POST", "/sign-in", body=f"token={token}&back={back}", Origin=own)
            equal((reply.status, reply.headers.get("location")), (status, target), back)


def a_browser_that_came_by_tls_keeps_the_token_to_it():
    with Service("--host", "rf.example.org") as s:
        for host, scheme, secure in (("rf.example.org", "https", True), ("rf.example.org", "http", False),
                                     (f"127.0.0.1:{s.port}", "http", False)):
            reply = s.http("POST", "/sign-in", body="token=" + s.token(), host=host, Origin=f"{scheme}://{host}")
            equal((reply.status, "; Secure" in reply.headers["set-cookie"]), (303, secure), host, scheme)


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
        query = "state=all&environment=ci&build=1&search=src%20%26&order=count"
        for path, links in (("/?state=all&limit=2", ["/?state=all&amp;offset=2"]),
                            ("/?state=all&limit=2&offset=2", ["/?state=all", "/?state=all&amp;offset=4"]),
                            ("/?state=all&limit=2&offset=4", ["/?state=all&amp;offset=2"]),
                            ("/?state=all&limit=2&offset=1", ["/?state=all", "/?state=all&amp;offset=3"]),
                            ("/?state=all", [])):
            text = s.http("GET", path).text
            equal(re.findall(r'<a rel="\w+" href="([^"]*)"', text), links, path)
        text = s.http("GET", "/?" + query).text
        for name in ("open", "new", "reopened", "fixed", "ignored", "all"):
            check(f'<a href="/?{query.replace("state=all", "state=" + name).replace("&", "&amp;")}"' in text, name,
                  text)
        equal(re.findall(r'<a href="[^"]*state=(\w+)[^"]*" aria-current="page"', text), ["all"])
        equal(re.findall(r'<option value="(\w*)" selected>', text), ["ci", "count"])
        check('name="search" value="src &amp;"' in text and 'name="build" value="1"' in text, text)
        counts = re.findall(r">(\w+) <b>(\d+)</b></a>", s.http("GET", "/").text)
        equal(counts, [("Open", "5"), ("New", "5"), ("Reopened", "0"), ("Fixed", "0"), ("Ignored", "0"), ("All", "5")])


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


def text_of_the_query_is_never_sql():
    with with_finding() as s:
        for text in ("'", "a' OR '1'='1", "%25", "x;DROP TABLE finding", "\\"):
            for name in ("search", "environment", "build", "new_in", "state", "order", "limit", "offset"):
                quoted = "".join(f"%{byte:02x}" for byte in text.encode())
                status = 400 if name in ("state", "order", "limit", "offset") else 200
                equal(s.http("GET", f"/api/v1/findings?{name}={quoted}").status, status, name, text)
                equal(s.http("GET", f"/?{name}={quoted}").status, 200, name, text)
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
            equal(s.http("POST", "/finding/1/reopen", body="x" * (8192 + more), **own).status, [303, 413][more], more)
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
        equal(s.http("POST", "/api/v1/records", body=line, Content_Encoding="identity").json()["twice"], 1)
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
                              ("processes/1?against=99999999999999999999", "against=99999999999999999999: use")):
            answer = s.http("GET", "/api/v1/" + path)
            equal(answer.status, 400, path)
            check(answer.json()["error"].startswith(message), answer.text)
        for path in ("why?a=1", "why?b=1", "why"):
            check("takes two findings" in s.http("GET", "/api/v1/" + path).json()["error"], path)
        for path in ("findings?state=&limit=&order=", "findings?state=all&order=count&limit=0&offset=9", "status?x=y"):
            equal(s.http("GET", "/api/v1/" + path).status, 200, path)


def hold(s, count, address="127.0.0.1"):
    """Connections that are silent, stop in a header or in a body, or do not read their answer."""
    held = []
    page = f"GET /?state=all HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n".encode()
    post = f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: 99\r\n\r\nabc".encode()
    for i in range(count):
        connection = socket.create_connection(("127.0.0.1", s.port), 20, (address, 0))
        connection.sendall([b"", b"GET / HT", post, page][i % 4])
        held.append(connection)
    return held


def is_answered_soon(s, what):
    """Within a second, or what a second is on a machine that is busy; below the time after which silence ends a
    connection."""
    begin = time.time()
    equal(s.http("GET", "/").status, 200)
    seconds = time.time() - begin
    check(seconds < 1 or seconds < min(service.slowness(), 8), what, seconds)


def thousands_of_silent_connections_hold_nobody_up():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    share = min(1000, (hard - 100) // 3)
    with with_finding() as s:
        held = []
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            held += hold(s, share, address)
            is_answered_soon(s, f"beside {len(held)}")
        append(s.directory, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connections_that_send_a_byte_now_and_then_hold_nobody_up():
    with with_finding() as s:
        slow = hold(s, 900)
        for _ in range(3):
            for connection in slow:
                try:
                    connection.sendall(b"x")
                except OSError:
                    pass  # it has been closed
            is_answered_soon(s, "beside slow ones")


def many_lists_at_once_hold_up_neither_intake_nor_pages():
    """Those who ask read nothing, and their answers are all different, or all the same."""
    with Service(start=False) as s:
        append(s.directory, *(event(f"p{i}", f"b-1-1-{i}", pid=i) for i in range(2000)))
        s.once()
        s.start()
        path = "/api/v1/findings?limit=1000&state=all&order=count&search=open&offset=%d"
        begin = time.time()
        for i in range(5):
            equal(s.http("GET", path % i).status, 200)
        alone = (time.time() - begin) / 5
        before = resident_kib(s)
        for kind in (path, path.replace("/api/v1/findings", "/"), "/api/v1/findings?limit=1000&state=all&offset=7"):
            held = []
            for i in range(300):
                line = f"GET {kind % i if '%' in kind else kind} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n\r\n"
                held.append(socket.create_connection(("127.0.0.1", s.port), 20))
                held[-1].sendall(line.encode())
            begin = time.time()
            count = s.ask("status")["events"]
            append(s.directory, event("new", f"new-{count}"))
            for where in ("/finding/1", "/", "/status", "/api/v1/findings"):
                equal(s.http("GET", where).status, 200)
            s.wait(lambda wanted=count + 1: s.ask("status")["events"] == wanted)
            seconds = time.time() - begin
            check(seconds < 2 + 60 * alone, f"{seconds} s; a list alone takes {alone} s")
            for connection in held:
                connection.close()
            is_answered_soon(s, kind)
        held = []
        count = s.ask("status")["events"]
        os.kill(s.process.pid, signal.SIGSTOP)  # all of it is there when the first is looked at
        for i in range(200):
            body = service.line_of(event("posted", f"posted-{i}"))
            head = f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {len(body)}\r\n\r\n"
            held.append(socket.create_connection(("127.0.0.1", s.port), 20))
            held[-1].sendall(head.encode() + body)
            if i % 2:
                held[-1].shutdown(socket.SHUT_WR)
        os.kill(s.process.pid, signal.SIGCONT)
        is_answered_soon(s, "records")
        s.wait(lambda: s.ask("status")["events"] == count + 200)
        for connection in held:
            check(connection.recv(4096).startswith(b"HTTP/1.1 200"), "records are answered")
            connection.close()
        check(service.with_sanitizer() or resident_kib(s) < before + 100000, before, resident_kib(s))


def a_list_that_was_asked_for_just_now_is_as_new_as_the_store():
    with with_finding() as s:
        def titles(**headers):
            return [f["id"] for f in s.http("GET", "/api/v1/findings?state=all", **headers).json()["findings"]]

        equal((titles(), titles()), ([1], [1]))
        equal(s.http("POST", "/api/v1/records", body=service.line_of(event("b", "b-1"))).json()["taken"], 1)
        equal(sorted(titles()), [1, 2], "what this process wrote")
        check("fixed" not in s.http("GET", "/api/v1/findings?state=all").text)
        s.command("fix", "1")
        check("fixed" in s.http("GET", "/api/v1/findings?state=all").text, "what another process wrote")
        token = {"Authorization": "Bearer " + s.token()}
        guest, owner = s.http("GET", "/steering"), s.http("GET", "/steering", **token)
        check("<form" in owner.text and "<form" not in guest.text.replace('class="search"', ""), "of others' rights")
        for path in ("/?state=all", "/?state=all&environment=", "/?environment=&state=all", "/?search=a", "/?search=b"):
            check(s.http("GET", path).text == s.http("GET", path).text)
        check("open_a" in s.http("GET", "/?search=open_a&state=all").text)
        check("open_a" not in s.http("GET", "/?search=open_b&state=all").text.split("<main")[1])
        equal(s.http("HEAD", "/").status, 200)


def an_upload_that_goes_on_outlives_silent_connections():
    with with_finding() as s:
        lines = b"".join(service.line_of(event("u", f"u{i}", f_pad=3000)) for i in range(600))
        upload = socket.create_connection(("127.0.0.1", s.port), 20)
        upload.sendall(f"POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {len(lines)}"
                       "\r\n\r\n".encode())
        held = []
        for at in range(0, len(lines), len(lines) // 8 + 1):
            upload.sendall(lines[at:at + len(lines) // 8 + 1])
            time.sleep(0.05)
            held += hold(s, 100)
        equal(upload.recv(12), b"HTTP/1.1 200")
        equal(len(held), 800)


def resident_kib(s):
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def post_partly(s, path, size, sent):
    connection = socket.create_connection(("127.0.0.1", s.port), 20)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def bodies_that_are_not_finished_take_bounded_memory():
    with with_finding() as s:
        before = resident_kib(s)
        held = [post_partly(s, "/api/v1/records", 3 << 20, b"x" * ((3 << 20) - 1)) for _ in range(20)]
        is_answered_soon(s, "beside unfinished bodies")
        grown = resident_kib(s) - before
        check(service.with_sanitizer() or grown < 30 << 10, grown, "KiB for bodies")
        held[-1].sendall(b"\n")
        equal(held[-1].recv(12), b"HTTP/1.1 503", "it is told so")


def bodies_that_were_answered_take_no_room():
    with with_finding() as s:
        equal([s.http("POST", "/api/v1/records", body="\n" * (3 << 20)).status for _ in range(7)], [200] * 7)


def uploads_at_once_are_few():
    with with_finding() as s:
        held = [post_partly(s, "/api/v1/symbols", 99, b"x") for _ in range(8)]
        folder = s.directory + "/symbols"
        s.wait(lambda: os.path.isdir(folder) and len(os.listdir(folder)) == 8)
        refused = s.http("POST", "/api/v1/symbols", body="x" * 20000)
        equal((refused.status, refused.json()["error"]), (503, "too much is being sent at once: try again"))
        held[0].close()
        s.wait(lambda: s.http("POST", "/api/v1/symbols", body="x").status == 400)
        time.sleep(2.1)  # the others have stopped
        equal([s.http("POST", "/api/v1/symbols", body="x" * 20000).status for _ in range(3)], [400] * 3)


def uploads_that_were_cut_short_stop_no_others():
    """In a container each server has the same number, and may meet the files of one that was killed."""
    program = os.path.realpath("/proc/self/exe")
    with open(program, "rb") as file:
        head = file.read(64)
    with Service() as s:
        folder = s.directory + "/symbols"
        equal(s.http("POST", "/api/v1/symbols", body=head).status, 400, "it makes the folder")
        for i in range(9):
            open(f"{folder}/new-{s.process.pid}-{i}", "x", encoding="ascii").close()
        equal([s.http("POST", "/api/v1/symbols", body=head).status for _ in range(3)], [400] * 3)


def pages_that_are_open_hear_of_changes_and_closed_ones_cost_nothing():
    with with_finding() as s:
        def listen():
            connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=20)
            connection.request("GET", "/api/v1/events")
            return connection, connection.getresponse()

        for _ in range(90):  # more than there is room for at once
            connection, stream = listen()
            if stream.status == 503:
                time.sleep(1.2)
                connection, stream = listen()
            equal((stream.status, stream.headers["Content-Type"]), (200, "text/event-stream"))
            connection.sock.close() if connection.sock else stream.close()
            connection.close()
        _, stream = listen()
        equal(stream.readline(), b"retry: 3000\n")
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
    an_open_page_hears_of_nothing_where_nothing_changes,
    the_address_that_a_server_names_is_answered, the_socket_in_the_folder_answers_this_user,
    a_finding_is_split_from_its_page, only_hosts_of_ours_are_answered, requests_from_other_origins_are_refused,
    requests_that_may_be_read_in_two_ways_are_refused, targets_with_a_host_are_taken,
    methods_that_nothing_has_are_named_so, triage_needs_a_token_on_loopback_too,
    tokens_give_the_rights_that_they_name, who_shows_a_token_has_its_rights_alone, the_token_is_secret,
    an_address_of_ipv6_stands_in_brackets, a_code_signs_one_browser_in_once,
    a_browser_that_came_by_tls_keeps_the_token_to_it, pages_are_well_formed,
    a_page_s_forms_do_what_their_buttons_say, pages_run_nothing_and_load_nothing_from_elsewhere,
    what_records_say_is_text_on_the_page, text_of_the_query_is_never_sql, sizes_are_bounded, records_can_be_posted,
    each_right_opens_what_it_names, a_browser_has_the_rights_of_the_token_that_it_gave,
    files_of_tokens_that_others_may_have_made_are_refused, every_answer_has_the_headers_that_bind_browsers,
    a_list_keeps_what_was_chosen, a_port_is_free_for_the_next_server_at_once,
    a_body_that_is_no_records_is_not_called_taken, the_answers_are_those_of_the_command,
    values_that_the_command_would_refuse_are_refused,
    thousands_of_silent_connections_hold_nobody_up, connections_that_send_a_byte_now_and_then_hold_nobody_up,
    many_lists_at_once_hold_up_neither_intake_nor_pages, a_list_that_was_asked_for_just_now_is_as_new_as_the_store,
    an_upload_that_goes_on_outlives_silent_connections, bodies_that_are_not_finished_take_bounded_memory,
    bodies_that_were_answered_take_no_room, uploads_at_once_are_few, uploads_that_were_cut_short_stop_no_others],
    alone=[thousands_of_silent_connections_hold_nobody_up, many_lists_at_once_hold_up_neither_intake_nor_pages,
           connections_that_send_a_byte_now_and_then_hold_nobody_up,
           bodies_that_are_not_finished_take_bounded_memory])
