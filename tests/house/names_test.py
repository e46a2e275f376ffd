#!/usr/bin/env python3
"""No name that was given up stands anywhere any more: renamed.tsv has each, and what it is called now.

    names_test.py TABLE FILE...      sources, headers, build files and pages

A line of the table is an old identifier or path, a tab, and the new one. CHANGELOG.md tells users of those that were
public.
"""

import re
import sys

WORD = re.compile(r"[A-Za-z_]\w*")
PATH = re.compile(r"[\w./-]+\.[a-z]+")


def table(path):
    old = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            names = line.rstrip("\n").split("\t")
            if len(names) != 2 or not all(names):
                sys.exit(f"{path}:{number}: not 'old<TAB>new': {line!r}")
            if names[0] in old:
                sys.exit(f"{path}:{number}: {names[0]} stands twice")
            old[names[0]] = names[1]
    chains = sorted(name for name in old.values() if name in old)
    if chains:
        sys.exit(f"{path}: new names that are old ones as well: {', '.join(chains)}")
    return old


def faults_in(text, old):
    """(line, old name) of each name given up."""
    for number, line in enumerate(text.split("\n"), 1):
        for word in WORD.findall(line) + PATH.findall(line):
            if word in old:
                yield number, word


def main():
    old = table(sys.argv[1])
    faults, read = [], 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        read += 1
        faults += [f"{path}:{number}: {word} is {old[word]} now" for number, word in faults_in(text, old)]
    if len(old) < 100 or read < 300:
        faults.append(f"only {len(old)} names and {read} files were given")
    some = next(iter(old))
    if not list(faults_in(f"x = {some}(1);", old)):
        faults.append("a planted old name goes unseen")
    if faults:
        sys.exit("\n".join(faults))
    print(f"none of {len(old)} names given up is in {read} files")


main()
