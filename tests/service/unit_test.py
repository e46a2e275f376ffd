#!/usr/bin/env python3
"""The service works as docs/service/ringfence.service confines it: under filters of system calls like those that
systemd makes of the unit's directives, it takes findings in, names their lines, serves the page and sends alerts."""

import ctypes
import http.server
import mmap
import os
import platform
import re
import socket
import struct
import subprocess
import sys
import threading

import service
from service import Service, append, check, equal, event

UNIT = sys.argv[2]
# Numbers of calls: of this processor (of its 64-bit mode).
CALLS = {
    "x86_64": {"machine": 0xC000003E, "socket": 41, "personality": 135, "mmap": 9, "mprotect": 10,
               "pkey_mprotect": 329, "shmat": 30, "sched_setscheduler": 144},
    "aarch64": {"machine": 0xC00000B7, "socket": 198, "personality": 92, "mmap": 222, "mprotect": 226,
                "pkey_mprotect": 288, "shmat": 196, "sched_setscheduler": 119},
}.get(platform.machine())
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, EAFNOSUPPORT = 1, 97
WRITE, EXECUTE, SHM_EXEC = 2, 4, 0o100000
CHILD_GIB = 4  # the limit of a child that looks up names: MEMORY_GIB of tools/service/life/symbols.c
# Directives that confine in other ways, or not at all.
OTHERS = {"ExecStart", "Restart", "MemoryMax", "OOMPolicy", "NoNewPrivileges", "ProtectSystem"}


def directives():
    with open(UNIT, encoding="utf-8") as file:
        section = file.read().partition("[Service]\n")[2].partition("\n[")[0]
    return dict(line.split("=", 1) for line in section.splitlines() if "=" in line and not line.startswith("#"))


def op(code, value, yes=0, no=0):
    return struct.pack("<HBBI", code, yes, no, value)


def load(argument):
    return op(0x20, 16 + 8 * argument)  # the lower half


def of_call(name, *body):
    """`body`, where the call is that one; it ends with a verdict."""
    return [op(0x20, 0), op(0x15, CALLS[name], 0, len(body)), *body]


def refused(error):
    return op(0x06, ERRNO | error)


def bits(argument, mask, error=EPERM):
    """Refuses a call whose argument has all of these bits."""
    return [load(argument), op(0x54, mask), op(0x15, mask, 0, 1), refused(error), op(0x06, ALLOW)]


def none_but(argument, values, error=EPERM):
    tests = [op(0x15, value, len(values) - i) for i, value in enumerate(values)]
    return [load(argument), *tests, refused(error), op(0x06, ALLOW)]


def filter_of(name, value):
    """As systemd's shared/seccomp-util.c has it."""
    if name == "RestrictAddressFamilies":
        return of_call("socket", *none_but(0, [getattr(socket, family) for family in value.split()], EAFNOSUPPORT))
    equal(value, "yes", name)
    if name == "LockPersonality":
        return of_call("personality", *none_but(0, [0, 0xFFFFFFFF]))
    if name == "RestrictRealtime":
        return of_call("sched_setscheduler", *none_but(1, [os.SCHED_OTHER, os.SCHED_BATCH, os.SCHED_IDLE]))
    equal(name, "MemoryDenyWriteExecute", "a directive that this test does not know")
    return (of_call("mmap", *bits(2, WRITE | EXECUTE)) + of_call("mprotect", *bits(2, EXECUTE)) +
            of_call("pkey_mprotect", *bits(2, EXECUTE)) + of_call("shmat", *bits(2, SHM_EXEC)))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def confine():
    """This process and those that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name, value in directives().items():
        if name in OTHERS:
            continue
        code = [op(0x20, 4), op(0x15, CALLS["machine"], 1), op(0x06, ALLOW), *filter_of(name, value), op(0x06, ALLOW)]
        program = Program(len(code), b"".join(code))
        for words in ((38, 1, 0, 0, 0), (22, 2, ctypes.byref(program), 0, 0)):  # no new privileges, seccomp
            if libc.prctl(*words) != 0:
                os._exit(125)


def is_refused(call, error):
    try:
        call()
    except OSError as failure:
        equal(failure.errno, error)
        return
    raise AssertionError("was not refused")


def the_filters_refuse_what_the_unit_forbids():
    child = os.fork()
    if child == 0:
        try:
            confine()
            is_refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0), EAFNOSUPPORT)
            is_refused(lambda: mmap.mmap(-1, 4096, prot=WRITE | EXECUTE), EPERM)
            is_refused(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), EPERM)
            equal(ctypes.CDLL(None).personality(ctypes.c_ulong(0x0040000)), -1)
            socket.socket(socket.AF_INET).close()
            mmap.mmap(-1, 4096, prot=WRITE).close()
            os._exit(0)
        except BaseException as error:  # pylint: disable=broad-except
            print(error, flush=True)
            os._exit(1)
    equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def of_program(folder):
    """A finding in a program without names in its record, which the service looks up."""
    source, program = os.path.join(folder, "app.c"), os.path.join(folder, "app")
    with open(source, "w", encoding="utf-8") as file:
        file.write("int make(void) { return 1; }\nint main(void) { return make(); }\n")
    subprocess.run(["cc", "-g", "-O0", "-Wl,--build-id", "-o", program, source], check=True)
    symbols = subprocess.run(["nm", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    notes = subprocess.run(["readelf", "-n", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    at = int(re.search(r"^([0-9a-f]+) T make$", symbols, re.M)[1], 16) + 5
    frame = {"pc": hex(at), "module": program, "build_id": re.search("Build ID: ([0-9a-f]+)", notes)[1],
             "offset": hex(at)}
    return event("named", "n-1", f_allocated={"thread": 1, "frames": [frame]})


def the_service_works_under_them():
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Service("--webhook", f"http://localhost:{server.server_port}/hook", start=False) as s:
        s.before = confine
        s.start()
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as file:
            status = file.read()
        check("NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, status)
        append(s.directory, event("a", "1"), of_program(s.root))
        s.wait(lambda: len(s.findings()) == 2)
        s.wait(lambda: any("make " in row["place"] and "app.c:1" in row["place"] for row in s.findings()))
        equal(s.http("GET", "/").status, 200)
        check("make" in s.http("GET", "/finding/2").text)
        equal(service.post(s, event("b", "3"))["taken"], 1)
        equal(s.http("POST", "/finding/1/fix", body="text=", Authorization="Bearer " + s.token()).status, 303)
        s.wait(lambda: len(server.got) >= 3)
        equal(s.stop(), 0)
        check("cannot" not in s.log(), s.log())
    server.shutdown()


def a_child_that_needs_much_memory_ends_alone():
    """Where the unit's was reached first, systemd would end the
    collector with it, as its default is, and start it anew, and it would look the same up again."""
    unit = directives()
    equal(unit["OOMPolicy"], "continue")
    check(int(unit["MemoryMax"].rstrip("G")) > CHILD_GIB, unit["MemoryMax"])


def is_possible():
    child = os.fork()
    if child == 0:
        confine()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


CASES = [the_filters_refuse_what_the_unit_forbids, the_service_works_under_them]
if CALLS is None or not is_possible():
    print("     (no filter of system calls can be set here: left out)")
    CASES = []
service.main(CASES + [a_child_that_needs_much_memory_ends_alone])
