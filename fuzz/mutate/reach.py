"""The lines of each source that each test reaches, in all its processes: a test that does not come by cannot find a
fault there.

The sources are compiled with -fsanitize-coverage=trace-pc and linked with reached.c, which marks each basic block that
runs in a file per program or library. The lines of a block are those that the debug information gives its instructions.
A slow test that lists its cases is measured, and run, case by case: the name of such a part is the test's and a filter.
"""

import hashlib
import json
import os
import re
import struct
import subprocess

import tree

SOURCES = ("lib/", "checkers/", "tools/")
MARK = "__sanitizer_cov_trace_pc"
BYTES_PER_MARK = 4  # as in reached.c
SLOW = 2.0  # seconds above which a test is taken apart, as is one that fails as a whole
LONGEST = 120  # seconds; marks keep some loops that single steps drive from their end
PLACE = re.compile(r"(?:/proc/self/cwd/)?([^ ]+):(\d+)( \(discriminator \d+\))?$")
FILTER = " --gtest_filter="
# Programs of GoogleTest, and scripts that take its options by tests/service/service.py.
LISTS_CASES = (b"--gtest_list_tests", b"\nfrom service import ")


def label_of(part):
    """The test that a part belongs to."""
    return part.split(" ")[0]


def parts_of(program, arguments, cwd):
    """The cases of a program that lists them, by the names that a filter takes."""
    with open(program, "rb") as file:
        text = file.read()
    if not any(mark in text for mark in LISTS_CASES):
        return []
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    done = subprocess.run([program, *arguments, "--gtest_list_tests"], cwd=cwd, check=False, **output)
    found, suite = [], ""
    for line in done.stdout.splitlines():
        name = line.split("#")[0].strip()
        if line[:2] != "  ":
            suite = name if name.endswith(".") else ""
        elif suite and "DISABLED_" not in suite + name:
            found.append(suite + name)
    return found


def base_of(module):
    """The address of the first byte of a file of ELF, as its symbols count."""
    with open(module, "rb") as file:
        head = file.read(1 << 12)
    (at,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    segments = [struct.unpack_from("<IIQQ", head, at + i * size) for i in range(count)]
    return min(address - offset for kind, _, offset, address in segments if kind == 1)


class Reach:
    """Measured once for each state of a test and of its sources; kept in a file."""

    def __init__(self, graph, root, folder, keys):
        self.marks = os.path.join(folder, "marks")
        self.hook = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reached.c")
        self.tree = tree.Tree(graph, root, os.path.join(folder, "coverage"), self.flags)
        self.graph = graph
        self.kept = os.path.join(folder, "reach.json")
        self.lines, self.seconds = {}, {}
        self.blind = set()  # parts that fail where lines are marked: they may reach any
        self.parts = {}  # of each test
        self.blocks = {}  # of each program or library: (place, lines) of each block
        self.modules = {}  # by the name of the file of marks
        self.made = False
        self.done = set()
        self.keys = keys
        if os.path.exists(self.kept):
            with open(self.kept, encoding="utf-8") as file:
                self._read(json.load(file))

    def _read(self, kept):
        for part, lines in kept["lines"].items():
            label = label_of(part)
            if label in self.keys and kept["keys"].get(label) == self.keys[label]:
                self.parts.setdefault(label, []).append(part)
                self.lines[part] = {path: set(numbers) for path, numbers in lines.items()}
                self.seconds[part] = kept["seconds"][part]
                self.blind.update({part} & set(kept["blind"]))

    def flags(self, action):
        """As Bazel makes it, and marking; tests, too: what headers define is compiled there."""
        words = action.arguments
        if action.mnemonic == "CppCompile" and words[words.index("-c") + 1].startswith(SOURCES + ("tests/", "fuzz/")):
            return [w for w in words if w != "-Werror"] + ["-fsanitize-coverage=trace-pc"]
        if action.mnemonic == "CppLink" and "-o" in words:
            output = words[words.index("-o") + 1]
            name = os.path.join(self.marks, hashlib.sha256(output.encode()).hexdigest()[:16])
            self.modules[name] = output
            return words + ["-x", "c", self.hook, "-O2", "-fPIC", "-fvisibility=hidden", f'-DRF_REACHED_FILE="{name}"']
        return words

    def measure(self, labels, say):
        missing = [label for label in labels if label not in self.parts]
        if missing and not self.made:
            say("copying the build, to measure what tests reach")
            self.tree.make()
            self.made = True
        os.makedirs(self.marks, exist_ok=True)
        for number, label in enumerate(missing, 1):
            self._measure(label)
            parts = self.parts[label]
            seconds = sum(self.seconds[part] for part in parts)
            say(f"reach: {number} of {len(missing)}: {label}, {len(parts)} parts, {seconds:.1f} s")
            self._store()

    def _store(self):
        with open(self.kept + ".new", "w", encoding="utf-8") as file:
            lines = {t: {f: sorted(n) for f, n in found.items()} for t, found in self.lines.items()}
            kept = {"keys": {label: self.keys[label] for label in self.parts}, "lines": lines}
            json.dump(dict(kept, seconds=self.seconds, blind=sorted(self.blind)), file)
        os.replace(self.kept + ".new", self.kept)

    def _measure(self, label):
        for action in self.graph.order[label]:
            if id(action) in self.done or self.flags(action) == action.arguments and not self._counts(action):
                continue
            self.done.add(id(action))
            try:
                self.tree.run(action)
            except tree.Broken:
                if action.mnemonic != "CppCompile":
                    raise
                self.tree.put_back(action)  # outside of its sandbox it sees other files: it stays unmarked
        self._forget()
        failed, seconds = self._take(label)
        cases = []
        if failed or seconds > SLOW:
            test = self.graph.tests[label]
            program = os.path.join(self.tree.folder, test.program)
            cases = parts_of(program, test.arguments, self.tree.lay_out(test))
        self.parts[label] = [label] if len(cases) < 2 else [label + FILTER + case for case in cases]
        if len(cases) >= 2:
            for part in self.parts[label]:
                failed, _ = self._take(part)
                self._settle(part, failed)
            del self.lines[label], self.seconds[label]
        else:
            self._settle(label, failed)

    def _settle(self, part, failed):
        """Marking takes time, and a part may fail by it: such have the time that they take as built."""
        if failed:
            self.blind.add(part)
        if failed or self.seconds[part] > SLOW:
            as_built = tree.Tree(self.graph, self.tree.root, self.graph.execroot)
            _, self.seconds[part] = as_built.test(self.test_of(part), LONGEST)

    def _take(self, part):
        failed, self.seconds[part] = self.tree.test(self.test_of(part), LONGEST)
        self.lines[part] = self._reached()
        self._forget()
        return failed, self.seconds[part]

    def share(self, part, path):
        """How much of all lines that it reaches are the file's: a test of few things sees most of them."""
        found = self.lines.get(part, {})
        return len(found.get(path, ())) / max(sum(map(len, found.values())), 1)

    def test_of(self, part):
        test = self.graph.tests[label_of(part)]
        extra = [part.partition(" ")[2]] if part != test.label else []
        return test._replace(arguments=test.arguments + extra)

    @staticmethod
    def _counts(action):
        """Archives and what is made of programs follow from what marks."""
        return action.mnemonic in ("CppLink", "Genrule", "CcStrip")

    def _forget(self):
        for name in os.listdir(self.marks):
            os.unlink(os.path.join(self.marks, name))

    def _reached(self):
        found = {}
        for name in os.listdir(self.marks):
            path = os.path.join(self.marks, name)
            module = self.modules[path]
            if module not in self.blocks:
                self.blocks[module] = self._blocks_of(os.path.join(self.tree.folder, module))
            with open(path, "rb") as file:
                marks = file.read()
            for place, lines in self.blocks[module]:
                if place < len(marks) and marks[place]:
                    for source, number in lines:
                        found.setdefault(source, set()).add(number)
        return found

    def _blocks_of(self, module):
        """(place of its mark, lines) of each block: from a call that marks to the next one."""
        command = ["objdump", "-d", "-l", "--no-show-raw-insn", "-j", ".text", module]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, errors="replace").stdout
        base, folder = base_of(module), os.path.realpath(self.tree.folder) + "/"
        blocks, lines, line, marked = [], set(), None, False
        for row in text.splitlines():
            place = PLACE.match(row)
            if place:
                name = self.graph.real(os.path.normpath(place.group(1).removeprefix(folder)))
                line = (name, int(place.group(2))) if name.startswith(SOURCES) else None
            elif row.endswith(">:"):
                lines, line, marked = set(), None, False
            elif row.startswith(" ") and ":\t" in row:
                if marked:
                    lines = set()
                    blocks.append(((int(row.split(":")[0], 16) - base) // BYTES_PER_MARK, lines))
                marked = f"<{MARK}" in row
                if line and not marked:
                    lines.add(line)
        return blocks
