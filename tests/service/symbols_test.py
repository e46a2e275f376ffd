#!/usr/bin/env python3
"""Symbols: a stripped program's findings get their lines when its file comes in, and debuginfod's protocol."""

import http.server
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import service
from service import Service, append, check, equal, event, take

SOURCE = """
#include <stdlib.h>
__attribute__((noinline)) void *make(void) {
  return malloc(8);
}
__attribute__((noinline)) void use(char *p) {
  *(volatile char *)p = 1;
}
int main(void) {
  use(make());
  return 0;
}
"""


class Program:
    """A program in two builds, each with symbols and stripped; FLAG makes the second one's offsets differ."""

    def __init__(self, folder, name="app", flag="-DA"):
        self.whole = os.path.join(folder, name)
        self.stripped = os.path.join(folder, name + ".stripped")
        source = os.path.join(folder, "app.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(("int pad(int x) { return x * 3; }\n" if flag == "-DB" else "\n") + SOURCE.lstrip("\n"))
        run("cc", "-g", "-O1", "-fno-pie", "-no-pie", "-Wl,--build-id", "-o", self.whole, source)
        run("strip", "-o", self.stripped, self.whole)
        self.build_id = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", self.whole))[1]
        self.addresses = {name: int(at, 16) for at, name in
                          re.findall(r"^([0-9a-f]+) T (\w+)$", run("nm", self.whole), re.M)}

    def stack(self, function):
        return {"thread": 1, "frames": [
            {"pc": hex(self.addresses[name]), "module": "/srv/app", "build_id": self.build_id,
             "offset": hex(self.addresses[name] + 5)} for name in (function, "main")]}

    def event(self, id, bug="heap-buffer-overflow"):
        return event("x", id, f_bug=bug, f_allocated=self.stack("make"), f_found=self.stack("use"))


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()


def nameless(offset, id):
    """Of a program that is nowhere."""
    found = {"pc": offset, "module": "/srv/gone", "build_id": "abcdef02", "offset": offset}
    return event(offset, id, f_found={"thread": 1, "frames": [found]})


def merged_findings_lack_symbols_once():
    with Service(start=False) as s:
        take(s, nameless("0x1010", "1"), nameless("0x2020", "2"))
        equal([m["findings"] for m in s.ask("symbols", "missing")["missing"]], [2])
        s.command("merge", "1", "2")
        equal([m["findings"] for m in s.ask("symbols", "missing")["missing"]], [1])


def a_stripped_build_gets_its_lines_later():
    with Service(start=False) as s:
        one, two = Program(s.root, "one"), Program(s.root, "two", "-DB")
        check(one.addresses["make"] != two.addresses["make"] and one.build_id != two.build_id)
        take(s, one.event("1"), two.event("2"), one.event("3", "double-free"))
        rows = s.findings()
        equal(sorted(row["count"] for row in rows), [1, 1, 1], "nobody knows that two of them are one")
        check(all("make" not in row["place"] for row in rows))
        equal(sorted(m["build_id"] for m in s.ask("symbols", "missing")["missing"]),
              sorted([one.build_id, two.build_id]))
        s.command("symbols", "upload", one.stripped)
        s.once()
        check(all("make" not in row["place"] for row in s.findings()), "a stripped file names nothing")
        equal(len(s.ask("symbols", "missing")["missing"]), 2, "and is no file of symbols")
        s.command("symbols", "upload", one.whole)
        s.once()
        check("make" in s.ask("show", "1")["place"], s.ask("show", "1")["place"])
        check(re.search(r"in make .*app\.c:4", s.command("show", "1")), s.command("show", "1"))
        s.command("symbols", "upload", two.whole)
        s.once()
        equal(sorted(row["count"] for row in s.findings()), [1, 2], "named, they are one")
        equal(s.ask("symbols", "missing")["missing"], [])
        root = [row["id"] for row in s.findings() if row["count"] == 2][0]
        for id in ("1", "2"):
            shown = s.ask("show", id)
            check(shown.get("merged_into", shown["id"]) == root, "the old number", id, "leads to", root)
        take(s, two.event("4"), one.event("5"))
        equal(sorted(row["count"] for row in s.findings()), [1, 4], "stripped events go to it, too")
        with Service(directory=s.directory) as serving:
            page = serving.http("GET", "/finding/2").text
            check("make" in page and "app.c" in page)


def pieces_of_a_finding_stay_apart_when_their_names_come():
    """And what comes with names goes where the same went without."""
    def named(program, function):
        frames = program.stack(function)["frames"]
        return {"thread": 1, "frames": [dict(f, function=name, file="app.c", line=3)
                                        for f, name in zip(frames, (function, "main"))]}

    for rule in ("mode", "access"):
        with Service(start=False) as s:
            one = Program(s.root)

            def of(id, which, stack, one=one, rule=rule):
                access = "main" if rule == "access" and which == 1 else "make"
                return event("x", id, f_allocated=stack("make"), f_found=stack(access),
                             mode="sample" if rule == "mode" and which == 1 else "guard")

            for number, which in enumerate((0, 1)):
                take(s, of(f"{number}", which, one.stack))
            s.command("split", "1", "--by", rule)
            equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 1), (2, 1)], rule)
            before = s.ask("show", "2")["key"]
            equal([(m["findings"], m["processes"]) for m in s.ask("symbols", "missing")["missing"]], [(2, 0)])
            s.command("symbols", "upload", one.whole)
            s.once()
            check(s.ask("show", "2")["key"] != before, "it has the key of its names")
            for number, which in enumerate((0, 1, 1)):
                take(s, of(f"n{number}", which, lambda function: named(one, function)))
            for number, which in enumerate((0, 1, 1)):
                take(s, of(f"o{number}", which, one.stack))
            equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 3), (2, 5)], rule)
            equal(sorted(row["id"] for row in s.findings("--search", "make main")), [1, 2], rule)
            equal(s.ask("symbols", "missing")["missing"], [])
            for name in ("allocation_key", "access_key"):
                same = s.ask("show", "1")[name] == s.ask("show", "2")[name]
                equal(same, name != rule + "_key", name)


def a_file_that_tells_less_replaces_none():
    """Of one build: whole, symbols without lines, code alone, and debug information alone, in any order."""
    with Service(start=False) as s:
        one = Program(s.root)
        short, debug = (os.path.join(s.root, name) for name in ("app.short", "app.debug"))
        run("strip", "-g", "-o", short, one.whole)
        run("objcopy", "--only-keep-debug", one.whole, debug)

        def stored():
            sizes = {os.path.getsize(path): path for path in (one.whole, short, one.stripped, debug)}
            folder = os.path.join(s.directory, "symbols")
            return {name.rpartition("-")[2]: os.path.basename(sizes[os.path.getsize(os.path.join(folder, name))])
                    for name in os.listdir(folder)}

        def upload(path):
            return s.command("symbols", "upload", path)

        take(s, one.event("1"))
        check("stays" not in upload(one.stripped))
        check("stays" not in upload(short), "more than before")
        equal(stored(), {"debuginfo": "app.short", "executable": "app.short"})
        said = upload(one.stripped)
        check("one with symbols is there already, and stays" in said, said)
        check("stays" not in upload(debug))
        equal(stored(), {"debuginfo": "app.debug", "executable": "app.short"})
        said = upload(short)
        check("program and symbols" in said and "one with lines is there already, and stays" in said, said)
        equal(stored(), {"debuginfo": "app.debug", "executable": "app.short"})
        check("stays" not in upload(one.whole))
        for less in (short, one.stripped):
            check("one with lines is there already" in upload(less), less)
        equal(stored(), {"debuginfo": os.path.basename(one.whole), "executable": os.path.basename(one.whole)})
        equal([f["name"] for f in s.ask("symbols", "list")["files"]], [os.path.basename(one.whole)] * 2)
        equal(len(os.listdir(os.path.join(s.directory, "symbols"))), 2, "nothing is left of the others")
        s.once()
        check(re.search(r"in make .*app\.c:", s.command("show", "1")), s.command("show", "1"))
        with open(os.path.join(s.directory, "symbols", one.build_id + "-debuginfo"), "wb") as file:
            file.write(b"damaged")
        check("stays" not in upload(short), "a damaged file is worth nothing")


COMMITS = {"1.0": "a" * 40, "1.1": "b" * 40, "1.2": "c" * 40}


def of_build(event, version):
    event["build"] = {"version": version, "commit": COMMITS[version]}
    return event


def a_stripped_build_that_brings_a_fixed_bug_back_reopens_it():
    """Its event is a new finding until its symbols arrive; an event of before the fix brings nothing back."""
    for fixed_in, state in (("1.1", "reopened"), ("1.2", "fixed")):
        with Service(start=False) as s:
            one, two = Program(s.root, "one"), Program(s.root, "two", "-DB")
            take(s, of_build(one.event("1"), "1.0"))
            s.command("symbols", "upload", one.whole)
            s.once()
            for day, (version, commit) in enumerate(COMMITS.items()):
                s.command("builds", "--add", commit, "--version", version, "--time", f"2026-01-0{day + 1}T00:00:00Z")
            s.command("fix", "1", "--in", fixed_in)
            time.sleep(0.01)
            take(s, of_build(two.event("2"), "1.1"))
            equal([(row["id"], row["state"]) for row in s.findings()], [(2, "open")])
            s.command("symbols", "upload", two.whole)
            s.once()
            equal([(row["id"], row["state"], row["count"]) for row in s.findings("--state", "all")], [(1, state, 2)])
            s.command("gate", "--new-in", "1.1", status=99 if state == "reopened" else 0)


def a_merge_with_a_finding_of_the_fixed_build_reopens():
    with Service(start=False) as s:
        take(s, event("a", "1", build={"version": "1.0"}))
        s.command("fix", "1", "--in", "1.1")
        time.sleep(0.01)
        take(s, event("b", "2", build={"version": "1.1"}))
        s.command("merge", "1", "2")
        equal([(row["id"], row["state"]) for row in s.findings("--state", "all")], [(1, "reopened")])


def a_stripped_copy_gets_its_lines_from_the_file_that_has_them():
    def of(file, event):  # the program ran from `file`
        for stack in ("found", "allocated"):
            for frame in event["finding"][stack]["frames"]:
                frame["module"] = file
        return event

    for together in (False, True):
        with Service(start=False) as s:
            one = Program(s.root)
            lines = [of(one.stripped, one.event("1", "double-free")), of(one.stripped, one.event("2")),
                     of(one.whole, one.event("3"))]
            lines[2]["finding"]["found"]["frames"].pop()
            if together:
                take(s, *lines)
            else:
                take(s, lines[0], lines[1])
                check(all("make" not in row["place"] for row in s.findings()))
                equal([m["build_id"] for m in s.ask("symbols", "missing")["missing"]], [one.build_id])
                take(s, lines[2])
            rows = s.findings()
            equal(sorted(row["count"] for row in rows), [1, 2], together)
            check(all("app.c" in row["place"] for row in rows), rows)
            equal(s.ask("symbols", "missing")["missing"], [])
            os.unlink(one.whole)
            take(s, of(one.stripped, one.event("4")))
            equal(sorted(row["count"] for row in s.findings()), [1, 3], "what is known stays")


def uploads_come_by_http_and_are_given_out_again():
    with Service() as s:
        one = Program(s.root)
        debug = os.path.join(s.root, "app.debug")
        run("objcopy", "--only-keep-debug", one.whole, debug)
        append(s.directory, one.event("1"))
        s.wait(lambda: s.ask("symbols", "missing")["missing"])
        check(one.build_id in s.http("GET", "/status").text, "the page names what is missing")
        url = f"http://127.0.0.1:{s.port}"
        said = s.command("symbols", "upload", "--to", url + "/", debug, one.stripped)
        check("symbols of build" in said and "program without symbols" in said, said)
        s.wait(lambda: "make" in s.findings()[0]["place"])
        for kind, path in (("debuginfo", debug), ("executable", one.stripped)):
            got = os.path.join(s.root, "got")
            run("curl", "-sf", "-o", got, f"{url}/buildid/{one.build_id}/{kind}")
            with open(got, "rb") as a, open(path, "rb") as b:
                check(a.read() == b.read(), kind)
        head = s.http("HEAD", f"/buildid/{one.build_id}/debuginfo")
        equal((head.status, head.headers["x-debuginfod-size"]), (200, str(os.path.getsize(debug))))
        equal([head.headers[name] for name in ("content-type", "x-content-type-options")],
              ["application/octet-stream", "nosniff"])
        for id in ("ab", "abc", "abcg", "ABCD", "abcd" * 40, "ab.d"):  # none of a build, whatever lies there
            with open(os.path.join(s.directory, "symbols", id + "-debuginfo"), "wb") as file:
                file.write(b"x")
            equal(s.http("GET", f"/buildid/{id}/debuginfo").status, 404, id)
        with open(one.whole, "rb") as file:
            whole = file.read()
        for name, kinds, data in (("?name=a%20b", "debuginfo executable", whole), ("", "debuginfo executable", whole)):
            reply = s.http("POST", "/api/v1/symbols" + name, body=data).json()
            equal((reply["kinds"], reply["build_id"]), (kinds, one.build_id))
            equal(reply["done"].split(":")[0], "a b" if name else "the file")
        equal({f["name"] for f in s.ask("symbols", "list")["files"]}, {"the file"})
        equal(os.stat(s.directory + "/symbols").st_mode & 0o777, 0o700)
        for path in (f"/buildid/{one.build_id}/source/x.c", "/buildid/00/debuginfo", "/buildid//debuginfo",
                     f"/buildid/{one.build_id}", "/buildid/..%2f..%2ftoken/debuginfo",
                     "/buildid/%2e%2e/debuginfo", f"/buildid/{one.build_id}/debuginfo/"):
            equal(s.http("GET", path).status, 404, path)
        stored = next(os.path.join(top, name) for top, _, names in os.walk(s.directory) for name in names
                      if one.build_id in os.path.join(top, name) and "debuginfo" in name)
        os.unlink(stored)
        os.symlink(os.path.join(s.directory, "token"), stored)
        equal(s.http("GET", f"/buildid/{one.build_id}/debuginfo").status, 404, "a link leads out of the folder")


def an_upload_writes_to_no_file_that_is_there():
    with Service() as s:
        folder = os.path.join(s.directory, "symbols")
        os.makedirs(folder, exist_ok=True)
        # As a program that guesses the name, which has the time in it, might leave them: for thirty seconds.
        guess = os.path.join(s.root, "guess")
        with open(guess, "wb") as file:
            file.write(b"kept")
        now = int(time.monotonic() * 1000)
        for ms in range(now, now + 30000):
            os.link(guess, os.path.join(folder, f"new-{s.process.pid}-{ms}-1"))
        equal(s.http("POST", "/api/v1/symbols", body=b"upload").status, 507)
        with open(guess, "rb") as file:
            equal((file.read(), os.fstat(file.fileno()).st_nlink), (b"kept", 30001))
        equal(s.http("POST", "/api/v1/symbols", body=b"upload").status, 400, "the next name is free")


def what_is_no_symbols_is_refused():
    with Service() as s:
        one = Program(s.root)
        with open(one.whole, "rb") as file:
            elf = file.read()
        swapped = bytearray(elf)
        swapped[5] = 2
        huge = bytearray(elf)
        huge[40:48] = (2**63).to_bytes(8, "little")  # sections
        many = bytearray(elf)
        many[60:62] = b"\xff\xff"
        for body, words in ((b"", "no ELF"), (b"#!/bin/sh\n", "no ELF"), (elf[:50], "damaged"),
                            (bytes(swapped), "byte order"), (bytes(huge), "neither symbols"),
                            (bytes(many), "neither symbols")):
            reply = s.http("POST", "/api/v1/symbols?name=%3Cb%3Ex%0a", body=body)
            equal(reply.status, 400, words)
            check(words in reply.text or "no build-id" in reply.text, words, reply.text)
        equal([name for name in os.listdir(os.path.join(s.directory, "symbols")) if name.startswith("new")], [])
        equal(s.ask("symbols", "list")["files"], [])
        check("no ELF" in s.command("symbols", "upload", __file__, status=1))
        check("no collector" in s.command("symbols", "upload", "--to", "http://127.0.0.1:1", one.whole, status=1))
        s.command("symbols", "upload", status=2)
        s.command("symbols", "sideways", status=2)
    with Service("--listen", "0.0.0.0:0") as s:
        equal(s.http("POST", "/api/v1/symbols", body=elf).status, 401, "beyond loopback with a token only")


def mutants_of_a_file_get_an_answer_each():
    """The collector goes on, no child stays, and what is taken is symbolised within its limits."""
    chance = random.Random(5)
    with Service() as s:
        one = Program(s.root)
        with open(one.whole, "rb") as file:
            elf = file.read()
        append(s.directory, one.event("1"))
        s.wait(lambda: s.ask("symbols", "missing")["missing"])
        taken = 0
        for i in range(150):
            body = bytearray(elf if i % 3 else elf[:chance.randrange(len(elf))])
            for _ in range(chance.randrange(1, 30)):
                at = chance.randrange(min(len(body), 64 if i % 2 else len(body)) or 1)
                if at < len(body):
                    body[at] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
            reply = s.http("POST", "/api/v1/symbols?name=m", body=bytes(body))
            check(reply.status in (200, 400), reply.status, reply.text)
            taken += reply.status == 200
        check(taken > 10, taken)
        equal(s.http("POST", "/api/v1/symbols?name=whole", body=elf).status, 200)
        s.wait(lambda: "make" in s.findings()[0]["place"], 60)


def a_file_that_comes_while_another_is_read_is_read_next():
    """Also where that other is of the same build."""
    with Service(start=False) as s:
        one = Program(s.root)
        less = os.path.join(s.root, "less")
        run("objcopy", "-g", "--redefine-sym", "make=earlier", one.whole, less)
        tools = os.path.join(s.root, "tools")
        reading, go_on = os.path.join(tools, "reading"), os.path.join(tools, "go_on")
        os.mkdir(tools)
        for name in ("addr2line", "llvm-symbolizer", "eu-addr2line"):
            tool = shutil.which(name)
            if tool is not None:
                with open(os.path.join(tools, name), "w", encoding="utf-8") as file:
                    file.write(f'#!/bin/sh\nread=$({tool} "$@")\n: >{reading}\nuntil test -e {go_on}\n'
                               'do sleep 0.05\ndone\nprintf "%s\\n" "$read"\n')
                os.chmod(os.path.join(tools, name), 0o755)
        s.environment = {"PATH": tools + ":" + os.environ["PATH"]}
        take(s, one.event("1"))
        s.start()
        s.command("symbols", "upload", less)
        s.wait(lambda: os.path.exists(reading))
        s.command("symbols", "upload", one.whole)
        with open(go_on, "w", encoding="ascii"):
            pass
        s.wait(lambda: "make" in s.findings()[0]["place"])


def the_oldest_files_are_dropped_above_a_limit():
    with Service(start=False) as s:
        one, two = Program(s.root, "one"), Program(s.root, "two", "-DB")
        for program in (one, two):  # 2 MiB each
            with open(program.whole, "ab") as file:
                file.write(bytes(2 << 20))
            s.once()
            s.command("symbols", "upload", program.whole)
            time.sleep(0.01)
        leftover = os.path.join(s.directory, "symbols", "new-1-1")
        with open(leftover, "w", encoding="ascii"):
            os.utime(leftover, (1, 1))
        for name, ago in (("new-2-2", 1800), ("new-3-3", 7200), ("old", 7200)):
            with open(os.path.join(s.directory, "symbols", name), "w", encoding="ascii") as file:
                os.utime(file.name, (time.time() - ago, time.time() - ago))
        s.options = ["--max-symbols", "5"]
        s.start()
        s.wait(lambda: len(s.ask("symbols", "list")["files"]) == 2)
        equal({f["build_id"] for f in s.ask("symbols", "list")["files"]}, {two.build_id})
        equal(sorted(os.listdir(os.path.join(s.directory, "symbols"))),
              sorted([f"{two.build_id}-{kind}" for kind in ("debuginfo", "executable")] + ["new-2-2", "old"]))


def an_upload_that_is_cut_short_leaves_nothing():
    with Service() as s:
        one = Program(s.root)
        with open(one.whole, "rb") as file:
            elf = file.read()
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(f"POST /api/v1/symbols HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {len(elf)}\r\n\r\n"
                      .encode() + elf[:5000])
            folder = os.path.join(s.directory, "symbols")
            s.wait(lambda: os.path.isdir(folder) and os.listdir(folder))
        s.wait(lambda: os.listdir(folder) == [])
        equal(s.ask("symbols", "list")["files"], [])


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
    # The longest come first.
    uploads_come_by_http_and_are_given_out_again, mutants_of_a_file_get_an_answer_each,
    a_killed_collector_leaves_no_child_that_asks_for_symbols,
    pieces_of_a_finding_stay_apart_when_their_names_come,
    a_file_that_tells_less_replaces_none, a_stripped_build_gets_its_lines_later,
    a_stripped_build_that_brings_a_fixed_bug_back_reopens_it,
    a_merge_with_a_finding_of_the_fixed_build_reopens, a_stripped_copy_gets_its_lines_from_the_file_that_has_them,
    an_upload_writes_to_no_file_that_is_there, a_file_that_comes_while_another_is_read_is_read_next,
    what_is_no_symbols_is_refused,
    the_oldest_files_are_dropped_above_a_limit,
    an_upload_that_is_cut_short_leaves_nothing, merged_findings_lack_symbols_once,
    one_collector_asks_another_for_symbols, a_server_that_lies_is_not_believed])
