#!/usr/bin/env python3
"""Files of symbols that users upload: which are taken, kept and given out again."""

import http.server
import os
import random
import re
import resource
import shutil
import socket
import subprocess
import threading
import time

import service
from programs import Program, run
from service import SERVE, Service, append, check, equal, take


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


def an_answer_that_is_no_collector_s_is_no_success():
    """Of a server that answers with a page, as one in front of the collector does that asks for a name, takes no large
    requests, or does not reach it: the message says which."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with Service(start=False) as s, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        program = Program(s.root).whole
        append(s.directory, service.event("a", "1"))
        for status, words in ((200, "the server there is not a collector"), (413, "takes no request of this size"),
                              (502, "has no answer of it"), (504, "has no answer of it")):
            url = f"http://127.0.0.1:{server.server_port}/{status}"
            said = s.command("symbols", "upload", "--to", url, program, status=1)
            check(f"status {status}: " in said and words in said, said)
        said = subprocess.run([SERVE, "serve", "--once", "--no-shared", "--dir", s.directory, "--forward", url],
                              stderr=subprocess.PIPE, check=False).stderr.decode()
        check("status 504: a server before the collector has no answer of it" in said, said)
        server.shutdown()


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
        s.wait(lambda: "make" in s.findings()[0]["place"])


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


def an_upload_that_the_database_cannot_note_is_to_be_sent_again():
    with Service() as s:
        one = Program(s.root)
        with open(one.stripped, "rb") as file:
            elf = file.read()
        s.wait(lambda: os.path.getsize(s.directory + "/ringfence.db-wal") > len(elf))
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        size = os.path.getsize(s.directory + "/ringfence.db-wal")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        reply = s.http("POST", "/api/v1/symbols?name=app", body=elf)
        equal((reply.status, s.ask("symbols", "list")["files"]), (507, []), reply.text)
        equal(kept(s), {}, "a file without a row would never be dropped")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        equal(s.http("POST", "/api/v1/symbols?name=app", body=elf).status, 200)
        equal([f["name"] for f in s.ask("symbols", "list")["files"]], ["app"])


def kept(s):
    """The files of symbols, and how long each is."""
    folder = os.path.join(s.directory, "symbols")
    return {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}


def a_file_that_cannot_be_noted_replaces_none():
    """Neither where the database is full, nor where one of its two names is taken; no other names are left."""
    with Service() as s:
        one = Program(s.root)
        with open(one.stripped, "rb") as file:
            less = file.read()
        with open(one.whole, "rb") as file:
            more = file.read()
        equal(s.http("POST", "/api/v1/symbols?name=less", body=less).status, 200)
        program, symbols = one.build_id + "-executable", one.build_id + "-debuginfo"
        equal(kept(s), {program: len(less)})
        s.wait(lambda: os.path.getsize(s.directory + "/ringfence.db-wal") > len(more))
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE)
        size = os.path.getsize(s.directory + "/ringfence.db-wal")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        equal(s.http("POST", "/api/v1/symbols?name=more", body=more).status, 507)
        equal(kept(s), {program: len(less)})
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        taken = os.path.join(s.directory, "symbols", symbols)
        os.makedirs(os.path.join(taken, "x"))
        equal(s.http("POST", "/api/v1/symbols?name=more", body=more).status, 507)
        shutil.rmtree(taken)
        equal(kept(s), {program: len(less)})
        equal([f["name"] for f in s.ask("symbols", "list")["files"]], ["less"])
        equal(s.http("POST", "/api/v1/symbols?name=more", body=more).status, 200)
        equal(kept(s), {program: len(more), symbols: len(more)})


def a_file_that_has_no_place_may_be_sent_again():
    """It is no fault of the file's. A command says why the copy could not be made."""
    with Service() as s:
        one = Program(s.root)
        with open(one.stripped, "rb") as file:
            elf = file.read()
        place = os.path.join(s.directory, "symbols", one.build_id + "-executable")
        os.makedirs(os.path.join(place, "x"))
        reply = s.http("POST", "/api/v1/symbols?name=app", body=elf)
        equal(reply.status, 507, reply.text)
        check("app cannot be kept in " in reply.text, reply.text)
        shutil.rmtree(place)
        equal(s.http("POST", "/api/v1/symbols?name=app", body=elf).status, 200)
        equal([f["name"] for f in s.ask("symbols", "list")["files"]], ["app"])
        size = os.path.getsize(one.whole)
        done = subprocess.run([SERVE, "symbols", "upload", "--dir", s.directory, one.whole], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, size - 1)))
        shown = one.whole[:150]  # of a message
        equal((done.returncode, done.stdout), (1, f"ringfence: {shown} cannot be copied: File too large\n"))
        equal([name for name in os.listdir(os.path.dirname(place)) if name.startswith("new-")], [])


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


os.environ.pop("DEBUGINFOD_URLS", None)
service.main([
    # The longest come first.
    uploads_come_by_http_and_are_given_out_again, mutants_of_a_file_get_an_answer_each,
    a_file_that_tells_less_replaces_none, a_file_that_comes_while_another_is_read_is_read_next,
    what_is_no_symbols_is_refused,
    the_oldest_files_are_dropped_above_a_limit, an_upload_that_is_cut_short_leaves_nothing,
    an_upload_that_the_database_cannot_note_is_to_be_sent_again, a_file_that_has_no_place_may_be_sent_again,
    a_file_that_cannot_be_noted_replaces_none, an_answer_that_is_no_collector_s_is_no_success,
])
