#!/usr/bin/env python3
"""A hidden name is used in the library that defines it alone: programs link with each library as a shared one, too, by
Bazel's default for tests.

    hidden_names_test.py FILE...      the objects of the libraries; other files are passed over
"""

import collections
import subprocess
import sys

# All of its floors are linked statically (checkers/dropin/floor.bzl), as one.
DROPIN = "checkers/dropin/"

Symbol = collections.namedtuple("Symbol", "name is_hidden is_defined")


def library_of(path):
    """By the place of its object: FOLDER/_objs/TARGET/NAME.o."""
    return DROPIN if path.startswith(DROPIN) else path.rsplit("/", 1)[0]


def symbols_of(path):
    """Those that are not of the object alone."""
    table = subprocess.run(["readelf", "-sW", path], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    for line in table.splitlines():
        words = line.split()  # number, value, size, type, binding, visibility, section, name
        if len(words) > 7 and words[4] in ("GLOBAL", "WEAK"):
            yield Symbol(words[-1], words[5] == "HIDDEN", words[-2] != "UND")


def main():
    users = collections.defaultdict(lambda: collections.defaultdict(list))  # by name and library, its symbols
    for path in sys.argv[1:]:
        if path.endswith(".o"):
            for symbol in symbols_of(path):
                users[symbol.name][library_of(path)].append(symbol)
    faults = []
    hidden = 0
    for name, libraries in users.items():
        definers = {library for library, symbols in libraries.items() if any(s.is_defined for s in symbols)}
        all_hidden = all(s.is_hidden for library in definers for s in libraries[library] if s.is_defined)
        for library, symbols in libraries.items():
            is_hidden = all_hidden or any(s.is_hidden for s in symbols)
            hidden += bool(definers) and is_hidden
            if definers and library not in definers and is_hidden:
                faults.append("%s is hidden: %s uses it, %s defines it" % (name, library, ", ".join(sorted(definers))))
    if hidden < 100:
        faults.append("only %d hidden names in what is given" % hidden)
    sys.exit("\n".join(sorted(faults)) or 0)


if __name__ == "__main__":
    main()
