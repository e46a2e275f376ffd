"""How much of each source all stored corpora reach together, and the least that they must: part of coverage.py.

coverage_floors.txt lists the sources of which less than LINES and BRANCHES percent are reached, each with its own
floors and the reason: a source that is not listed has these.
"""

import fnmatch
import glob
import os

FILE = "fuzz/coverage_floors.txt"
LINES, BRANCHES = 95, 90
SOURCES = ["lib/*.c", "checkers/*.c"]
# Other systems' interfaces, ports, boards, and code for one operating system have tests of their own, not fuzzers.
WITHOUT = ["lib/compat/*", "lib/port/*", "checkers/os/*", "checkers/dropin/*", "checkers/asan/*", "checkers/mte/*"]
WITHOUT += ["checkers/guard_small/*", "*_bare.c", "*_posix.c", "*/testing/*"]


class Broken(Exception):
    """The list of floors cannot be read."""


class Reached:
    """Lines and branches of each source, over several programs."""

    def __init__(self, root):
        found = glob.glob(os.path.join(root, "**/*.c"), recursive=True)
        paths = sorted(os.path.relpath(path, root) for path in found)
        self.paths = [p for p in paths if _is_any(p, SOURCES) and not _is_any(p, WITHOUT)]
        self.lines = {}
        self.branches = {}

    def add(self, entry, lines):
        """`lines`: executions by line; `entry`: llvm-cov's data on the file."""
        path = next((p for p in self.paths if entry["filename"].endswith("/" + p)), None)
        if path is None:
            return
        known = self.lines.setdefault(path, {})
        for line, count in lines.items():
            known[line] = max(known.get(line, 0), count)
        known = self.branches.setdefault(path, {})
        for place, yes, no in _branches(entry):
            old = known.get(place, (0, 0))
            known[place] = (max(old[0], yes), max(old[1], no))

    def percents(self, path):
        lines, sides = self.lines[path], [count for pair in self._decided(path).values() for count in pair]
        return _percent(lines.values()), _percent(sides)

    def sums(self, top):
        """The same of all sources below a folder that a fuzzer has."""
        paths = [path for path in self.lines if path.startswith(top)]
        lines = [count for path in paths for count in self.lines[path].values()]
        return _percent(lines), _percent([n for p in paths for pair in self._decided(p).values() for n in pair])

    def missing(self, path):
        """Lines that are not reached, and those with a branch that goes one way only."""
        lines = {line for line, count in self.lines[path].items() if count == 0}
        sides = {place[0] for place, pair in self._decided(path).items() if 0 in pair}
        return sorted(lines), sorted(sides - lines)

    def _decided(self, path):
        """Without those that go no way although their line is reached: the compiler decides them."""
        lines = self.lines[path]
        return {p: pair for p, pair in self.branches[path].items() if any(pair) or lines.get(p[0], 0) == 0}


def _is_any(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def _branches(entry):
    """(place, times taken, times not taken) of each branch of a file; a macro's counts where the macro stands."""
    for branch in entry.get("branches", []):
        yield tuple(branch[:4]), branch[4], branch[5]
    for expansion in entry.get("expansions", []):
        for branch in expansion.get("branches", []):
            yield (*expansion["source_region"][:4], *branch[:4]), branch[4], branch[5]


def _percent(counts):
    return 100 * sum(count > 0 for count in counts) / len(counts) if counts else 100


def read(root):
    """{source: (lines, branches, reason)}; None for the figures of a source that no fuzzer has."""
    floors = {}
    with open(os.path.join(root, FILE), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split(None, 3)
            if words and line[0] != "#":
                if len(words) < 4:
                    raise Broken(f"{FILE}:{number}: needs a source, percents of lines and branches, and a reason")
                figures = [None if word == "-" else int(word) for word in words[1:3]]
                floors[words[0]] = (*figures, words[3].strip())
    return floors


def check(root, reached, with_lines):
    """Prints a row for each source; returns what is wrong."""
    floors, wrong = read(root), []
    print(f"{'source':44} {'lines':>6} {'branches':>9}   floors")
    for path in reached.paths:
        lines, branches, reason = floors.get(path, (LINES, BRANCHES, ""))
        if path not in reached.lines:
            print(f"{path:44}      -         -   {reason}")
            wrong += [] if lines is None else [f"{path}: no fuzzer has it"]
            continue
        got = reached.percents(path)
        least = (LINES if lines is None else lines, BRANCHES if branches is None else branches)
        print(f"{path:44} {got[0]:5.1f}% {got[1]:8.1f}%   {least[0]} {least[1]} {reason}")
        if with_lines:
            print("  not reached:", *reached.missing(path)[0])
            print("  one way only:", *reached.missing(path)[1])
        if got[0] < least[0] or got[1] < least[1]:
            wrong.append(f"{path}: {got[0]:.1f} % of lines, {got[1]:.1f} % of branches")
    for top in ("lib/", "checkers/"):
        print(f"{'in ' + top:44} {reached.sums(top)[0]:5.1f}% {reached.sums(top)[1]:8.1f}%")
    return wrong + [f"{FILE}: there is no {path}" for path in floors if path not in reached.paths]
