#!/usr/bin/env python3
"""Rights over HTTP: tokens, signing in, requests that other pages send."""

import html
import os
import re
import stat
import subprocess
import tempfile
import urllib.parse

import service
from service import Service, append, check, equal, event, state, with_finding


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
        cookie = s.cookie()
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


def a_session_is_no_token():
    """Cookies know no ports: a server of another user on this address sees them."""
    with with_finding() as s:
        path, own = "/api/v1/findings/1/ignore", f"http://127.0.0.1:{s.port}"
        cookie = s.cookie()
        name, secret = cookie.split("=")
        check(secret != s.token() and s.cookie() != cookie)
        equal(s.http("POST", path, body="text=a", Authorization="Bearer " + secret).status, 401)
        equal(s.http("POST", path, body="text=a", Cookie=f"{name}={s.token()}", Origin=own).status, 401)
        equal(os.stat(s.directory + "/sessions").st_mode & 0o777, 0o600)
        s.stop()
        s.start()
        own = f"http://127.0.0.1:{s.port}"
        cookie = f"ringfence-{s.port}={secret}"
        equal(s.http("POST", path, body="text=a", Cookie=cookie, Origin=own).status, 200, "it outlives the server")
        s.stop()
        with open(s.directory + "/sessions", encoding="ascii") as file:
            until = file.read().split()[0]
        for damage in (lambda text: text.replace(until, "1"), lambda text: text.replace(secret, secret[1:]),
                       lambda text: "\0" * 5000, lambda text: text[:50]):
            with open(s.directory + "/sessions", "r+", encoding="ascii") as file:
                text = file.read()
                file.seek(0)
                file.truncate()
                file.write(damage(text))
            s.start()
            own = f"http://127.0.0.1:{s.port}"
            cookie = f"ringfence-{s.port}={secret}"
            equal(s.http("POST", path, body="text=b", Cookie=cookie, Origin=own).status, 401, "it has ended")
            s.stop()
            with open(s.directory + "/sessions", "w", encoding="ascii") as file:
                file.write(text)


def a_session_ends_with_its_token():
    with Service(start=False) as s:
        with open(s.directory + "/tokens", "w", encoding="ascii") as file:
            file.write("triage " + "t" * 20 + "\n")
        os.chmod(s.directory + "/tokens", 0o600)
        append(s.directory, event("a", "1"))
        s.once()
        s.start()
        secret = s.cookie("t" * 20).split("=")[1]
        for kept, status in ((True, 200), (False, 401)):
            s.stop()
            if not kept:
                os.unlink(s.directory + "/tokens")
            s.start()
            answer = s.http("POST", "/api/v1/findings/1/ignore", body="text=a",
                            Cookie=f"ringfence-{s.port}={secret}", Origin=f"http://127.0.0.1:{s.port}")
            equal(answer.status, status)


def the_oldest_session_ends_where_there_are_too_many():
    with with_finding() as s:
        first, second = s.cookie(), s.cookie()
        for _ in range(63):
            last = s.cookie()
        own = f"http://127.0.0.1:{s.port}"
        for cookie, status in ((first, 401), (second, 200), (last, 200)):
            equal(s.http("POST", "/api/v1/findings/1/ignore", body="text=a", Cookie=cookie, Origin=own).status, status)


def a_token_that_is_too_short_is_named_with_its_line():
    with Service(start=False) as s:
        with open(s.directory + "/tokens", "w", encoding="ascii") as file:
            file.write("# of machines\n\nread " + "r" * 16 + "\npost " + "p" * 15 + "\n")
        os.chmod(s.directory + "/tokens", 0o600)
        said = s.command("serve", "--listen", "127.0.0.1:0", status=1)
        for words in ("tokens: line 4: the token is too short", "16 to 64 characters"):
            check(words in said, said)


def tokens_give_the_rights_that_they_name():
    tokens = {"read": "r" * 20, "post": "p" * 20, "triage,read": "t" * 20}
    with Service(start=False) as s:
        with open(s.directory + "/tokens", "w", encoding="ascii") as file:
            file.write("# of machines\n" + "\n# and\n".join(f"{names} {token}" for names, token in tokens.items()))
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
             ("HEAD", "/api/v1/events"): "read", ("GET", "/buildid/00/debuginfo"): "read",
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
        for method, path, right in (("GET", "/api/v1/status", "read: sign in"), ("POST", "/api/v1/records", "post"),
                                    ("POST", "/api/v1/findings/1/fix", "triage: sign in"),
                                    ("POST", "/api/v1/steering", "steer: sign in")):
            other = "p" * 20 if right.startswith("read") else "r" * 20
            for headers in ({}, {"Authorization": "Bearer " + other}):
                equal(s.http(method, path, body="" if method == "POST" else None, **headers).json()["error"],
                      "this needs a token with the right to " + right)
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
            equal(reply.status, 303)
            check(re.fullmatch(f"ringfence-{s.port}=[0-9a-f]{{32}}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000",
                               reply.headers["set-cookie"]), reply.headers["set-cookie"])
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
        os.unlink(s.directory + "/token")
        os.symlink("nowhere", s.directory + "/token")
        check("/token: File exists" in s.command("serve", "--listen", "127.0.0.1:0", status=1))


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
                                            (s.token(), "/%09/evil.example", 303, "/"),
                                            (s.token(), "/%0a/evil.example", 303, "/"),
                                            (s.token(), "/builds%0d", 303, "/"), (s.token(), "/builds%7f", 303, "/"),
                                            (s.token(), "http://evil", 303, "/")]:
            reply = s.http("POST", "/sign-in", body=f"token={token}&back={back}", Origin=own)
            equal((reply.status, reply.headers.get("location")), (status, target), back)
        reply = s.http("POST", "/sign-in", body="token=wrong&back=/builds", Origin=own, Accept="text/html")
        check('name="back" value="/builds"' in reply.text, "it is still meant: " + reply.text)
        for back, leads in (("/?search=a%26b&state=all", "/?search=a%26b&amp;state=all"), ("//evil", "/"), ("", "/")):
            page = s.http("GET", "/sign-in?back=" + urllib.parse.quote(back, safe=""), Accept="text/html").text
            check(f'name="back" value="{leads}"' in page, back, page)


def whoever_signs_in_comes_back_to_the_same_list():
    """With all that was chosen; the page of a finding and the rules say where to sign in, and lead back as well."""
    with with_finding() as s:
        for path in ("/finding/1?event=1", "/steering?limit=5"):
            link = re.search(r'href="(/sign-in[?]back=[^"]*)"', s.http("GET", path).text)[1]
            page = s.http("GET", link).text
            check(f'name="back" value="{path}"' in page, path, page)
        s.stop()
        s.options = ["--listen", "0.0.0.0:0"]
        s.start()
        path = "/?search=a%26b%20%22c&state=all&limit=7"
        page = s.http("GET", path, Accept="text/html")
        equal(page.status, 401)
        back = html.unescape(re.search(r'name="back" value="([^"]*)"', page.text)[1])
        equal(back, path)
        reply = s.http("POST", "/sign-in", body="token=" + s.token() + "&back=" + urllib.parse.quote(back, safe=""))
        equal((reply.status, reply.headers["location"]), (303, path))


def a_browser_signs_out():
    """Others stay signed in, and none comes back with the next process."""
    with with_finding() as s:
        own = f"http://127.0.0.1:{s.port}"
        cookie, other = s.cookie(), s.cookie()

        def may_triage():
            replies = [s.http("POST", "/finding/1/reopen", body="", Cookie=c, Origin=own) for c in (cookie, other)]
            return [reply.status != 401 for reply in replies]

        form = '<form method="post" action="/sign-out"'
        equal([form in s.http("GET", "/status", **more).text for more in ({"Cookie": cookie}, {})], [True, False])
        equal(s.http("POST", "/sign-out", body="", Cookie=cookie, Origin="http://evil.example").status, 403)
        equal(may_triage(), [True, True])
        reply = s.http("POST", "/sign-out", body="", Cookie=cookie, Origin=own)
        equal((reply.status, reply.headers["location"]), (303, "/sign-in"))
        check(f"ringfence-{s.port}=; " in reply.headers["set-cookie"], reply.headers["set-cookie"])
        check("Max-Age=0" in reply.headers["set-cookie"], reply.headers["set-cookie"])
        equal(may_triage(), [False, True])
        check(form not in s.http("GET", "/status", Cookie=cookie).text)
        equal(s.http("POST", "/sign-out", body="", Cookie=cookie, Origin=own).status, 303, "once more")
        with open(s.directory + "/sessions", encoding="ascii") as file:
            text = file.read()
        equal([c.split("=")[1] in text for c in (cookie, other)], [False, True])


def a_browser_that_came_by_tls_keeps_the_token_to_it():
    with Service("--host", "rf.example.org") as s:
        for host, scheme, secure in (("rf.example.org", "https", True), ("rf.example.org", "http", False),
                                     (f"127.0.0.1:{s.port}", "http", False)):
            reply = s.http("POST", "/sign-in", body="token=" + s.token(), host=host, Origin=f"{scheme}://{host}")
            equal((reply.status, "; Secure" in reply.headers["set-cookie"]), (303, secure), host, scheme)


service.main([
    a_session_is_no_token, a_session_ends_with_its_token, the_oldest_session_ends_where_there_are_too_many,
    requests_from_other_origins_are_refused, triage_needs_a_token_on_loopback_too,
    a_token_that_is_too_short_is_named_with_its_line, tokens_give_the_rights_that_they_name,
    who_shows_a_token_has_its_rights_alone, the_token_is_secret,
    a_browser_signs_out, whoever_signs_in_comes_back_to_the_same_list, a_code_signs_one_browser_in_once,
    a_browser_that_came_by_tls_keeps_the_token_to_it,
    each_right_opens_what_it_names,
    a_browser_has_the_rights_of_the_token_that_it_gave, files_of_tokens_that_others_may_have_made_are_refused])
