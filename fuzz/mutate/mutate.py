#!/usr/bin/env python3
"""Plants small faults in the sources, one at a time, and runs the tests that reach the line: who survives is untested.

    ./bazelw run //fuzz/mutate -- --count 200              drawn from all sources
    ./bazelw run //fuzz/mutate -- --files 'lib/heaps/*.c'  from these; also --changed REVISION: from files changed since
    ./bazelw run //fuzz/mutate -- --list --files FILE      names all faults that the operators make there
    ./bazelw run //fuzz/mutate -- --only ID                one fault, by the id that a list or a result gives
    ./bazelw run //fuzz/mutate -- --write                  makes the table of docs/fuzzing.md
    ./bazelw run //fuzz/mutate -- --write --add            adds the results of a new draw, by another --seed, to it

The draw depends on nothing but --seed and the sources: each operator and file has its share. A fault that does not
compile, or changes no object, is no fault and another takes its place. A test that runs out of time twice has found it.
Results are kept in RF_FUZZ_DIR or ~/.cache/ringfence/fuzz, below mutate: results.json has the last verdict on each
fault, survivors.txt those that live. A killed mutant is tried again when its source changes, a survivor when a test
that reaches it does. equivalents.txt lists faults that change nothing that anyone can see, each with its reason.

Exit status: 0; 1 where more than --most percent survive; 2 on misuse or if the unchanged tests fail.
"""

import argparse
import collections
import concurrent.futures
import difflib
import fnmatch
import hashlib
import json
import os
import queue
import random
import re
import subprocess
import sys
import time

import faults
import reach
import tree

TESTS = ["//tests/...", "//fuzz/..."]
# Tests of the build, of names and of packages say nothing about what code does; some compile sources of their own.
WITHOUT = ["//tests/install/...", "//tests/house/...", "//tests/freestanding/...", "//fuzz/mutate/..."]
WITHOUT_TESTS = ["//fuzz:mutants_test", "//fuzz:seeds_canonical_test"]
# Sources for boards are tested by tests/freestanding, which run on a board, those for memory tags and for processors
# without rules of stacks (caller.*) by tools/try_aarch64.sh and --config=m32, those for musl with --config=musl; the
# others belong to tests.
NO_SOURCES = ["*_bare.c", "*_musl.c", "*/dropin/*/tag_*", "*/dropin/*/tagged_*", "*/dropin/runtime/caller.[ch]"]
NO_SOURCES += ["*/testing/*"]
SOURCES = ["lib/*.[ch]", "checkers/*.[ch]", "tools/ringfence/*.[ch]", "tools/service/*.[ch]", "tools/trace/*.[ch]"]
SEED = 13
TYPES = ["-Werror=int-conversion", "-Werror=incompatible-pointer-types", "-Werror=enum-conversion"]
EQUIVALENTS = "fuzz/mutate/equivalents.txt"
TABLE = ("<!-- mutate -->", "<!-- /mutate -->")


class Trouble(Exception):
    """Stops the whole run."""


def bazel_command(root):
    base, execroot, _ = os.path.abspath(sys.argv[0]).partition("/execroot/")
    return [os.path.join(root, "bazelw")] + (["--output_base=" + base] if execroot else [])


def say(text):
    print("mutate: " + text, file=sys.stderr, flush=True)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def state_of(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


class Workshop:
    """The build and what is known of its tests."""

    def __init__(self, root, folder, arguments):
        self.root = root
        self.folder = folder
        self.slowest = arguments.slowest
        self.longest = arguments.longest
        bazel = bazel_command(root)
        bazel_flags = arguments.bazel
        query = " + ".join(f"tests({pattern})" for pattern in arguments.tests)
        query += "".join(f" - tests({t})" for t in WITHOUT + WITHOUT_TESTS)
        quiet = {"stderr": subprocess.DEVNULL, "text": True, "cwd": root}
        targets = subprocess.check_output(bazel + ["query", query], **quiet).split()
        say(f"building {len(targets)} tests")
        subprocess.run(bazel + ["build", "--noshow_progress"] + bazel_flags + targets, cwd=root, check=True)
        command = bazel + ["aquery", "--include_param_files", "--output=jsonproto"] + bazel_flags
        text = subprocess.check_output(command + ["deps(set(" + " ".join(targets) + "))"], **quiet)
        execroot = subprocess.check_output(bazel + ["info", "execution_root"], **quiet).strip()
        self.graph = tree.Graph(text, execroot, root).reach()
        self.hashes = {path: digest(os.path.join(root, path)) for path in tree.sources_of(root)}
        self.keys = {label: self._key(label) for label in self.graph.order}
        self.reach = reach.Reach(self.graph, root, folder, self.keys)

    def _key(self, label):
        """The state of all that a test is made of."""
        return state_of([(path, self.hashes.get(path)) for path in sorted(self.graph.sources[label])])

    def labels_of(self, path):
        return [label for label in self.graph.order if self.graph.affected(label, [path])]

    def tests_for(self, mutant):
        """Parts of tests that reach the line or may, the quickest first; where none does, those that reach its file."""
        lines = {part: found.get(mutant.file, set()) for part, found in self.reach.lines.items()}
        near = range(mutant.line, mutant.line + mutant.text.count("\n") + 2)
        hit = [part for part, found in lines.items() if not found.isdisjoint(near)]
        hit = hit or [part for part, found in lines.items() if found]
        labels = set(self.labels_of(mutant.file))
        hit += [p for p in lines if reach.label_of(p) in labels and (p in self.reach.blind or not hit)]
        known = [part for part in hit if reach.label_of(part) in self.graph.tests]
        quick = [part for part in known if self.reach.seconds.get(part, 0) <= self.slowest]
        return sorted(set(quick or known), key=lambda part: (self.reach.seconds.get(part, 0), part))


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


def compiler_flags(action):
    """As Bazel's; but only what a compiler must not take, as arguments of another type, is an error."""
    words = [word for word in action.arguments if word != "-Werror"]
    return words + TYPES if action.mnemonic == "CppCompile" and words[words.index("-c") + 1].endswith(".c") else words


class Trial:
    """Tries faults in one tree."""

    def __init__(self, workshop, folder):
        self.workshop = workshop
        self.graph = workshop.graph
        self.tree = tree.Tree(self.graph, workshop.root, folder, compiler_flags)
        self.tree.make()
        self.kills = collections.Counter()
        self.sound = {}

    def run(self, mutant, source):
        """(verdict, by whom or why). A test that fails without any fault counts for nothing."""
        while True:
            verdict, why, label = self._try(mutant, source)
            if verdict != "killed" or self._is_sound(label):
                return verdict, why

    def _is_sound(self, label):
        if label not in self.sound:
            found, _ = self.tree.test(self.workshop.reach.test_of(label), self._limit(label))
            self.sound[label] = not found
            if found:
                say(f"{label} fails without any fault, and is left out: {found}")
        return self.sound[label]

    def _limit(self, label):
        return 10 + 5 * self.workshop.reach.seconds.get(label, 20)

    def _try(self, mutant, source):
        self.tree.write(mutant.file, mutant.apply(source))
        done = {}
        try:
            labels = [label for label in self.workshop.tests_for(mutant) if self.sound.get(label, True)]
            cost = self.workshop.reach.seconds
            blind, share = self.workshop.reach.blind, self.workshop.reach.share
            labels.sort(key=lambda part: (part in blind, -share(part, mutant.file) / (cost.get(part, 0) + 0.5)))
            labels.sort(key=lambda part: -self.kills[mutant.file, part] / (cost.get(part, 0) + 0.5))
            spent = 0.0
            for number, label in enumerate(labels):
                if spent > self.workshop.longest:
                    return "survived", f"{number} of {len(labels)} tests", None
                spent += cost.get(label, 0)
                if not self._prepare(label, mutant.file, done):
                    continue
                found = self._failure(label)
                if found:
                    self.kills[mutant.file, label] += 1
                    return "killed", f"{label}: {found}", label
            if labels and not any(done.values()):
                return "same", "the same objects", None
            return "survived", f"{len(labels)} tests", None
        except tree.Broken as broken:
            return "invalid", str(broken)[-300:], None
        finally:
            self.tree.write(mutant.file, source)
            self.tree.restore()

    def _failure(self, label):
        """None or why it fails. A machine that is busy lets a test run out of time, but hardly twice."""
        test, limit = self.workshop.reach.test_of(label), self._limit(label)
        found, _ = self.tree.test(test, limit)
        return self.tree.test(test, 2 * limit)[0] if found == "timeout" else found

    def _prepare(self, label, path, done):
        """Makes what the test needs; False where the fault changes none of it."""
        dirty = {path}
        for action in self.graph.affected(reach.label_of(label), [path]):
            if dirty.isdisjoint(self.graph._needs(action)):
                continue
            if id(action) not in done:
                if not self._run(action):
                    return False
                done[id(action)] = self._changed(action)
            if done[id(action)]:
                dirty.update(action.outputs)
        return len(dirty) > 1

    def _run(self, action):
        """False where a test does not compile, which outside of its sandbox may see other files."""
        try:
            self.tree.run(action)
        except tree.Broken:
            words = action.arguments
            if action.mnemonic != "CppCompile" or words[words.index("-c") + 1].startswith(reach.SOURCES):
                raise
            return False
        return True

    def _changed(self, action):
        if action.mnemonic != "CppCompile":
            return action.mnemonic in tree.RUNNABLE  # others, as Bazel's middlemen, make nothing
        path = next(path for path in action.outputs if path.endswith(".o"))
        return self._code(self.tree.folder, path) != self._code(self.graph.execroot, path)

    def _code(self, top, path):
        """The object without debug information, which has columns."""
        result = self.tree.folder + ".object"
        subprocess.run(["objcopy", "--strip-debug", os.path.join(top, path), result], check=True)
        with open(result, "rb") as file:
            return file.read()


class Results:
    """Verdicts by id, kept for as long as all sources but those of other faults stay as they are."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "results.json")
        self.rows = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.rows = json.load(file)

    def store(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1, sort_keys=True)
        os.replace(self.path + ".new", self.path)


def difference(mutant, source):
    old, new = mutant.lines(source)
    lines = difflib.ndiff(old, new)
    return [line for line in lines if line[0] in "+-"]


def chosen_paths(root, arguments):
    patterns = arguments.files or SOURCES
    paths = [path for path in tree.sources_of(root) if any(fnmatch.fnmatch(path, p) for p in SOURCES)]
    paths = [path for path in paths if not any(fnmatch.fnmatch(path, p) for p in NO_SOURCES)]
    paths = [path for path in paths if any(fnmatch.fnmatch(path, p) or path.startswith(p + "/") for p in patterns)]
    if arguments.changed:
        command = ["git", "diff", "--name-only", arguments.changed]
        changed = set(subprocess.check_output(command, cwd=root, text=True).split())
        paths = [path for path in paths if path in changed]
    return paths


def try_all(workshop, draw, arguments, equivalents, results, folder):
    """Fills results; returns ids of this run."""
    lines = queue.Queue()
    for mutant in draw.mutants:
        lines.put(mutant)
    counted, ids, start = [0], [], time.monotonic()

    def work(number):
        trial = Trial(workshop, os.path.join(folder, f"tree{number}"))
        while counted[0] < arguments.count and time.monotonic() - start < arguments.minutes * 60:
            try:
                mutant = lines.get_nowait()
            except queue.Empty:
                return
            take(trial, mutant)

    def take(trial, mutant):
        name, source = draw.id_of(mutant), draw.sources[mutant.file]
        row = results.rows.get(name)
        # A survivor is tried again when a test changes, a killed mutant when its source does.
        tests = [workshop.keys[reach.label_of(part)] for part in workshop.tests_for(mutant)]
        states = {"survived": state_of(tests)}
        state = states.get(row["verdict"] if row else "", workshop.hashes[mutant.file])
        if arguments.again or not row or row["state"] != state:
            verdict, why = trial.run(mutant, source)
            row = {"file": mutant.file, "line": mutant.line, "operator": mutant.operator, "function": mutant.function}
            state = states.get(verdict, workshop.hashes[mutant.file])
            row.update(verdict=verdict, why=why, state=state, diff=difference(mutant, source))
        row["line"] = mutant.line
        reason = equivalents.reason(mutant, source)
        row["equivalent"] = reason or ""
        results.rows[name] = row
        if row["verdict"] in ("killed", "survived"):
            counted[0] += 1
            if counted[0] % 20 == 0:
                results.store()
            ids.append(name)
            shown = "equivalent" if row["verdict"] == "survived" and reason else row["verdict"]
            place = f"{mutant.file}:{mutant.line}"
            print(f"{shown:10} {name} {place:42} {mutant.operator:10} {row['why'][:110]}", flush=True)
            if shown == "survived":
                print("\n".join("           " + line for line in row["diff"]), flush=True)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for future in [pool.submit(work, number) for number in range(arguments.jobs)]:
            future.result()
    return ids


def scores(rows):
    table = collections.defaultdict(lambda: [0, 0, 0])
    for row in rows:
        counts = table[row["file"]]
        counts[0] += 1
        counts[1] += row["verdict"] == "killed"
        counts[2] += row["verdict"] == "survived" and bool(row["equivalent"])
    return table


def table_of(rows, known=None, add=False):
    """`known`: counts of files that the rows tell nothing of, or to which the rows' counts are added."""
    text = ["| file | faults | killed | equivalent | score |", "|---|---|---|---|---|"]
    known, found = known or {}, scores(rows)
    if add:
        found = {path: [a + b for a, b in zip(counts, known.get(path, [0, 0, 0]))] for path, counts in found.items()}
    table = dict(sorted({**known, **found}.items()))
    table["all"] = [sum(column) for column in zip(*table.values())] if table else [0, 0, 0]
    for path, (count, killed, same) in table.items():
        text.append(f"| {path} | {count} | {killed} | {same} | {100 * killed / max(count - same, 1):.0f} % |")
    return text


def present_rows(draw, equivalents, results):
    """The verdicts on faults that today's sources still have, with the reasons of today."""
    present = {draw.id_of(mutant): mutant for mutant in draw.mutants}
    found = []
    for name, row in results.rows.items():
        mutant = present.get(name)
        if mutant is not None and row["verdict"] in ("killed", "survived"):
            found.append(dict(row, equivalent=equivalents.reason(mutant, draw.sources[mutant.file]) or ""))
    return found


def counts_in(root, table):
    """The rows of a table about files that are still there."""
    found = re.findall(r"^\| (\S+) \| (\d+) \| (\d+) \| (\d+) \|", table, re.M)
    return {path: [int(n) for n in counts] for path, *counts in found if os.path.isfile(os.path.join(root, path))}


def write_table(root, rows, add=False):
    """Files without a verdict in the results keep what the table had. `add`: so do those with one, and the results are
    other faults, of another draw."""
    path = os.path.join(root, "docs/fuzzing.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(TABLE[0])
    old, _, after = rest.partition(TABLE[1])
    if not after:
        raise Trouble(f"{path} has no place between {TABLE[0]} and {TABLE[1]}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([before + TABLE[0]] + table_of(rows, counts_in(root, old), add) + [TABLE[1] + after]))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Plants small faults and runs the tests that reach them.")
    parser.add_argument("--files", nargs="*", help="files, folders or patterns; all sources unless given")
    parser.add_argument("--changed", help="only files that differ from this revision of git")
    parser.add_argument("--operators", nargs="*", help="only these: lock, atomic, order, swap, ...")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="that may find them: targets or patterns of Bazel")
    parser.add_argument("--slowest", type=float, default=60, help="seconds; longer tests only where no other reaches")
    parser.add_argument("--longest", type=float, default=300, help="seconds of tests for one fault, as measured")
    parser.add_argument("--count", type=int, default=100, help="faults to try")
    parser.add_argument("--minutes", type=float, default=600, help="no fault is begun after")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--most", type=float, default=100, help="percent of survivors above which the run fails")
    parser.add_argument("--again", action="store_true", help="also faults whose verdict is known")
    parser.add_argument("--only", nargs="*", help="these faults, by id")
    parser.add_argument("--list", action="store_true", help="only name the faults, in the order of the draw")
    parser.add_argument("--write", action="store_true", help="the table in docs/fuzzing.md from all known results")
    parser.add_argument("--add", action="store_true", help="to --write: the results are other faults than the table's")
    parser.add_argument("--bazel", action="append", default=[], help="an option for the build")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or sys.exit("mutate: run me by bazel run")
    kept = os.environ.get("RF_FUZZ_DIR") or os.path.expanduser("~/.cache/ringfence/fuzz")
    folder = os.path.join(kept, "mutate")
    os.makedirs(folder, exist_ok=True)
    draw = Draw(root, chosen_paths(root, arguments), arguments.seed)
    if arguments.operators:
        draw.mutants = [mutant for mutant in draw.mutants if mutant.operator in arguments.operators]
    if arguments.only:
        draw.mutants = [mutant for mutant in draw.mutants if draw.id_of(mutant) in arguments.only]
    if arguments.list:
        for mutant in draw.mutants:
            lines = difference(mutant, draw.sources[mutant.file])
            print(draw.id_of(mutant), f"{mutant.file}:{mutant.line}", mutant.operator, *lines)
        return 0
    equivalents = Equivalents(os.path.join(root, EQUIVALENTS))
    equivalents.demand_present(root)
    results = Results(folder)
    if arguments.write:
        write_table(root, present_rows(draw, equivalents, results), arguments.add)
        return 0
    workshop = Workshop(root, folder, arguments)
    labels = sorted({label for path in draw.sources for label in workshop.labels_of(path)})
    workshop.reach.measure(labels, say)
    try:
        ids = try_all(workshop, draw, arguments, equivalents, results, folder)
    finally:
        results.store()
    rows = [results.rows[name] for name in ids]
    print("\n".join(table_of(rows)))
    alive = [(name, results.rows[name]) for name in ids if results.rows[name]["verdict"] == "survived"]
    alive = [(name, row) for name, row in alive if not row["equivalent"]]
    with open(os.path.join(folder, "survivors.txt"), "w", encoding="utf-8") as file:
        for name, row in alive:
            head = f"{row['file']}:{row['line']} {row['operator']} {name} {row['why']}"
            file.write("\n".join([head] + row["diff"]) + "\n")
    print(f"{len(rows)} faults, {len(alive)} survived: {folder}/survivors.txt")
    return 1 if rows and 100 * len(alive) / len(rows) > arguments.most else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, subprocess.CalledProcessError) as trouble:
        print(f"mutate: {trouble}", file=sys.stderr)
        sys.exit(2)
