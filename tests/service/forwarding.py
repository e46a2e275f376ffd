"""Shared by the tests of forwarding: a proxy that fails, the command, and the count of all events."""

import http.client
import http.server
import os
import socketserver
import subprocess
import threading
import time

import service
from service import check


class Flaky(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A proxy before a collector that refuses, loses requests, and loses answers."""

    daemon_threads = True

    def __init__(self, target, chance):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.chance, self.fates = target, chance, []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Who asked was killed meanwhile."""

    def wait_for_more_than(self, requests):
        deadline = time.time() + 20
        while len(self.fates) <= requests:
            check(time.time() < deadline, "nobody sends")
            time.sleep(0.01)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # its sender was killed
            self.close_connection = True
            return
        fate = self.server.chance()
        self.server.fates.append(fate)
        if fate == "refused":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
        if fate in ("passed", "answer lost"):
            c = http.client.HTTPConnection("127.0.0.1", self.server.target)
            path = self.requestline.split()[1]  # http.server makes one of two slashes
            c.request("POST", path, body, {"Host": f"127.0.0.1:{self.server.target}",
                                                "Authorization": self.headers.get("Authorization", "")})
            reply = c.getresponse()
            answer = reply.read()
        if fate == "passed":
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        self.close_connection = True

    def log_message(self, *_):
        pass


def forward(*words, wait=True, **environment):
    process = subprocess.Popen([service.SERVE, "forward", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, env=dict(os.environ, **environment))
    if not wait:
        return process
    said = process.communicate(timeout=120)[0].decode()
    return process.returncode, said


def total(s):
    return sum(row["count"] for row in s.findings("--limit", "1000"))
