"""The lines of each source that each test reaches, by gcov: a test that does not come by cannot find a fault there."""

import glob
import json
import os
import subprocess

import tree

SOURCES = ("lib/", "checkers/", "tools/")


def coverage_flags(action):
    """As Bazel compiles, and counting; tests, too: what headers define is compiled there."""
    words = action.arguments
    if action.mnemonic == "CppCompile" and words[words.index("-c") + 1].startswith(SOURCES + ("tests/", "fuzz/")):
        return [w for w in words if w not in ("-O2", "-Werror")] + ["-O0", "--coverage"]
    return words + ["--coverage"] if action.mnemonic == "CppLink" and "-o" in words else words


class Reach:
    """Measured once for each state of a test and of its sources; kept in a file."""

    def __init__(self, graph, root, folder, keys):
        self.tree = tree.Tree(graph, root, os.path.join(folder, "coverage"), coverage_flags)
        self.graph = graph
        self.kept = os.path.join(folder, "reach.json")
        self.lines, self.seconds = {}, {}
        self.blind = set()  # tests that fail where lines are counted, as of what replaces malloc: they may reach any
        self.made = False
        self.done = set()
        if os.path.exists(self.kept):
            with open(self.kept, encoding="utf-8") as file:
                kept = json.load(file)
            for label, lines in kept["lines"].items():
                if kept["keys"][label] == keys.get(label):
                    self.lines[label] = {path: set(numbers) for path, numbers in lines.items()}
                    self.seconds[label] = kept["seconds"][label]
                    self.blind.update({label} & set(kept.get("blind", [])))
        self.keys = keys

    def measure(self, labels, say):
        missing = [label for label in labels if label not in self.lines]
        if missing and not self.made:
            say("copying the build, to measure coverage")
            self.tree.make()
            self.made = True
        for number, label in enumerate(missing, 1):
            self._measure(label)
            say(f"coverage: {number} of {len(missing)}: {label}, {self.seconds[label]:.1f} s")
        if missing:
            with open(self.kept, "w", encoding="utf-8") as file:
                lines = {t: {f: sorted(n) for f, n in found.items()} for t, found in self.lines.items()}
                keys = {label: self.keys[label] for label in lines}
                kept = {"keys": keys, "lines": lines, "seconds": self.seconds, "blind": sorted(self.blind)}
                json.dump(kept, file)

    def _measure(self, label):
        for action in self.graph.order[label]:
            if id(action) in self.done or coverage_flags(action) == action.arguments and not self._counts(action):
                continue
            self.done.add(id(action))
            try:
                self.tree.run(action)
            except tree.Broken:
                if action.mnemonic != "CppCompile":
                    raise
                self.tree.put_back(action)  # outside of its sandbox it sees other files: it stays uncounted
        found = {}
        failed, self.seconds[label] = self.tree.test(self.graph.tests[label], 900)
        if failed:
            self.blind.add(label)
            as_built = tree.Tree(self.graph, self.tree.root, self.graph.execroot)
            _, self.seconds[label] = as_built.test(self.graph.tests[label], 900)
        data = glob.glob(os.path.join(glob.escape(self.tree.folder), "bazel-out/**/*.gcda"), recursive=True)
        for part in range(0, len(data), 50):
            self._read(data[part : part + 50], found)
        for path in data:
            os.unlink(path)
        self.lines[label] = found

    @staticmethod
    def _counts(action):
        """Archives and what is made of programs follow from what counts."""
        return action.mnemonic in ("CppLink", "Genrule", "CcStrip")

    def _read(self, data, found):
        command = ["gcov", "--json-format", "--stdout"] + data
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        done = subprocess.run(command, cwd=self.tree.folder, check=False, **output)
        for text in done.stdout.decode(errors="replace").splitlines():
            if not text.startswith("{"):
                continue
            for entry in json.loads(text)["files"]:
                name = self.graph.real(os.path.relpath(os.path.join(self.tree.folder, entry["file"]), self.tree.folder))
                reached = {line["line_number"] for line in entry["lines"] if line["count"]}
                if reached and name.startswith(SOURCES):
                    found.setdefault(name, set()).update(reached)
