#!/usr/bin/env python3
"""The cost of steering: a loop of nothing but allocations, with and without a collector and its rules."""

import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import Service  # pylint: disable=wrong-import-position

LIBRARY = os.path.abspath(sys.argv[2])
LOOP = os.path.abspath(sys.argv[3])
PAGE = "docs/service/steering.md"
PAIRS = {"sample": 20000000, "guard": 3000000}
RULES = [("no rule", None), ("rates of 1", "sample_rate=1:watch=1"), ("`raise=64`", "raise=64"),
         ("both", "sample_rate=1:watch=1:raise=64")]


def seconds(mode, collector):
    own = {name: value for name, value in os.environ.items() if name != "TEST_TARGET"}
    own["LD_PRELOAD"] = LIBRARY
    own["RINGFENCE_OPTIONS"] = f"mode={mode}:leaks=0" + (":collector=" + collector if collector else "")
    done = subprocess.run([LOOP, str(PAIRS[mode])], env=own, check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def measure(mode, folders, rounds):
    """The least time of each folder beside the least one without a collector, of rounds in turn."""
    without = []
    times = [[] for _ in folders]
    for _ in range(rounds):
        for taken, folder in zip(times, folders):
            without.append(seconds(mode, None))
            taken.append(seconds(mode, folder))
    return [min(taken) / min(without) for taken in times]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--update", action="store_true", help="write the table into the page")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(sys.argv[4:])
    services = [Service() for _ in RULES]
    folders = []
    for s, (_, rule) in zip(services, RULES):
        if rule is not None:
            s.command("steer", "set", "--options", rule, "--because", "measured")
        folders.append(s.directory)
    rows = ["| | " + " | ".join(name for name, _ in RULES) + " |", "|---|" + "---|" * len(RULES)]
    for mode in PAIRS:
        ratios = measure(mode, folders, options.rounds)
        rows.append(f"| {mode} | " + " | ".join(f"{100 * (r - 1):+.1f} %" for r in ratios) + " |")
        print(rows[-1], flush=True)
    for s in services:
        s.__exit__()
    print("\n".join(rows))
    if options.update:
        path = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), PAGE)
        with open(path, encoding="utf-8") as file:
            before, rest = file.read().split("<!-- steering -->\n")
        with open(path, "w", encoding="utf-8") as file:
            file.write(before + "<!-- steering -->\n" + "\n".join(rows) + "\n" + rest[rest.index("<!-- end of"):])


main()
