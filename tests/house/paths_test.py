#!/usr/bin/env python3
"""Each C source and header that docs/architecture.md names exists. A path may leave out the folders that come first.

    paths_test.py PAGE FILE...      the page, and the sources and headers of lib/, checkers/ and tools/
"""

import re
import sys

NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.[ch])`")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        named = set(NAMED.findall(file.read()))
    endings = set()
    for path in sys.argv[2:]:
        folders = path.split("/")
        endings |= {"/".join(folders[i:]) for i in range(len(folders))}
    missing = sorted(named - endings)
    if len(named) < 40 or len(endings) < 1000:
        missing.append(f"only {len(named)} names and {len(endings)} endings of paths were seen")
    if missing:
        sys.exit(f"{sys.argv[1]} names files that do not exist: {', '.join(missing)}")
    print(f"{len(named)} named files exist")


main()
