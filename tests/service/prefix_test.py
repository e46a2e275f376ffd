#!/usr/bin/env python3
"""Pages below a path of a reverse proxy (--base-path), which may take that path off or leave it."""

import html
import http.client
import http.server
import json
import os
import re
import socketserver
import subprocess
import threading

import service
from service import SERVE, Service, append, check, equal, event, record

BASE = "/tools/ringfence"
FEW = 8
HOP = ("connection", "content-length", "transfer-encoding", "date", "server")


class Proxy(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Has a collector below BASE, and nothing elsewhere. `strips`: takes BASE off, as proxy_pass with a path does."""

    daemon_threads = True

    def __init__(self, strips):
        super().__init__(("127.0.0.1", 0), Handler)
        self.strips, self.target = strips, None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """The other side went away."""


class Handler(http.server.BaseHTTPRequestHandler):
    def pass_on(self):
        path = self.requestline.split()[1]
        if not path.startswith(BASE + "/"):
            self.send_error(404, "another application's")
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if self.command == "POST" else None
        c = http.client.HTTPConnection("127.0.0.1", self.server.target)
        c.request(self.command, path[len(BASE):] if self.server.strips else path, body, dict(self.headers))
        reply = c.getresponse()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while self.command != "HEAD" and (piece := reply.read1(65536)):
            self.wfile.write(piece)
        c.close()

    do_GET = do_POST = do_HEAD = pass_on

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Nothing."""


class Behind(Service):
    """A collector behind such a proxy. `via` asks the proxy, with the path that a browser would have."""

    def __init__(self, strips, *options):
        self.proxy = Proxy(strips)
        self.own = f"http://127.0.0.1:{self.proxy.server_port}"
        super().__init__("--base-path", BASE, "--host", f"127.0.0.1:{self.proxy.server_port}", *options)
        self.proxy.target = self.port

    def __exit__(self, *rest):
        self.proxy.shutdown()
        self.proxy.server_close()
        super().__exit__(*rest)

    def via(self, method, path, body=None, **headers):
        inner, self.port = self.port, self.proxy.server_port
        try:
            return self.http(method, path, body, **headers)
        finally:
            self.port = inner

    def sign_in(self):
        reply = self.via("POST", BASE + "/sign-in", "token=" + self.token(), Origin=self.own)
        equal((reply.status, reply.headers["location"]), (303, BASE + "/"))
        name, _, attributes = reply.headers["set-cookie"].partition("; ")
        check(f"Path={BASE};" in attributes, attributes)
        return name


def samples():
    """Lines of every kind, and as much of each as makes lists have parts."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples.jsonl"), "rb") as file:
        yield from file.read().splitlines(keepends=True)
    for i in range(30):
        yield event(f"p{i}", f"p-{i}", pid=i, environment="ci", build=service.build("", f"1.{i}"))
    for i in range(25):  # the page of one finding leaves some of these out
        yield event("many", f"m-{i}", pid=i, host=f"other-{i}", program=f"/srv/p{i}", build=service.build("", f"2.{i}"))
    sites = [{"path": "/srv/app", "build_id": "ab" * 10, "sites": 3, "watched": [[4096, 1]], "unwatched": [4100, 4104]}]
    for i in range(3):
        yield record("summary", f"s-{i}-1", pid=i, seconds=360.0, allocations=9, exit="status 0", sites=sites,
                     program=f"/srv/p{i}")
    calls = [[100 * (60 - i), 1, [[{"path": "/srv/app", "build_id": "ab12"} if i == 0 else 0, hex(0x1000 + i), f"f{i}",
                                   "src/app.c", i]]] for i in range(60)]
    for i in (1, 2):
        yield record("snapshot", f"b-7-99-{i}", seconds=60.5 * i, snapshot={
            "name": f"s{i}", "allocator": "malloc", "blocks": 60, "bytes": 183000, "peak": 190000, "resident": 262144,
            "sizes": [[64, 60, 183000]], "map": {"cell": 65536, "parts": [["0x7f0000010000", [3000, 0, 900]]]},
            "sites": calls, "omitted_blocks": 0, "omitted_bytes": 0})


def links_of(text):
    """What the page leads to, loads and sends forms to."""
    found = re.findall(r'(?:href|src|action|poster|data-href)="([^"]*)"', text)
    return [html.unescape(link) for link in found]


def seen_from(page, link):
    """The address of the link on that page, without what is behind '#'."""
    link = link.partition("#")[0]
    return page.partition("?")[0] + link if link[:1] in ("?", "") else link


def crawl(s, cookie, starts):
    """Asks for what can be reached, of a kind of pages for a few; returns all addresses that are on them."""
    met, kinds, todo = set(), {}, list(starts)
    while todo:
        page = todo.pop()
        kind = re.sub(r"\d+|=[^&]*", "", page)
        if page in met or (kinds.get(kind, 0) >= FEW and page not in starts):
            met.add(page)
            continue
        met.add(page)
        kinds[kind] = kinds.get(kind, 0) + 1
        reply = s.via("GET", page, Cookie=cookie, Accept="text/html")
        check(reply.status in (200, 404) and (reply.status == 200 or page.endswith("/nowhere")), reply.status, page)
        if not reply.headers["content-type"].startswith("text/html"):
            continue
        equal(service.Nesting(reply.text).wrong, [], page)
        for link in links_of(reply.text):
            address = seen_from(page, link)
            check(address.startswith(BASE + "/"), link, "on", page)
            check(BASE not in address[len(BASE):].partition("?")[0], link, "on", page)
            form = f'method="post" action="{link}"' in reply.text
            met.update([address] if form else [])
            todo += [] if form or "zoom=" in address else [address]
    return met


def fill(s):
    append(s.directory, *samples())
    s.wait(lambda: len(s.findings("--state", "all", "--limit", "100")) > 31 and s.ask("status")["waiting_bytes"] == 0)
    s.command("merge", "2", "3")
    s.command("steer", "set", "--options", "sample_rate=1000", "--because", "a try")


def all_links_lead_below_the_path(strips):
    with Behind(strips) as s:
        fill(s)
        cookie = s.sign_in()
        starts = [BASE + path for path in (
            "/", "/?state=all&limit=7", "/?state=fixed", "/?search=nosuch", "/?state=all&offset=9999", "/finding/2",
            "/builds?limit=5", "/builds?offset=9999", "/coverage?limit=1", "/coverage?offset=9999", "/processes",
            "/processes?program=nosuch", "/steering", "/status", "/sign-in", "/nowhere", "/finding/nowhere")]
        many = next(f["id"] for f in s.findings("--limit", "100") if "many" in f["place"])
        met = crawl(s, cookie, [*starts, f"{BASE}/finding/{many}"])
        nobody = crawl(s, "", [BASE + "/", BASE + "/finding/1", BASE + "/steering", BASE + "/status"])
        for kind in ("/style.css", "/script.js", "/favicon.svg", "/sign-out", "/steering", "/finding/1",
                     "/finding/1/fix", "/finding/1/split", "/coverage/1", "/process/1", "/builds?limit=5",
                     "/?state=all&build=", "/?state=all&limit=7&offset=7", "/api/v1/processes/"):
            check(any(page.startswith(BASE + kind) for page in met), kind, "is on no page", sorted(met))
        check(any("?event=" in page for page in met) and any("limit=1000" in page for page in met), sorted(met))
        check(any("/sign-in?back=" in page for page in nobody), sorted(nobody))


def the_proxy_takes_the_path_off():
    all_links_lead_below_the_path(True)


def the_proxy_leaves_the_path():
    all_links_lead_below_the_path(False)


def a_browser_signs_in_decides_and_signs_out(strips):
    with Behind(strips) as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        page = s.via("GET", BASE + "/finding/1?limit=3").text
        back = html.unescape(re.search(r'href="([^"]*/sign-in\?back=[^"]*)"', page)[1])
        form = s.via("GET", back).text
        action = re.search(r'<form method="post" action="([^"]*)"', form)[1]
        field = html.unescape(re.search(r'name="back" value="([^"]*)"', form)[1])
        reply = s.via("POST", action, f"token={s.token()}&back={field.replace('?', '%3F').replace('=', '%3D')}",
                      Origin=s.own)
        equal((reply.status, reply.headers["location"]), (303, BASE + "/finding/1?limit=3"))
        cookie = reply.headers["set-cookie"].partition(";")[0]
        for path, body, to in (("/finding/1/ignore", "text=x", "/finding/1"),
                               ("/steering", "action=set&options=sample_rate%3D9&because=x", "/steering")):
            reply = s.via("POST", BASE + path, body, Cookie=cookie, Origin=s.own)
            equal((reply.status, reply.headers["location"]), (303, BASE + to), path)
        equal(service.state(s), "ignored")
        refused = s.via("POST", BASE + "/finding/1/reopen", "", Origin=s.own, Accept="text/html")
        equal(refused.status, 401)
        check(f'action="{BASE}/sign-in"' in refused.text and 'name="back" value="/finding/1"' in refused.text)
        reply = s.via("POST", BASE + "/sign-out", "", Cookie=cookie, Origin=s.own)
        equal((reply.status, reply.headers["location"]), (303, BASE + "/sign-in"))
        check(f"Path={BASE};" in reply.headers["set-cookie"] and "Max-Age=0" in reply.headers["set-cookie"])
        equal(s.via("POST", BASE + "/finding/1/reopen", "", Cookie=cookie, Origin=s.own).status, 401)


def a_browser_signs_in_where_the_path_is_taken_off():
    a_browser_signs_in_decides_and_signs_out(True)


def a_browser_signs_in_where_the_path_is_left():
    a_browser_signs_in_decides_and_signs_out(False)


def programs_send_and_ask_below_the_path():
    for strips in (True, False):
        with Behind(strips) as s, Service(start=False) as other:
            environment = dict(os.environ, RINGFENCE_TOKEN=s.token())
            for i, end in enumerate(("", "/")):
                append(other.directory, event(f"a{i}", f"f-{i}"))
                subprocess.run([SERVE, "forward", "--once", "--to", s.own + BASE + end, other.directory], check=True,
                               env=environment, stdout=subprocess.PIPE)
                equal(len(s.findings()), i + 1, end)
                done = subprocess.run([SERVE, "symbols", "upload", "--to", s.own + BASE + end, SERVE], check=False,
                                      env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                equal(done.returncode, 0, done.stdout)
            append(other.directory, event("b", "f-9"))
            done = subprocess.run([SERVE, "serve", "--once", "--no-shared", "--dir", other.directory, "--forward",
                                   s.own + BASE + "/"], check=False, env=environment, stderr=subprocess.PIPE)
            equal((done.returncode, len(s.findings())), (0, 3), done.stderr)
            equal(len(s.via("GET", BASE + "/api/v1/findings").json()["findings"]), 3)
            build_id = s.ask("symbols", "list")["files"][0]["build_id"]
            with open(SERVE, "rb") as file:
                uploaded = file.read()
            connection = http.client.HTTPConnection("127.0.0.1", s.proxy.server_port)
            connection.request("GET", f"{BASE}/buildid/{build_id}/executable")
            check(connection.getresponse().read() == uploaded, "as debuginfod has it")
            connection.close()


def an_open_page_hears_of_changes():
    with Behind(True) as s:
        connection = http.client.HTTPConnection("127.0.0.1", s.proxy.server_port, timeout=service.PATIENCE)
        connection.request("GET", BASE + "/api/v1/events")
        stream = connection.getresponse()
        equal(stream.status, 200)
        append(s.directory, event("a", "1"))
        heard = b""
        while b"event: change" not in heard:
            piece = stream.read1(4096)
            check(piece, heard)
            heard += piece
        connection.close()


def addresses_that_are_told_have_the_path():
    with Service(start=False) as s:
        told = os.path.join(s.root, "told")
        for options, url in (((), None), (("--host", "https://tools.example.org"), "https://tools.example.org")):
            s.options = ["--base-path", BASE + "/", "--alert-command", f"cat > {told}", *options]
            s.start()
            check(f"page at http://127.0.0.1:{s.port}{BASE}\n" in s.log(), s.log())
            append(s.directory, event("a" + str(url), "1" + str(url)))
            s.wait(lambda: os.path.exists(told) and os.path.getsize(told))
            s.stop()
            with open(told, encoding="utf-8") as file:
                alert = json.load(file)
            equal(alert["url"], f"{url or f'http://127.0.0.1:{s.port}'}{BASE}/finding/{alert['finding']}")
            os.unlink(told)
        s.options = ["--base-path", BASE, "--open"]
        s.environment = {"PATH": s.root}  # no browser begins
        s.start()
        found = s.wait(lambda: re.search(r"two minutes: http://127\.0\.0\.1:\d+(\S*)", s.log()))
        reply = s.http("GET", found[1])
        equal((reply.status, reply.headers["location"]), (303, BASE + "/"))


def a_path_that_only_begins_like_it_is_another():
    with Service("--base-path", BASE) as s:
        append(s.directory, event("a", "1"))
        s.wait(lambda: s.findings() != [])
        for path, status in ((BASE, 200), (BASE + "/", 200), (BASE + "x", 404), (BASE + "x/", 404), ("/tools", 404),
                             ("/finding/1", 200), (BASE + "/finding/1", 200), (BASE + BASE + "/", 404),
                             (f"http://127.0.0.1:{s.port}{BASE}/finding/1", 200),
                             (f"http://127.0.0.1:{s.port}/finding/1", 200), (BASE + "//finding/1", 404),
                             (BASE.upper() + "/", 404), (BASE + "?state=all", 200)):
            equal(s.http("GET", path).status, status, path)
        own = f"http://127.0.0.1:{s.port}"
        for back in ("//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"):
            reply = s.http("POST", BASE + "/sign-in", f"token={s.token()}&back={back}", Origin=own)
            equal((reply.status, reply.headers["location"]), (303, BASE + "/"), back)
        equal(s.http("POST", BASE + "/api/v1/findings/1/fix", "").status, 401, "the path gives no rights")
        equal(s.http("POST", BASE + "/steering", "action=set").status, 401)
        equal(s.http("GET", BASE + "/", host="evil.example").status, 403)


service.main([
    the_proxy_takes_the_path_off,
    the_proxy_leaves_the_path,
    a_browser_signs_in_where_the_path_is_taken_off,
    a_browser_signs_in_where_the_path_is_left,
    programs_send_and_ask_below_the_path,
    an_open_page_hears_of_changes,
    addresses_that_are_told_have_the_path,
    a_path_that_only_begins_like_it_is_another,
])
