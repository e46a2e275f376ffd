#!/usr/bin/env python3
"""Executions per processor second of each fuzzer over its stored inputs of at most 32 operations.

    ./bazelw run //fuzz:speed                    a table: optimised, and with AddressSanitizer
    ./bazelw run //fuzz:speed -- simple tlsf     only those fuzzers
    ./bazelw run //fuzz:speed -- --write         and the table in docs/fuzzing-results.md anew; with names, their rows
    ./bazelw run //fuzz:speed -- --seconds=2     of processor time for each figure

Bazel's arguments: the names of all fuzzers, "--", the user's arguments.
"""

import argparse
import os
import re
import subprocess
import sys

import coverage
import seeds

BUILDS = [("-O2", ["-c", "opt"]), ("AddressSanitizer", ["--config=asan"])]
PAGE = "docs/fuzzing-results.md"
TABLE = re.compile(r"(<!-- speed -->\n).*?(?=\n\n)", re.DOTALL)
SPEED = re.compile(r"fuzz: (\d+) executions per processor second over (\d+) of")


def build(root, names, flags):
    """The folder of the programs, which serve until another configuration is built."""
    bazel = coverage.bazel_command(root)
    quiet = ["--noshow_progress", "--ui_event_filters=-info,-stdout"]
    targets = [f"//fuzz:{name}_fuzz_bin" for name in names]
    if subprocess.run(bazel + ["build"] + flags + quiet + targets, cwd=root, check=False).returncode != 0:
        sys.exit("speed: the build failed")
    command = bazel + ["info"] + flags + ["bazel-bin"]
    return subprocess.check_output(command, cwd=root, stderr=subprocess.DEVNULL, text=True).strip()


def measure(program, corpus, seconds):
    """(executions per second, inputs), or None where this build has nothing to test."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    command = [program, f"--speed={seconds}", corpus]
    done = subprocess.run(command, env=coverage.fuzzer_environment(), check=False, **output)
    found = SPEED.search(done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"speed: {os.path.basename(program)} failed:\n{done.stdout}")
    return None if "skipped" in done.stdout else (int(found[1]), int(found[2]))


def rounded(figure):
    """Two digits: the rest is noise."""
    digits = max(len(str(figure)) - 2, 0)
    return f"{round(figure, -digits):,}"


def write_table(root, head, rows, names):
    """`rows` by name. Those of fuzzers that were not measured stay; those of fuzzers that are no more go."""
    path = os.path.join(root, PAGE)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    table = TABLE.search(text)
    if table is None:
        sys.exit(f"speed: {PAGE} has no mark <!-- speed -->")
    known = {line.split(" | ")[0].removeprefix("| "): line for line in table[0].splitlines()[3:]}
    kept = {name: line for name, line in known.items() if name in names}
    lines = head + [line for _, line in sorted({**kept, **rows}.items())]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[: table.start()] + table[1] + "\n".join(lines) + text[table.end() :])


def main():
    names = sys.argv[1 : sys.argv.index("--")]
    parser = argparse.ArgumentParser(description="Executions per processor second of each fuzzer.")
    parser.add_argument("fuzzers", nargs="*", help="all unless given")
    parser.add_argument("--seconds", type=float, default=1, help="of processor time for each figure")
    parser.add_argument("--write", action="store_true", help="write the table into " + PAGE)
    arguments = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :])
    unknown = set(arguments.fuzzers) - set(names)
    if unknown:
        parser.error("no fuzzer " + ", ".join(sorted(unknown)) + "; there are: " + ", ".join(names))
    chosen = arguments.fuzzers or names
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or sys.exit("speed: run me by bazel run")
    results = {name: [] for name in chosen}
    for _, flags in BUILDS:
        folder = build(root, chosen, flags)
        for name in chosen:
            program = os.path.join(folder, "fuzz", name + "_fuzz_bin")
            corpus = os.path.join(root, "fuzz/corpus", name + seeds.SUFFIX)
            results[name].append(measure(program, corpus, arguments.seconds))
    titles = " | ".join(title for title, _ in BUILDS)
    head = [f"| fuzzer | inputs | {titles} |", "|---|---|" + "---|" * len(BUILDS)]
    rows = {}
    for name, speeds in sorted(results.items()):
        inputs = next((speed[1] for speed in speeds if speed), 0)
        cells = [rounded(speed[0]) if speed else "" for speed in speeds]
        rows[name] = f"| {name} | {inputs} | " + " | ".join(cells) + " |"
    print("\n".join(head + list(rows.values())))
    if arguments.write:
        write_table(root, head, rows, names)


if __name__ == "__main__":
    main()
