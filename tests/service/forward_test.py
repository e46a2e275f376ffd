#!/usr/bin/env python3
"""Records on their way to another collector: none is lost, none counts twice, whatever fails."""

import fcntl
import http.client
import http.server
import itertools
import json
import os
import random
import re
import signal
import socket
import socketserver
import sqlite3
import subprocess
import threading
import time

import service
from service import Service, append, check, children_of, equal, event, finding, has_ended, line_of, post, record


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


def a_tree_of_collectors_has_all_once():
    """Through a proxy that fails half of the time, killed over and over while processes write."""
    fates = itertools.cycle(["answer lost", "passed", "refused", "passed", "lost", "passed"])
    with Service() as upstream, Service(start=False) as s:
        proxy = Flaky(upstream.port, lambda: next(fates))
        written = 0
        process = None
        for turn in range(12):
            append(s.directory, *[event(f"p{i % 7}", f"{turn}-{i}", pad=500) for i in range(50)])
            written += 50
            asked = len(proxy.fates)
            process = forward("--to", proxy.url, "--no-shared", s.directory, wait=False)
            time.sleep(random.random() * 0.4)
            if turn % 2 == 0:  # on a busy machine it might send nothing in any turn
                proxy.wait_for_more_than(asked)
            process.send_signal(signal.SIGKILL)
            process.wait()
        proxy.chance = lambda: "passed"
        status, said = forward("--to", proxy.url + "/", "--once", "--no-shared", s.directory)
        equal(status, 0, said)
        upstream.wait(lambda: total(upstream) >= written)
        equal(total(upstream), written)
        equal(os.listdir(os.path.join(s.directory, "spool")), [])
        check("answer lost" in proxy.fates, proxy.fates)
        proxy.shutdown()


def what_it_sends_by_ends_with_it():
    """A collector that takes the connection and is silent; who sends to it is killed."""
    with Service(start=False) as s, socket.create_server(("127.0.0.1", 0)) as silent:
        append(s.directory, event("a", "1"))
        process = forward("--to", f"http://127.0.0.1:{silent.getsockname()[1]}", "--no-shared", s.directory, wait=False)
        with silent.accept()[0]:
            curl, = children_of(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
            deadline = time.time() + 20
            while not has_ended(curl):
                check(time.time() < deadline, "it goes on to send")
                time.sleep(0.01)


def a_folder_that_its_last_user_is_leaving_is_waited_for():
    """One that was killed may have had a child that has its lock for some moments more."""
    with Service() as upstream, Service(start=False) as s:
        for number, words in enumerate((("forward", "--to", f"http://127.0.0.1:{upstream.port}", "--once", s.directory),
                                        ("serve", "--once", "--no-shared", "--dir", s.directory))):
            append(s.directory, event("a", str(number)))
            folder = os.open(s.directory, os.O_RDONLY)
            fcntl.flock(folder, fcntl.LOCK_EX)
            process = subprocess.Popen([service.SERVE, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            time.sleep(0.3)
            check(process.poll() is None, words)
            os.close(folder)
            equal(process.wait(20), 0, process.stdout.read())
            process.stdout.close()
        equal((total(upstream), total(s)), (1, 1))


def it_waits_for_a_collector_that_is_not_there():
    with Service() as upstream, Service(start=False) as s:
        fates = iter(["refused", "lost"])
        proxy = Flaky(upstream.port, lambda: next(fates, "passed"))
        append(s.directory, event("a", "1"))
        process = forward("--to", proxy.url, "--no-shared", s.directory, wait=False)
        upstream.wait(lambda: total(upstream) == 1)
        append(s.directory, event("a", "2"), record("summary", "3", seconds=1.0, allocations=1, findings=0))
        upstream.wait(lambda: total(upstream) == 2)
        upstream.wait(lambda: not os.listdir(os.path.join(s.directory, "spool")))
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0].decode()
        equal(process.returncode, 0)
        check("3 records forwarded" in said, said)
        equal((said.count("records wait here"), said.count("accepts records again")), (1, 1), said)
        proxy.shutdown()


def an_end_on_request_is_no_failure():
    with Service(start=False) as s:
        append(s.directory, event("a", "1"))
        process = forward("--to", "http://127.0.0.1:1", "--no-shared", s.directory, wait=False)
        said = process.stdout.readline().decode()
        process.send_signal(signal.SIGTERM)
        said += process.communicate()[0].decode()
        equal((process.returncode, "records wait here" in said, "0 records forwarded" in said), (0, True, True), said)


def a_large_spool_is_sent_in_pieces():
    """Larger than the buffer, with a line that does not fit into it."""
    with Service() as upstream, Service(start=False) as s:
        append(s.directory, *[event(f"p{i % 5}", f"e{i}", pad=4000) for i in range(900)], b"x" * (3 << 20) + b"\n",
               event("last", "e900"))
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
        equal(status, 0, said)
        check("901 records" in said and "1 half-written" in said, said)
        equal(total(upstream), 901)


def half_lines_are_left_out():
    with Service() as upstream, Service(start=False) as s:
        whole = service.line_of(event("a", "1"))
        append(s.directory, whole[:50] + service.line_of(event("a", "2")), whole, b'{"record":"finding","ver')
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
        equal(status, 0)
        check("2 records" in said and "2 half-written" in said, said)
        equal(total(upstream), 2)


def what_is_no_file_in_the_spool_holds_nobody_up():
    for make in (os.mkdir, os.mkfifo):
        with Service() as upstream, Service(start=False) as s:
            os.mkdir(s.directory + "/spool", 0o700)
            make(s.directory + "/spool/taken-1")
            append(s.directory, event("a", "1"))
            status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", "--no-shared", s.directory)
            equal((status, total(upstream)), (0, 1), said)


def a_segment_that_a_writer_holds_is_sent_later():
    with Service() as upstream, Service(start=False) as s:
        words = ("--to", f"http://127.0.0.1:{upstream.port}", "--once", s.directory)
        append(s.directory, event("a", "1"))
        with open(s.directory + "/spool/current", "ab") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            check("0 records forwarded" in forward(*words)[1])
            append(s.directory, event("b", "2"))
            check("1 record forwarded" in forward(*words)[1], "those of others go")
            equal(total(upstream), 1)
            held.write(line_of(event("c", "3")))
        check("2 records forwarded" in forward(*words)[1])
        equal((total(upstream), os.listdir(s.directory + "/spool")), (3, []))


def folders_of_json_lines_are_sent_once():
    with Service() as upstream, Service(start=False) as s:
        url = f"http://127.0.0.1:{upstream.port}"
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        log = os.path.join(folder, "a.jsonl")

        def lines(*values, mode="ab", end=b"\n"):
            with open(log, mode) as file:
                file.write(b"\n".join(json.dumps(v).encode() for v in values) + end)

        lines(finding("a"), finding("b"), {"type": "summary"}, event("c", "id-1"), end=b"\n{\"type\":\"finding\",")
        equal(forward("--to", url, "--once", folder, RINGFENCE_ENVIRONMENT="nightly")[0], 0)
        equal(total(upstream), 3)
        equal(sorted(e["name"] for e in upstream.ask("show", "1")["environments"]), ["nightly"])
        status, said = forward("--to", url, "--once", folder)
        check("0 records forwarded" in said, said)
        with open(log, "rb+") as file:  # the half line is completed
            file.seek(-len(b'{"type":"finding",'), os.SEEK_END)
            file.write(service.line_of(finding("d")))
        equal(forward("--to", url, "--once", folder)[0], 0)
        equal(total(upstream), 4)
        os.unlink(os.path.join(folder, ".ringfence-forwarded"))
        status, said = forward("--to", url, "--once", folder)
        check("had 4 of them" in said, said)
        equal(total(upstream), 4, "lines that are sent again count once")


def a_log_that_was_emptied_is_read_from_its_beginning():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        for places, said_of_them in (("abc", "3 records"), ("d", "1 record ")):
            with open(os.path.join(folder, "a.jsonl"), "wb") as file:
                file.write(b"\r\n".join(json.dumps(finding(place)).encode() for place in places) + b"\r\n\r\n")
            status, said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)
            equal((status, said_of_them in said, "left out" in said), (0, True, False), said)
        equal(total(upstream), 4)


def what_does_not_work_is_said():
    with Service("--listen", "0.0.0.0:0") as upstream, Service(start=False) as s:
        url = f"http://127.0.0.1:{upstream.port}"
        append(s.directory, event("a", "1"))
        status, said = forward("--to", url, "--once", "--no-shared", s.directory)
        check(status == 1 and "status 401" in said and "token" in said, status, said)
        equal(len(os.listdir(os.path.join(s.directory, "spool"))), 1, "it waits")
        equal(forward("--to", url, "--once", s.directory, RINGFENCE_TOKEN=upstream.token())[0], 0)
        equal(total(upstream), 1)
        check("cannot open" in forward("--to", url, "--once", "/nowhere")[1])
        check("runs on" in forward("--to", url, "--once", upstream.directory)[1], "serve has the folder")
        equal(forward("--once")[0], 2)
        status, said = forward("--to", "ftp://127.0.0.1", s.directory)
        check(status == 2 and "--to ftp://127.0.0.1" in said, status, said)


def what_curl_is_told_is_all_that_it_needs():
    """Its own configuration is left out; a text that is odd stays a text."""
    with Service(start=False) as s:
        folder = os.path.join(s.root, "bin")
        os.mkdir(folder)
        with open(folder + "/curl", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nunset LD_PRELOAD\necho \"$*\" > {s.root}/words\ncat > {s.root}/told\n"
                       "printf '{\"taken\":1,\"twice\":0,\"done\":\"kept\"}\\n200'\n")
        os.chmod(folder + "/curl", 0o700)
        path = folder + ":" + os.environ["PATH"]
        append(s.directory, event("a", "1"))
        s.once()

        def told(*words, **more):
            done = subprocess.run([service.SERVE, words[0], *words[1:]], stdout=subprocess.PIPE, check=False,
                                  stderr=subprocess.STDOUT,
                                  env=dict(os.environ, PATH=path, RINGFENCE_TOKEN="t\"o\\k", **more))
            equal(done.returncode, 0, done.stdout)
            with open(s.root + "/words", encoding="utf-8") as file:
                equal(file.read(), "-q -K -\n")
            with open(s.root + "/told", encoding="utf-8") as file:
                return [re.sub(r"/proc/\d+/fd/\d+", "FD", line) for line in file.read().splitlines()]

        plain = ["silent", "globoff", "connect-timeout = 5", "location", "max-redirs = 4", 'proto = "=http,https"',
                 'proto-redir = "=http,https"']
        body = ['request = "POST"', 'upload-file = "FD"', 'header = "Expect:"']
        bearer = 'header = "Authorization: Bearer t\\"o\\\\k"'
        append(s.directory, event("b", "2"))
        equal(told("forward", "--to", "http://h/x//", "--once", "--no-shared", s.directory),
              plain + ['max-time = "60"', 'write-out = "\\\\n%{http_code}"', bearer] + body +
              ['header = "Content-Type: application/x-ndjson"', 'url = "http://h/x//api/v1/records"'])
        equal(told("symbols", "upload", "--to", "http://h/", service.SERVE, "--dir", s.directory)[7:],
              ['max-time = "600"', 'write-out = "\\\\n%{http_code}"', bearer, 'request = "POST"',
               f'upload-file = "{service.SERVE}"', 'header = "Expect:"',
               'header = "Content-Type: application/octet-stream"',
               'url = "http://h/api/v1/symbols?name=ringfence-serve"'])
        equal(told("export", "--as", "otlp", "--to", "https://h/x/", "--dir", s.directory)[-3:],
              ['header = "Expect:"', 'header = "Content-Type: application/json"', 'url = "https://h/x/v1/logs"'])
        equal(told("export", "--as", "otlp", "--to", "https://h/v1/logs?a=b", "--dir", s.directory)[-1:],
              ['url = "https://h/v1/logs?a=b"'])
        got = told("export", "--as", "sentry", "--to", "https://key:secret@h:8/a/b/7", "--dir", s.directory)
        equal(got[9:14] + got[-1:],
              ['header = "X-Sentry-Auth: Sentry sentry_version=7, sentry_client=ringfence/1, sentry_key=key"',
               'request = "POST"', 'data-binary = "@FD"', 'header = "Expect:"',
               'header = "Content-Type: application/x-sentry-envelope"', 'url = "https://h:8/a/b/api/7/envelope/"'])
        found = {"pc": "0x1010", "module": "/srv/gone", "build_id": "abcdef02", "offset": "0x1010"}
        append(s.directory, event("c", "3", f_found={"thread": 1, "frames": [found]}))
        got = told("serve", "--once", "--no-shared", "--dir", s.directory, DEBUGINFOD_URLS="http://h/d")
        equal(got[7:9] + got[10:], ['max-time = "24"', 'write-out = "\\\\n%{http_code}"', 'max-filesize = "4294967296"',
                                    'url = "http://h/d/buildid/abcdef02/debuginfo"'])
        database = sqlite3.connect(s.directory + "/ringfence.db")
        database.execute("UPDATE activity SET alert = 1, time = time - 10000 WHERE finding = 1")
        database.commit()
        database.close()
        s.options = ["--webhook", 'http://h/a"b\\c\nd\re']
        s.environment = {"PATH": path}
        os.unlink(s.root + "/told")
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        with open(s.root + "/told", encoding="utf-8") as file:
            lines = file.read().splitlines()
        equal(lines[:8] + lines[9:], ["silent", "globoff", "connect-timeout = 5", "fail", *plain[5:],
                                      'max-time = "20"', 'output = "/dev/null"', *lines[9:10], 'header = "Expect:"',
                                      'header = "Content-Type: application/json"', 'url = "http://h/a\\"b\\\\c d e"'])
        check(lines[9].startswith('data-raw = "{\\"text\\"'), lines)


def lines_of_json_tell_who_found_what():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        frames = [dict(service.frame(name, 7), module="/srv/" + name) for name in ("deep", "main", "start")]
        found = finding("a", mode="page", pid=77, times=5, found={"thread": 1, "frames": frames})
        bare = finding("b", found={"thread": 1, "frames": frames[:1]})
        del bare["mode"]
        same = json.dumps(found) + "\n"
        for name, text in (("a.jsonl", same * 2), ("b.json", "no json\n" + json.dumps(bare) + "\n"), (".c.jsonl", same),
                           ("d.txt", same), ("e.jsonl", "\n\n" + json.dumps({**found, "detail": "x" * 300000}) + "\n" +
                                             json.dumps(finding("e")) + "\n"))[::-1]:  # numbers of files that fall
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.symlink(os.path.join(folder, "d.txt"), os.path.join(folder, "f.jsonl"))
        os.mkfifo(os.path.join(folder, "g.jsonl"))
        os.utime(os.path.join(folder, "a.jsonl"), (time.time() - 5000, time.time() - 5000))
        words = ("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)
        status, said = forward(*words, RINGFENCE_VERSION="1.5", RINGFENCE_COMMIT="")
        check(status == 0 and "4 records forwarded" in said and " 2 half-written" in said, said)
        rows = {row["place"].split()[0]: upstream.ask("show", str(row["id"])) for row in upstream.findings()}
        shown = rows["open_a"]
        equal([shown["count"], [e["pid"] for e in shown["events"]], shown["modes"][0]["name"],
               shown["programs"][0]["name"],
               shown["builds"][0]["name"]], [10, [77, 77], "page", "/srv/main", "1.5"])
        check(service.timestamp(5100) < shown["last_seen"] < service.timestamp(4900), shown["last_seen"])
        equal([rows["open_b"]["modes"][0]["name"], rows["open_b"]["programs"][0]["name"], rows["open_b"]["count"]],
              ["guard", "/srv/deep", 1])
        with open(os.path.join(folder, "b.json"), "a", encoding="utf-8") as file:
            file.write(json.dumps(bare) + "\n")
        check("1 record forwarded; the collector had 0" in forward(*words)[1])
        check("0 records forwarded; the collector had 0" in forward(*words)[1])


def lines_wait_for_a_collector_that_is_away():
    with Service() as upstream, Service(start=False) as s:
        folder = os.path.join(s.root, "logs")
        os.mkdir(folder)
        for name in "ab":
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
                file.write(json.dumps(finding(name)) + "\n")
        process = forward("--to", "http://127.0.0.1:1", folder, wait=False)
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate()
        said = forward("--to", f"http://127.0.0.1:{upstream.port}", "--once", folder)[1]
        check("2 records forwarded" in said, said)


def a_spool_goes_in_the_order_of_its_segments():
    with Service() as upstream, Service(start=False) as s:
        for number in (3, 1, 2):
            append(s.directory, event("a", f"{number}", pid=number, ago=100))
            os.rename(s.directory + "/spool/current", s.directory + f"/spool/taken-{number}")
        append(s.directory, event("a", "4", pid=4, ago=100))
        open(s.directory + "/spool/segment-empty", "wb").close()
        append(s.directory, b"\n", b'{"record":"fi{"record":"x{"record":"finding"}\n')
        os.rename(s.directory + "/spool/current", s.directory + "/spool/segment-5")
        append(s.directory, b'{"record":"summary","version":1,"id":"nul","seconds":1,"mode":"\0"}\n')
        status, said = forward("--to", f"http://127.0.0.1:{upstream.port}/", "--once", "--no-shared", s.directory)
        check(status == 0 and "5 records forwarded" in said and "2 half-written" in said, said)
        equal(os.listdir(s.directory + "/spool"), ["segment-empty"])
        equal([e["pid"] for e in upstream.ask("show", "1")["events"] if e["last"]], [4])
        equal([e["pid"] for e in upstream.ask("show", "1")["events"] if e["first"]], [1])


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
        for bad in ("", "ftp://127.0.0.1", "http://", "127.0.0.1:1"):
            status, said = run_once(s, bad)
            check(status == 2 and f"--forward {bad}: use the address" in said, status, said)
        check("--max-forward x" in s.command("serve", "--max-forward", "x", status=2))


def run_once(s, url, **environment):
    done = subprocess.run([service.SERVE, "serve", "--once", "--no-shared", "--dir", s.directory, "--forward", url],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                          env=dict(os.environ, **environment))
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
        database = sqlite3.connect(s.directory + "/ringfence.db")
        database.executemany("INSERT INTO outgoing(bytes, text) VALUES(1024, ?)", [("x" * 1024,)] * 1025)
        database.commit()
        database.close()
        s.start()
        s.wait(lambda: s.ask("status")["losses"])
        equal((s.ask("status")["losses"][0]["count"], s.ask("status")["forward_waiting"]), (1, 1024))


def what_is_sent_on_has_an_id_and_no_more_bytes_than_are_kept():
    with Service() as upstream, branch(f"http://127.0.0.1:{upstream.port}", "--bytes", "*=none") as s:
        bare = event("a", "")
        del bare["id"]
        step = record("step", "x-1-1-9", rule=1)
        reply = s.http("POST", "/api/v1/records", b"  " + service.line_of(bare).rstrip() + b" \r\n" +
                       service.line_of(step) + service.line_of({"record": "novel", "version": 1, "id": "n"}))
        equal(reply.status, 200)
        upstream.wait(lambda: total(upstream) == 1 and s.ask("status")["forward_waiting"] == 0)
        there, here = [c.ask("show", "1")["record"]["finding"] for c in (upstream, s)]
        equal(there, here, "bytes that are not kept here do not get there")
        equal([l["what"] for l in upstream.ask("status")["losses"]],
              ["records of a kind or version not known here, kept as they are"])
    with Service(start=False) as s:
        append(s.directory, service.line_of(bare).rstrip() + b" \r\n")
        run_once(s, "http://127.0.0.1:1")
        waits = sqlite3.connect(s.directory + "/ringfence.db").execute("SELECT text FROM outgoing").fetchall()
        check(json.loads(waits[0][0])["id"].startswith("relay-"), waits)


service.main([
    # The longest come first.
    what_waits_is_bounded_and_told, no_more_is_dropped_than_there_is_too_much, a_branch_in_ci_sends_and_ends,
    what_is_sent_on_has_an_id_and_no_more_bytes_than_are_kept, what_does_not_work_is_said,
    a_tree_of_collectors_has_all_once, what_it_sends_by_ends_with_it,
    a_folder_that_its_last_user_is_leaving_is_waited_for, it_waits_for_a_collector_that_is_not_there,
    an_end_on_request_is_no_failure,
    a_large_spool_is_sent_in_pieces, half_lines_are_left_out, what_is_no_file_in_the_spool_holds_nobody_up,
    a_segment_that_a_writer_holds_is_sent_later, folders_of_json_lines_are_sent_once,
    a_log_that_was_emptied_is_read_from_its_beginning,
    a_branch_sends_on_what_it_takes_in, two_branches_make_a_tree,
    what_curl_is_told_is_all_that_it_needs, lines_of_json_tell_who_found_what, lines_wait_for_a_collector_that_is_away,
    a_spool_goes_in_the_order_of_its_segments, steps_of_rules_are_of_one_collector])
