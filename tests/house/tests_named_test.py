#!/usr/bin/env python3
"""Each test that tests/README.md names in the form Suite.Test exists.

    tests_named_test.py PAGE FILE...      the page, and the sources of the tests
"""

import re
import sys

NAMED = re.compile(r"`(\w+)\.([A-Z]\w+)`")
DEFINED = re.compile(r"^\s*TEST(?:_P|_F)?\(\s*(\w+),\s*(\w+)\s*\)", re.M)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        named = set(NAMED.findall(file.read()))
    defined = set()
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            defined |= set(DEFINED.findall(file.read()))
    missing = sorted(".".join(name) for name in named - defined)
    if len(named) < 40 or len(defined) < 500:
        missing.append(f"only {len(named)} names and {len(defined)} tests were seen")
    if missing:
        sys.exit(f"{sys.argv[1]} names tests that do not exist: {', '.join(missing)}")
    print(f"{len(named)} named tests exist")


main()
