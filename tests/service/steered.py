"""Shared by the tests of steering: a checked process that goes on until it is told to end, rules, the policy."""

import ctypes
import os
import re
import struct
import subprocess
import sys
import time
import zlib

from service import check, equal

LIBRARY = os.path.abspath(sys.argv[2])
STEERED = os.path.abspath(sys.argv[3])
POLICY_BYTES = 18480


class Steered:
    """A checked process that allocates until it is told to end."""

    def __init__(self, s, *words, options="", pause=100, **environment):
        own = {name: value for name, value in os.environ.items() if name != "TEST_TARGET"}
        own.update(environment)
        own["LD_PRELOAD"] = LIBRARY
        own["RINGFENCE_OPTIONS"] = ":".join(filter(None, ["verbosity=1:collector=" + s.directory, options]))
        self.errors = os.path.join(s.root, "stderr-%d" % time.monotonic_ns())
        with open(self.errors, "wb") as file:
            self.process = subprocess.Popen([STEERED, str(pause), *words], env=own, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=file)
        equal(self.process.stdout.readline(), b"ready\n")

    def said(self):
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return file.read()

    def begins(self):
        return re.search(r"begins: (.*)", self.said()).group(1)

    def end(self):
        """The exit status; what was said is in .text then."""
        if self.process.poll() is None:
            self.process.stdin.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        self.text = self.said()
        return status


def rule(s, *words, because="a test"):
    """Sets a rule, and waits until it is in the policy."""
    done = s.ask("steer", *words, "--because", because)
    number = int(re.search(r"\d+", done["done"]).group(0))
    s.wait(lambda: policy(s)["newest"] >= number or words[0] == "unset")
    return number


def policy(s):
    with open(os.path.join(s.directory, "policy"), "rb") as file:
        data = file.read()
    equal(len(data), POLICY_BYTES)
    magic, version, size, generation, crc, nonce, live, newest, rules, sites = struct.unpack_from("=8s4IQi3I", data)
    equal((magic, version, size), (b"RFPOLICY", 1, POLICY_BYTES))
    return {"live": live, "newest": newest, "rules": rules, "nonce": nonce,
            "sites": [struct.unpack_from("=QII", data, 48 + 32 * 448 + 16 * i) for i in range(sites)]}


def rule_unseen(s, *words):
    return int(re.search(r"\d+", s.ask("steer", *words, "--because", "a test")["done"]).group(0))


class Segment:
    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, id, write=False):
        self.id = id
        self.libc.shmat.restype = ctypes.c_void_p
        self.address = self.libc.shmat(id, None, 0 if write else 0o10000)
        check(self.address not in (None, 2**64 - 1), "no segment", id)
        self.words = (ctypes.c_uint32 * (POLICY_BYTES // 4)).from_address(self.address)

    def put_rule(self, number, options):
        """Writes a policy with one rule for all, as the collector would."""
        data = bytearray(bytes(self.words))
        struct.pack_into("<III", data, 36, number, 1, 0)
        struct.pack_into("<II", data, 48, number, 1)
        struct.pack_into("<%ds" % (len(options) + 1), data, 48 + 248, options)
        struct.pack_into("<I", data, 20, zlib.crc32(bytes(data[24:])))
        self.words[4] += 1
        ctypes.memmove(self.address + 20, bytes(data[20:]), POLICY_BYTES - 20)
        self.words[4] += 1

    def leave(self):
        self.libc.shmdt(ctypes.c_void_p(self.address))

    def remove(self):
        self.leave()
        equal(self.libc.shmctl(self.id, 0, None), 0)

    @classmethod
    def exists(cls, id):
        return cls.libc.shmctl(id, 2, ctypes.create_string_buffer(512)) == 0
