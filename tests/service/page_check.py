#!/usr/bin/env python3
"""Looks at the pages in Chromium, light and dark, wide and narrow, over findings of every state.

    ./bazelw run //tests/service:page_check -- FOLDER      pictures go to FOLDER

Needs Chromium, node and npm, which fetches playwright-core and axe-core; so it is no part of `bazel test //...`.
"""

import os
import subprocess
import sys
import tempfile

import service
from service import Service, append, event, record

KINDS = ["heap-buffer-overflow", "heap-use-after-free", "double-free", "memory-leak", "heap-buffer-underflow"]


def records():
    number = 0
    for place in range(20):
        for i in range(1 + 60 // (place + 1)):
            number += 1
            ago = (number * 7919) % (28 * 86400)
            version = 3 - int(ago / 86400 / 7)
            released = {"f_released": {"thread": 1, "frames": [service.frame("release_all", 90)]}}
            more = released if place % 5 in (1, 2) else {}
            yield event(f"place{place}", f"e-{number}", ago=ago, pid=number, host=["ci-1", "ci-2", "web-03"][i % 3],
                        environment=["development", "ci", "production"][number % 3], labels={"attempt": str(i % 2)},
                        build={"version": f"1.{version}.0", "commit": f"{version + 10:x}" * 20},
                        f_bug=KINDS[place % 5], f_value=[0, 0, 0x41, 0xFC][(place + i * (place % 2)) % 4], **more)
    for i in range(60):
        yield record("summary", f"s-{i}", ago=i * 40000, pid=i, seconds=36000.0, allocations=10 ** i % 9999991,
                     build={"version": f"1.{3 - i // 16}.0", "commit": f"{13 - i // 16:x}" * 20})
    for i in range(30):
        yield event("loop", f"l-{i}", pid=9000 + i, environment="production", f_value=0xFC, host="web-09")


def main():
    folder = os.path.abspath(os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), sys.argv[2]))
    here = os.path.dirname(os.path.realpath(__file__))
    os.makedirs(folder, exist_ok=True)
    with Service(start=False) as s, tempfile.TemporaryDirectory() as modules:
        append(s.directory, *records())
        s.once()
        s.command("ignore", "7", "--because", "a test plants it")
        s.command("fix", "2", "--in", "1.1.0")
        s.command("merge", "1", "6")
        s.start()
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", modules, "playwright-core", "axe-core"],
                       check=True)
        sys.exit(subprocess.run(["node", here + "/page_check.js", f"http://127.0.0.1:{s.port}", s.token(), folder],
                                env={**os.environ, "NODE_PATH": modules + "/node_modules"}, check=False).returncode)


main()
