#!/usr/bin/env python3
"""The requests of a trace as an input of a fuzzer: it makes the same requests, and finds what they break.

    trace_seed_test.py RINGFENCE TRACE BROKEN FUZZER...
"""

import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

RINGFENCE, TRACE, BROKEN = (os.path.abspath(word) for word in sys.argv[1:4])
FUZZERS = {os.path.basename(word).replace("_fuzz", ""): os.path.abspath(word) for word in sys.argv[4:]}
FOLDER = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
CONFLICTS = []


def replay(*words):
    return subprocess.run([RINGFENCE, "replay", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)


def check(condition, *what):
    if not condition:
        print("FAIL", *what)
        CONFLICTS.append(what)


def requests_of_c_test(path):
    """[kind, block, size, align], as the test in C has them; blocks are renamed in the order of their making."""
    with open(path, encoding="utf-8") as file:
        rows = re.findall(r"^    \{(ALLOC|FREE|REALLOC), (\d+), (\d+), (\d+)\},", file.read(), re.M)
    names, out = {}, []
    for kind, block, size, align in rows:
        if kind == "ALLOC":
            names[block] = "p%d" % (1 + sum(1 for other in out if other[0] == "ALLOC"))
        size = 0 if kind == "FREE" else max(int(size), 1)
        out.append((kind, names[block], size, 16 if kind == "FREE" else max(int(align), 16)))
    return out


def requests_of_fuzzer(text):
    patterns = {
        "ALLOC": r"(p\d+) = rf_alloc\(a, (\d+)\)", "ALIGNED": r"(p\d+) = rf_aligned_alloc\(a, (\d+), (\d+)\)",
        "REALLOC": r"(p\d+) = rf_realloc_at\(a, p\d+, (\d+), (\d+), RF_HERE\)", "FREE": r"rf_free\(a, (p\d+)\)"}
    for line in text.splitlines():
        for kind, pattern in patterns.items():
            found = re.match(r" *\d+: " + pattern + "$", line)
            if found and kind == "ALLOC":
                yield "ALLOC", found[1], int(found[2]), 16
            elif found and kind == "ALIGNED":
                yield "ALLOC", found[1], int(found[3]), int(found[2])
            elif found and kind == "REALLOC":
                yield "REALLOC", found[1], int(found[2]), int(found[3])
            elif found:
                yield "FREE", found[1], 0, 16


def seed_of(allocator, *words):
    seed, test = (os.path.join(FOLDER, allocator + end) for end in (".seeds", ".c"))
    done = replay("-a", allocator, *words, "--fuzz-seed", seed, "--c-test", test, TRACE)
    check(done.returncode == 0, allocator, done.stderr)
    return seed, test


def trace_of(*sizes):
    """The path of a trace in which blocks of these sizes are allocated."""
    payload = b""
    for size in sizes:
        payload += b"\0"
        while size >= 128:
            payload += bytes([size & 127 | 128])
            size >>= 7
        payload += bytes([size])
    header = b"RFTRACE\n" + struct.pack("<II", 1, 0)
    number = struct.pack("<I", 0)
    path = os.path.join(FOLDER, "made.rft")
    with open(path, "wb") as file:
        file.write(header + struct.pack("<I", zlib.crc32(header)) + struct.pack("<I", len(payload)) + number +
                   struct.pack("<I", zlib.crc32(number + payload)) + payload)
    return path


def run_on(program, seed):
    return subprocess.run([program, seed], env={**os.environ, "RF_FUZZ_TRACE": "1"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def the_fuzzer_makes_the_same_requests():
    for allocator, program in FUZZERS.items():
        for window in (["--events=300"], ["--events=600", "--last=50"], ["--events=400", "--last=399"]):
            seed, test = seed_of(allocator, *window)
            wanted = requests_of_c_test(test)
            done = run_on(program, seed)
            got = list(requests_of_fuzzer(done.stdout))[:len(wanted)]
            check(done.returncode == 0, allocator, window, done.stdout[-500:])
            differs = [(i, a, b) for i, (a, b) in enumerate(zip(wanted, got)) if a != b]
            check(len(wanted) > 30 and len(got) == len(wanted) and not differs, allocator, window, len(wanted),
                  len(got), differs[:3])


def the_arena_is_a_mebibyte_where_the_blocks_fit_into_three_quarters():
    seed = os.path.join(FOLDER, "shrunk.seeds")
    quarters = 3 * 262144
    for sizes, fits in (((quarters,), True), ((quarters - 1000, 1000), True), ((quarters + 1,), False)):
        done = replay("-a", "tlsf", "--fuzz-seed", seed, trace_of(*sizes))
        check(done.returncode == (0 if fits else 2), sizes, done.stderr)
        check(fits or "the arena has so many bytes" in done.stderr, sizes, done.stderr)
        if fits:
            got = list(requests_of_fuzzer(run_on(FUZZERS["tlsf"], seed).stdout))
            check([request[2] for request in got[:len(sizes)]] == list(sizes), sizes, got[:5])
    done = replay("-a", "tlsf", "--arena=1100K", "--fuzz-seed", seed, trace_of(quarters))
    check(done.returncode == 2 and "the arena has so many bytes: 1126400" in done.stderr, done.stderr)


def a_heap_that_breaks_a_promise_is_found_with_the_window():
    seed, _ = seed_of("simple", "--events=600", "--last=50")
    done = run_on(BROKEN, seed)
    check(done.returncode != 0 and "statistics: peak is " in done.stdout, done.returncode, done.stdout[-500:])


def an_input_that_cannot_be_says_why():
    for words, reason in ((["-a", "std"], "no fuzzer runs requests on std"),
                          ([], "requests: "),
                          (["--events=50", "--arena=2M"], "the arena has so many bytes: 2097152")):
        path = os.path.join(FOLDER, "none.seeds")
        done = replay(*words, "--fuzz-seed", path, TRACE)
        check(done.returncode == 2 and reason in done.stderr and not os.path.exists(path), words, done.stderr)
    done = replay("--events=50", "--fuzz-seed", "/nowhere/x.seeds", TRACE)
    check(done.returncode == 2 and "cannot write to /nowhere/x.seeds" in done.stderr, done.stderr)


for case in (the_fuzzer_makes_the_same_requests,
             the_arena_is_a_mebibyte_where_the_blocks_fit_into_three_quarters,
             a_heap_that_breaks_a_promise_is_found_with_the_window,
             an_input_that_cannot_be_says_why):
    case()
sys.exit(1 if CONFLICTS else 0)
