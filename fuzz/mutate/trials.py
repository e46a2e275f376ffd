"""One fault at a time: makes what it changes anew, and runs the tests that reach its line until one fails."""

import collections
import hashlib
import os
import subprocess
import sys

import draws
import reach
import tree

# Tests of the build, of names and of packages say nothing about what code does; some compile sources of their own.
WITHOUT = ["//tests/install/...", "//tests/house/...", "//tests/freestanding/...", "//fuzz/mutate/..."]
WITHOUT_TESTS = ["//fuzz:mutants_test", "//fuzz:seeds_canonical_test"]
TYPES = ["-Werror=int-conversion", "-Werror=incompatible-pointer-types", "-Werror=enum-conversion"]


def bazel_command(root):
    base, execroot, _ = os.path.abspath(sys.argv[0]).partition("/execroot/")
    return [os.path.join(root, "bazelw")] + (["--output_base=" + base] if execroot else [])


def say(text):
    print("mutate: " + text, file=sys.stderr, flush=True)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


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
        return draws.state_of([(path, self.hashes.get(path)) for path in sorted(self.graph.sources[label])])

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
