"""Which faults are tried, in what order, and which of them change nothing that anyone can see."""

import collections
import difflib
import hashlib
import json
import os
import random

import faults

EQUIVALENTS = "fuzz/mutate/equivalents.txt"


class Trouble(Exception):
    """Stops the whole run."""


def state_of(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def difference(mutant, source):
    old, new = mutant.lines(source)
    lines = difflib.ndiff(old, new)
    return [line for line in lines if line[0] in "+-"]


class Draw:
    """Faults in the order of the draw: each file and operator has a share that grows with the root of its number."""

    def __init__(self, root, paths, seed):
        placed = []
        self.sources = {}
        self.ids = {}
        for path in paths:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                self.sources[path] = file.read()
            strata = collections.defaultdict(list)
            equal = collections.Counter()
            for mutant in faults.make(path, self.sources[path]):
                strata[mutant.operator].append(mutant)
                self._name(mutant, equal)
            for operator, mutants in strata.items():
                dice = random.Random(f"{seed} {path} {operator}")
                dice.shuffle(mutants)
                start = dice.random()
                placed += [((i + start) / len(mutants) ** 0.5, mutant) for i, mutant in enumerate(mutants)]
        self.mutants = [mutant for _, mutant in sorted(placed)]

    def _name(self, mutant, equal):
        """Its id, which stays while function and line do. Faults of equal lines of one function are numbered."""
        old, new = mutant.lines(self.sources[mutant.file])
        first = [mutant.file, mutant.operator, mutant.function, old, new]
        count = equal[state_of(first)]
        equal[state_of(first)] += 1
        self.ids[mutant] = state_of(first + [count] if count else first)[:10]

    def id_of(self, mutant):
        return self.ids[mutant]


class Equivalents:
    """equivalents.txt: paragraphs of `equivalent: REASON`, `file:`, `in: FUNCTION` (-: outside of one), and the lines
    before and after."""

    def __init__(self, path):
        self.path = path
        self.reasons = {}
        self.entries = []  # (number of the first line, source, key)
        entry = None
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                key, _, value = line.strip().partition(": ")
                if key == "equivalent":
                    self._take(entry)
                    entry = {"at": number, "reason": value, "old": [], "new": []}
                elif key in ("file", "in") and entry:
                    entry[key] = value
                elif line[:1] in "-+" and entry:
                    entry["old" if line[0] == "-" else "new"].append(line[1:].strip())
                elif line.strip() and line[0] != "#":
                    raise Trouble(f"{path}:{number}: unknown line")
        self._take(entry)

    def _take(self, entry):
        if entry is None:
            return
        if not ({"file", "in"} <= set(entry) and entry["old"] and entry["new"]):
            raise Trouble(f"{self.path}:{entry['at']}: a file, a function, or a line before or after is missing")
        key = self._key(entry["file"], entry["in"], entry["old"], entry["new"])
        if key in self.reasons:
            raise Trouble(f"{self.path}:{entry['at']}: an entry before has the same fault")
        self.reasons[key] = entry["reason"]
        self.entries.append((entry["at"], entry["file"], key))

    @staticmethod
    def _key(path, function, old, new):
        return json.dumps([path, function or "-", sorted(set(old) - set(new)), sorted(set(new) - set(old))])

    def reason(self, mutant, source):
        old, new = mutant.lines(source)
        return self.reasons.get(self._key(mutant.file, mutant.function, old, new))

    def demand_present(self, root):
        """Trouble where an entry names a fault that its source has no more."""
        present = {}
        stale = []
        for number, path, key in self.entries:
            if path not in present:
                present[path] = self._keys_in(root, path)
            if key not in present[path]:
                stale.append(f"{self.path}:{number}: {path} has no such fault")
        if stale:
            raise Trouble("\n".join(stale))

    def _keys_in(self, root, path):
        full = os.path.join(root, path)
        if not os.path.isfile(full):
            return set()
        with open(full, encoding="utf-8") as file:
            source = file.read()
        return {self._key(path, mutant.function, *mutant.lines(source)) for mutant in faults.make(path, source)}
