#!/usr/bin/env python3
"""Exports of findings of each kind, read by what OpenTelemetry and Sentry publish for it.

    ./bazelw run //tests/service:export_check

Needs node and npm, which fetches the two readers; so it is no part of `bazel test //...`.
"""

import os
import subprocess
import sys
import tempfile

from service import Service, append, event, frame

KINDS = ["heap-buffer-overflow", "heap-use-after-free", "double-free", "bad-free", "memory-leak"]
READERS = ["@sentry/core", "@opentelemetry/otlp-transformer@0.203.0"]  # later ones have no definitions by name


def main():
    here = os.path.dirname(os.path.realpath(__file__))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as modules:
        for kind in KINDS:
            with Service(start=False) as s:
                released = {"f_released": {"thread": 1, "frames": [frame("release_all", 90)]}}
                append(s.directory, event("a\"<\\\n", "id-1", f_bug=kind, **released))
                s.once()
                for form in ("sentry", "otlp"):
                    with open(os.path.join(folder, f"{kind}.{form}"), "w", encoding="utf-8") as file:
                        file.write(s.command("export", "--as", form))
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", modules, *READERS], check=True)
        sys.exit(subprocess.run(["node", here + "/export_check.js", folder], check=False,
                                env={**os.environ, "NODE_PATH": modules + "/node_modules"}).returncode)


main()
