#!/usr/bin/env python3
"""Functions are short: none above 60 lines, 99 of 100 at most 32.

    functions_test.py FILE...      sources and headers in C
"""

import sys

import sources as house

LONGEST = 60
USUAL = 32


def main():
    lengths = []
    for source in house.read(sys.argv[1:]).values():
        lengths += [(lines, f"{source.path}: {name}") for name, _, lines in source.functions()]
    lengths.sort(reverse=True)
    faults = [f"{where} has {lines} lines, more than {LONGEST}" for lines, where in lengths if lines > LONGEST]
    allowed = len(lengths) // 100
    if lengths[allowed][0] > USUAL:
        faults.append(f"more than one function in a hundred ({allowed}) is longer than {USUAL} lines:")
        faults += [f"  {lines} {where}" for lines, where in lengths if lines > USUAL]
    if len(lengths) < 1000:
        faults.append(f"only {len(lengths)} functions were seen")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(lengths)} functions, the longest {lengths[0][0]} lines, {lengths[allowed][0]} at the 99th percentile")


main()
