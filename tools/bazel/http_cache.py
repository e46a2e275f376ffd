#!/usr/bin/env python3
"""A server of Bazel's remote cache by HTTP, for trying: keeps what is PUT in a folder, and gives it to GET.

    http_cache.py FOLDER        prints its address, then serves until it is stopped

Listens on loopback. Paths are those of Bazel, /ac/KEY and /cas/KEY; others are refused.
"""
import http.server
import os
import re
import sys
import tempfile


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def file(self):
        match = re.fullmatch(r"/(ac|cas)/([0-9a-f]{64})", self.path)
        return os.path.join(self.folder, "-".join(match.groups())) if match else None

    def do_GET(self):
        path = self.file()
        try:
            with open(path or "", "rb") as f:
                self.answer(200, f.read())
        except OSError:
            self.answer(404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.file()
        if path is None:
            self.answer(400)
            return
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as f:
            f.write(body)
        os.rename(f.name, path)
        self.answer(200)

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit("usage: http_cache.py FOLDER")
    Handler.folder = sys.argv[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
