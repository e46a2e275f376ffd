#!/usr/bin/env python3
"""Symbols from servers: debuginfod's protocol, and servers that lie or are silent."""

import http.server
import os
import signal
import socket
import threading

import service
from programs import Program, nameless
from service import Service, append, check, equal, take


def one_collector_asks_another_for_symbols():
    """Its own answers are those of a debuginfod."""
    with Service() as upstream, Service(start=False) as s:
        one = Program(s.root)
        upstream.command("symbols", "upload", one.whole)
        os.environ["DEBUGINFOD_URLS"] = f"http://127.0.0.1:1/ http://127.0.0.1:{upstream.port}"
        try:
            take(s, one.event("1"))
            check("make" in s.findings()[0]["place"], s.findings()[0]["place"])
            equal([(f["build_id"], f["name"]) for f in s.ask("symbols", "list")["files"] if f["kind"] == "debuginfo"],
                  [(one.build_id, "debuginfod")])
            two = Program(s.root, "two", "-DB")
            take(s, two.event("2"))
            equal([m["build_id"] for m in s.ask("symbols", "missing")["missing"]], [two.build_id], "nobody has it")
            os.environ["DEBUGINFOD_URLS"] = f"http://127.0.0.1:{upstream.port} http://127.0.0.1:1"
            append(s.directory, nameless("0x1010", "4"))
            check("no server" not in s.command("serve", "--once"), "one answers that it does not have it")
            os.environ["DEBUGINFOD_URLS"] = "http://127.0.0.1:1"
            three = Program(s.root, "three", "-DB")
            append(s.directory, three.event("3"))
            s.command("serve", "--once")
        finally:
            del os.environ["DEBUGINFOD_URLS"]


def a_server_that_lies_is_not_believed():
    with Service(start=False) as s:
        one, two = Program(s.root), Program(s.root, "two", "-DB")

        class Liar(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                with open(two.whole, "rb") as file:
                    body = file.read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Liar)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["DEBUGINFOD_URLS"] = f"http://127.0.0.1:{server.server_port}"
        try:
            append(s.directory, one.event("1"))
            check("another build" in s.command("serve", "--once"))
        finally:
            del os.environ["DEBUGINFOD_URLS"]
            server.shutdown()
        equal(s.ask("symbols", "list")["files"], [])
        equal(os.listdir(os.path.join(s.directory, "symbols")), [])


def a_killed_collector_leaves_no_child_that_asks_for_symbols():
    with socket.create_server(("127.0.0.1", 0)) as silent, Service(start=False) as s:
        silent.settimeout(30)
        os.environ["DEBUGINFOD_URLS"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        try:
            s.start()
        finally:
            del os.environ["DEBUGINFOD_URLS"]
        append(s.directory, Program(s.root).event("1"))
        asked, _ = silent.accept()
        with asked:
            child = service.children_of(s.process.pid)[0]
            s.stop(signal.SIGKILL)
            s.wait(lambda: service.has_ended(child))


os.environ.pop("DEBUGINFOD_URLS", None)
service.main([
    a_killed_collector_leaves_no_child_that_asks_for_symbols, one_collector_asks_another_for_symbols,
    a_server_that_lies_is_not_believed,
])
