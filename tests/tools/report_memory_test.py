#!/usr/bin/env python3
"""`ringfence report` takes no more than three times its input in memory, however the input comes.

    report_memory_test.py RINGFENCE
"""

import json
import os
import resource
import subprocess
import sys
import tempfile

FINDINGS = 6000
BASE_KIB = 12 * 1024  # the command itself, and a piece of its input


def frame(place, depth):
    return {"pc": hex(0x7F0000000000 + place * 16 + depth), "module": f"/srv/app/lib{place % 20}.so",
            "build_id": "6a8cbfebf73f1f7cf86ba71fb7a9eb93d0bdf1a1", "offset": hex(0x1000 + place * 16 + depth),
            "function": f"function_{place}_{depth}", "file": f"/srv/app/src/file_{place % 97}.c", "line": depth + 1}


def finding(place):
    stacks = {name: {"thread": 1, "frames": [frame(place, depth) for depth in range(8)]}
              for name in ("found", "allocated", "released")}
    return {"type": "finding", "version": 1, "pid": 1000 + place % 40, "sequence": place, "time_ns": place,
            "bug": "heap-use-after-free", "cwe": 416, "access": "write", "access_size": 1, "address": "0x105d",
            "block": "0x1050", "size": 40, "blocks": 1, "freed": True, "offset": 3, "allocator": "malloc",
            "mode": "guard", "detail": "freed memory was written", **stacks}


def run(command, standard_input, result):
    """The child's peak in KiB; children of a process share one figure, so each has a parent of its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        with open(result, "wb") as out:
            done = subprocess.run(command, stdin=standard_input, stdout=out, stderr=subprocess.DEVNULL, check=False)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        os.write(writer, f"{peak} {done.returncode}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as answer:
        peak, status = map(int, answer.read().split())
    os.wait()
    return peak, status


def main():
    ringfence = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
        path, result = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out")
        with open(path, "w", encoding="ascii") as file:
            for place in range(FINDINGS):
                file.write(json.dumps(finding(place), separators=(",", ":")) + "\n")
        limit = BASE_KIB + 3 * os.path.getsize(path) // 1024
        for words in ([path], ["-"]):
            with open(path, "rb") as file:
                peak, status = run([ringfence, "report", "--no-symbols", "--format", "json", *words], file, result)
            with open(result, "rb") as file:
                lines = sum(1 for _ in file)
            print(f"{words[0]}: {os.path.getsize(path) // 1024} KiB of {FINDINGS} findings took {peak} KiB")
            if status != 99 or lines < FINDINGS or peak > limit:
                sys.exit(f"status {status}, {lines} lines, {peak} KiB, at most {limit} KiB")


main()
