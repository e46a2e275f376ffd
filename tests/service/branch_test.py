#!/usr/bin/env python3
"""A collector that sends on to another what it takes in."""

import http.server
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time

import service
from forwarding import Flaky, total
from service import Service, append, check, database, equal, event, post, record


def steps_of_rules_are_of_one_collector():
    with Service("--forward", "http://127.0.0.1:1") as s:
        lines = [event("a", "1"), record("step", "2", rule=1, done="halt=0"), record("sonnet", "3")]
        s.http("POST", "/api/v1/records", b"".join(service.line_of(line) for line in lines))
        equal(s.ask("status")["forward_waiting"], 2)
        check("to send on   2 records" in s.command("status"), s.command("status"))


def branch(url, *options, **more):
    return Service("--forward", url, *options, **more)


def a_branch_sends_on_what_it_takes_in():
    """Over HTTP and from its spool, through a proxy that fails; killed over and over while it sends."""
    fates = itertools.cycle(["answer lost", "passed", "refused", "passed", "lost", "passed"])
    with Service() as upstream:
        proxy = Flaky(upstream.port, lambda: next(fates))
        with branch(proxy.url + "/", start=False) as s:
            written = 0
            for turn in range(8):
                asked = len(proxy.fates)
                s.start()
                post(s, *[event(f"p{i % 7}", f"{turn}-{i}", pad=500) for i in range(50)])
                append(s.directory, *[event(f"q{i % 7}", f"s{turn}-{i}", pad=500) for i in range(50)])
                written += 100
                time.sleep(random.random() * 0.5)
                if turn % 2 == 0:
                    proxy.wait_for_more_than(asked)
                s.stop(signal.SIGKILL)
            proxy.chance = lambda: "passed"
            s.start()
            s.wait(lambda: total(s) == written)
            s.wait(lambda: total(upstream) >= written and s.ask("status")["forward_waiting"] == 0)
            equal(total(upstream), written)
            equal(post(s, event("p0", "0-0")), {"taken": 0, "twice": 1, "unreadable": 0})
            check("answer lost" in proxy.fates and "refused" in proxy.fates, proxy.fates)
            equal(upstream.ask("status")["losses"], [])
        proxy.shutdown()


def two_branches_make_a_tree():
    """A leaf, a branch that is killed while the root is away, and the root."""
    with Service() as root:
        with branch(f"http://127.0.0.1:{root.port}") as middle:
            with branch(f"http://127.0.0.1:{middle.port}") as leaf:
                post(leaf, *[event(f"p{i}", f"a{i}") for i in range(20)])
                root.wait(lambda: total(root) == 20)
                root.stop(signal.SIGKILL)
                port = root.port
                post(leaf, *[event(f"p{i}", f"b{i}") for i in range(20)])
                middle.wait(lambda: total(middle) == 40)
                middle.stop(signal.SIGKILL)
                equal(middle.ask("status")["forward_waiting"], 20)
                check("20 records" in middle.command("status"))
                root.options += ["--listen", f"127.0.0.1:{port}"]
                root.start()
                post(leaf, event("late", "c"))
                leaf.wait(lambda: "records wait here" in leaf.log())
                middle.options += ["--listen", f"127.0.0.1:{middle.port}"]
                middle.start()
                root.wait(lambda: total(root) == 41)
                root.wait(lambda: all(s.ask("status")["forward_waiting"] == 0 for s in (leaf, middle)))
                equal([total(s) for s in (root, middle, leaf)], [41, 41, 41])
                check("accepts records again" in leaf.log(), leaf.log())


def a_branch_in_ci_sends_and_ends():
    with Service("--listen", "0.0.0.0:0") as upstream, Service(start=False) as s:
        url = f"http://127.0.0.1:{upstream.port}"
        append(s.directory, event("a", "1"))
        status, said = run_once(s, url)
        check(status == 1 and "status 401" in said and "records wait here" in said, status, said)
        equal(s.ask("status")["forward_waiting"], 1)
        equal(run_once(s, url, RINGFENCE_TOKEN=upstream.token()), (0, ""))
        equal((total(upstream), s.ask("status")["forward_waiting"]), (1, 0))
        fates = iter(["refused", "refused"])
        proxy = Flaky(upstream.port, lambda: next(fates, "passed"))
        append(s.directory, event("b", "2"))
        status, said = run_once(s, proxy.url, RINGFENCE_TOKEN=upstream.token())
        check(status == 0 and "accepts records again" in said, status, said)
        equal((total(upstream), s.ask("status")["forward_waiting"]), (2, 0))
        proxy.shutdown()
        for bad in ("", "ftp://127.0.0.1", "http://", "127.0.0.1:1"):
            status, said = run_once(s, bad)
            check(status == 2 and f"--forward {bad}: use the address" in said, status, said)
        check("--max-forward x" in s.command("serve", "--max-forward", "x", status=2))


def run_once(s, url, **environment):
    done = subprocess.run([service.SERVE, "serve", "--once", "--no-shared", "--dir", s.directory, "--forward", url],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                          env=dict(os.environ, **environment), timeout=60)
    return done.returncode, done.stdout.decode()


def what_waits_is_bounded_and_told():
    """The oldest go first. A server that answers anything is no collector, and gets nothing for good."""
    class Portal(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome to the hotel</html>" * 1000)

        def log_message(self, *_):
            pass

    portal = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    with branch(f"http://127.0.0.1:{portal.server_port}", "--max-forward", "1", start=False) as s:
        append(s.directory, *[event("a", f"{i}", pad=4000) for i in range(10)])
        s.once()
        equal(s.ask("status")["forward_waiting"], 0, "it was not asked for")
        append(s.directory, *[event("a", f"b{i}") for i in range(1600)])
        run_once(s, "http://127.0.0.1:1")
        equal(s.ask("status")["forward_waiting"], 1600)
        s.start()
        s.wait(lambda: "is not a collector" in s.log())
        waiting = s.ask("status")["forward_waiting"]
        check(500 < waiting < 1200, waiting)
        equal([(l["what"], l["count"]) for l in s.ask("status")["losses"]],
              [("records that waited too long to be sent on", 1600 - waiting)])
    portal.shutdown()


def no_more_is_dropped_than_there_is_too_much():
    with branch("http://127.0.0.1:1", "--max-forward", "1", start=False) as s:
        s.once()
        with database(s) as db:
            db.execute("BEGIN")
            db.executemany("INSERT INTO outgoing(bytes, text) VALUES(1024, ?)", [("x" * 1024,)] * 1025)
        s.start()
        s.wait(lambda: s.ask("status")["losses"])
        equal((s.ask("status")["losses"][0]["count"], s.ask("status")["forward_waiting"]), (1, 1024))


def what_waits_goes_in_pieces_that_a_collector_takes():
    """5 MiB: more than one request may have. Each has a mebibyte at most, which is five of these records."""
    with Service() as upstream:
        proxy = Flaky(upstream.port, lambda: "passed")
        with branch(proxy.url, start=False) as s:
            append(s.directory, *[event(f"p{i % 7}", f"{i}", f_pad=200000) for i in range(26)])
            equal(run_once(s, proxy.url), (0, ""))
            equal((total(upstream), s.ask("status")["forward_waiting"]), (26, 0))
            equal(proxy.fates, ["passed"] * 6)
        proxy.shutdown()


def what_is_sent_on_has_an_id_and_no_more_bytes_than_are_kept():
    with Service() as upstream, branch(f"http://127.0.0.1:{upstream.port}", "--bytes", "*=none") as s:
        bare = event("a", "")
        del bare["id"]
        step = record("step", "x-1-1-9", rule=1)
        reply = s.http("POST", "/api/v1/records", b"  " + service.line_of(bare).rstrip() + b" \r\n" +
                       service.line_of(step) + service.line_of({"record": "novel", "version": 1, "id": "n"}))
        equal(reply.status, 200)
        upstream.wait(lambda: total(upstream) == 1 and s.ask("status")["forward_waiting"] == 0)
        open_files = lambda: len(os.listdir(f"/proc/{s.process.pid}/fd"))
        before = open_files()
        for i in range(4):
            service.post(s, event("more", f"more{i}"))
            s.wait(lambda: s.ask("status")["forward_waiting"] == 0)
        check(open_files() < before + 4, "what a batch opened is closed with it")
        there, here = [c.ask("show", "1")["record"]["finding"] for c in (upstream, s)]
        equal(there, here, "bytes that are not kept here do not get there")
        equal([l["what"] for l in upstream.ask("status")["losses"]],
              ["records of a kind or version not known here, kept as they are"])
    with Service(start=False) as s:
        append(s.directory, service.line_of(bare).rstrip() + b" \r\n")
        run_once(s, "http://127.0.0.1:1")
        waits = database(s).execute("SELECT text FROM outgoing").fetchall()
        check(json.loads(waits[0][0])["id"].startswith("relay-"), waits)


service.main([
    # The longest come first.
    what_waits_is_bounded_and_told, what_waits_goes_in_pieces_that_a_collector_takes,
    no_more_is_dropped_than_there_is_too_much, a_branch_in_ci_sends_and_ends,
    what_is_sent_on_has_an_id_and_no_more_bytes_than_are_kept, a_branch_sends_on_what_it_takes_in,
    two_branches_make_a_tree, steps_of_rules_are_of_one_collector,
])
