#!/usr/bin/env python3
"""fuzz/mutate: the faults of each operator, the draw, and trying faults in a small program, without Bazel."""

import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

TOOL = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.dirname(TOOL))

import draws  # pylint: disable=wrong-import-position
import faults  # pylint: disable=wrong-import-position
import reach  # pylint: disable=wrong-import-position
import tree  # pylint: disable=wrong-import-position
import trials  # pylint: disable=wrong-import-position
import verdicts  # pylint: disable=wrong-import-position

# CODE in `static int f(int a, int *p) { CODE }`, the operator, and the code with the fault.
FAULTS = [
    ("x = a < 3;", "boundary", "x = a <= 3;"),
    ("x = a < 3;", "condition", "x = a >= 3;"),
    ("x = a && y;", "condition", "x = a || y;"),
    ("x = 0x10U;", "constant", "x = 0x11U;"),
    ("x = 3;", "constant", "x = 2;"),
    ("ok = true;", "constant", "ok = false;"),
    ("if (a) { g(); }", "negate", "if (!(a)) { g(); }"),
    ("if (g() != 0) { return 1; }", "unchecked", "if (0 && (g() != 0)) { return 1; }"),
    ("if (a) { g(); }", "branch", "if (1 || (a)) { g(); }"),
    ("g(); h();", "statement", "; h();"),
    ("if (a) g();", "statement", "if (a) ;"),
    ("rf_mutex_unlock(&m);", "lock", ";"),
    ("__atomic_store_n(p, 1, __ATOMIC_RELEASE);", "atomic", ";"),
    ("__atomic_store_n(p, 1, __ATOMIC_RELEASE);", "order", "__atomic_store_n(p, 1, __ATOMIC_RELAXED);"),
    ("x = a + 1;", "arithmetic", "x = a - 1;"),
    ("x = a >> 1;", "arithmetic", "x = a << 1;"),
    ("x = !a;", "arithmetic", "x = a;"),
    ("g(a, b(1, 2));", "swap", "g(b(1, 2), a);"),
    ("return a;", "return", "return 0;"),
    ("g();", "early", "return 0;\n  g();"),
]
# No fault at all: not code, or not reached by any operator.
NONE = ["/* a < 3 */", '"a < 3 && b";', "#if A < 3\n#endif\n", "extern int x[4];", "typedef struct s { int a; } s;"]
PROGRAM = {
    "lib/sum.c": '#include "lib/sum.h"\nint sum(int a, int b) {\n  return a + b;\n}\n',
    "lib/sum.h": "int sum(int a, int b);\nstatic inline int twice(int a) {\n  return a * 2;\n}\n",
    "lib/rest.c": "int in_a_child(int a) {\n  return a * 3;\n}\nint nowhere(int a) {\n  return a * 3;\n}\n",
    "tests/t.c": """#include "lib/sum.h"
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>
int in_a_child(int a);
volatile int three = 3;
int main(void) {
  if (fork() == 0) {
    raise(in_a_child(SIGKILL / 3));
  }
  wait(0);
  volatile int six = twice(three);
  return sum(2, 0) != 2 || six != 6;
}
""",
}


def faulty(code, source=None):
    """(operator, text with the fault) of each fault of the function's code."""
    head = "static int f(int a, int *p) { "
    text = source or head + code + " }\n"
    made = faults.make("lib/f.c", text)
    return [(m.operator, m.apply(text)[len(head) : -3] if source is None else m.apply(text)) for m in made]


class Operators(unittest.TestCase):
    def test_each_makes_its_fault(self):
        for code, operator, result in FAULTS:
            with self.subTest(code=code, operator=operator):
                self.assertIn((operator, result), faulty(code))

    def test_nothing_else_is_touched(self):
        for source in NONE:
            with self.subTest(source=source):
                self.assertEqual([], faulty("", source))

    def test_a_definition_s_numbers_change(self):
        self.assertEqual({"#define N 5\n", "#define N 3\n"}, {text for _, text in faulty("", "#define N 4\n")})

    def test_declarations_and_heads_stay(self):
        made = faulty("size_t const n = g(a); for (int i = 0; i < n; i++) { g(i); }")
        dropped = [text for operator, text in made if operator == "statement"]
        self.assertEqual(["size_t const n = g(a); for (int i = 0; i < n; i++) { ; }"], dropped)

    def test_each_function_is_named(self):
        made = faults.make("f.c", "static int f(void) { return g(); }\nbool h(void) { return k(); }\n")
        self.assertEqual({"f", "h"}, {mutant.function for mutant in made})
        self.assertIn("!(k())", [mutant.text for mutant in made])


class Small(unittest.TestCase):
    """A program of two files and its test, with the graph that Bazel would tell of it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = os.path.realpath(scratch.name)
        self.root = os.path.join(self.folder, "root")
        self.execroot = os.path.join(self.folder, "base/execroot/small")
        for path, text in dict(PROGRAM, WORKSPACE="").items():
            self.put(os.path.join(self.root, path), text)
        listing = mock.patch.object(tree, "sources_of", lambda root: sorted(PROGRAM) + ["WORKSPACE"])
        listing.start()
        self.addCleanup(listing.stop)
        os.makedirs(self.execroot + "/external")
        for name in ("lib", "tests", "WORKSPACE"):
            os.symlink(os.path.join(self.root, name), os.path.join(self.execroot, name))
        self.graph = self.build()

    @staticmethod
    def put(path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def build(self):
        out = "bazel-out/k8/bin/"
        data = {"pathFragments": [], "artifacts": [], "depSetOfFiles": [], "targets": [], "actions": []}
        numbers = {}

        def number(path):
            if path not in numbers:
                numbers[path] = len(numbers) + 1
                data["pathFragments"].append({"id": numbers[path], "label": path})
                data["artifacts"].append({"id": numbers[path], "pathFragmentId": numbers[path]})
            return numbers[path]

        def add(mnemonic, arguments, inputs, outputs):
            count = len(data["depSetOfFiles"])
            data["depSetOfFiles"].append({"id": count, "directArtifactIds": [number(path) for path in inputs]})
            row = {"mnemonic": mnemonic, "arguments": arguments, "targetId": 1, "inputDepSetIds": [count]}
            data["actions"].append(dict(row, outputIds=[number(path) for path in outputs]))

        objects = []
        for name in ("lib/sum", "lib/rest", "tests/t"):
            made = [out + name + ".o", out + name + ".d"]
            command = ["gcc", "-g", "-O1", "-I.", "-MD", "-MF", made[1], "-c", name + ".c", "-o", made[0]]
            add("CppCompile", command, [name + ".c", "lib/sum.h"], made)
            objects.append(made[0])
        middleman = "bazel-out/_middlemen/sum"  # stands for headers, and is no file
        add("Middleman", [], ["lib/sum.h"], [middleman])
        command = ["gcc", "-o", out + "tests/t"] + objects + ["@x.params"]
        add("CppLink", command, objects + [middleman], [out + "tests/t"])
        data["targets"].append({"id": 1, "label": "//tests:t"})
        add("TestRunner", ["setup", "tests/t"], [out + "tests/t"], ["bazel-out/k8/testlogs/t"])
        for action in data["actions"][:5]:
            os.makedirs(os.path.join(self.execroot, out, "lib"), exist_ok=True)
            os.makedirs(os.path.join(self.execroot, out, "tests"), exist_ok=True)
            command = [w for w in action["arguments"] if w[0] != "@"] or ["true"]
            subprocess.run(command, cwd=self.execroot, check=True)
        self.put(f"{self.execroot}/{out}tests/t.runfiles_manifest", f"small/tests/t {self.execroot}/{out}tests/t\n")
        return tree.Graph(json.dumps(data), self.execroot, self.root).reach()

    def trial(self):
        workshop = mock.Mock(graph=self.graph, root=self.root, longest=300)
        workshop.tests_for = lambda mutant: ["//tests:t"]
        workshop.reach.seconds = {"//tests:t": 0.1}
        workshop.reach.test_of = self.graph.tests.get
        workshop.reach.blind, workshop.reach.share = set(), lambda part, path: 1
        return trials.Trial(workshop, os.path.join(self.folder, "tree"))

    def verdict(self, path, wanted):
        draw = draws.Draw(self.root, [path], 1)
        mutant = next(m for m in draw.mutants if m.apply(draw.sources[path]) == wanted)
        return self.trial_of_all.run(mutant, draw.sources[path])

    def test_verdicts(self):
        self.trial_of_all = self.trial()
        source, header = PROGRAM["lib/sum.c"], PROGRAM["lib/sum.h"]
        for _ in range(2):  # the tree is put back each time
            self.assertEqual("killed", self.verdict("lib/sum.c", source.replace("return a + b", "return 0"))[0])
            self.assertEqual("survived", self.verdict("lib/sum.c", source.replace("+", "-"))[0])
            self.assertEqual("killed", self.verdict("lib/sum.h", header.replace("* 2", "* 3"))[0])
            for text, verdict in (("int sum(int a, int b) {", "invalid"), (source + "/* */", "same")):
                whole = faults.Mutant("lib/sum.c", "", "", 1, 1, 0, len(source), text)
                self.assertEqual(verdict, self.trial_of_all.run(whole, source)[0])
            whole = faults.Mutant("lib/sum.h", "", "", 1, 1, 0, len(header), header + "/* */")
            self.assertEqual("same", self.trial_of_all.run(whole, header)[0])

    def test_a_header_under_another_path_is_its_source(self):
        """Bazel links the tops of sources into the execution root as it needs them, and maybe none but these."""
        os.unlink(os.path.join(self.execroot, "WORKSPACE"))
        path = "bazel-out/k8/bin/lib/_virtual_includes/sum/sum.h"
        os.makedirs(os.path.dirname(os.path.join(self.execroot, path)))
        os.symlink(os.path.join(self.root, "lib/sum.h"), os.path.join(self.execroot, path))
        self.assertEqual("lib/sum.h", self.graph.real(path))

    def test_a_test_that_fails_anyhow_counts_for_nothing(self):
        trial = self.trial()
        source = PROGRAM["lib/sum.c"]
        with mock.patch.object(trials, "say"), mock.patch.object(trial.tree, "test", lambda *_: ("status 1", 0)):
            fault = faults.Mutant("lib/sum.c", "", "", 1, 1, 0, len(source), source.replace("+", "*"))
            self.assertEqual("survived", trial.run(fault, source)[0])

    def test_a_test_out_of_time_is_asked_twice(self):
        trial = self.trial()
        source = PROGRAM["lib/sum.c"]
        fault = faults.Mutant("lib/sum.c", "", "", 1, 1, 0, len(source), source.replace("+", "*"))
        for second, verdict in ((None, "survived"), ("timeout", "killed"), ("status 1", "killed")):
            with mock.patch.object(trial.tree, "test", side_effect=[("timeout", 11), (second, 0), (None, 0)]):
                self.assertEqual(verdict, trial.run(fault, source)[0])

    def test_a_test_that_fails_where_lines_are_counted_may_reach_any(self):
        def made():
            return reach.Reach(self.graph, self.root, self.folder, {"//tests:t": "state"})

        first = made()
        with mock.patch.object(tree.Tree, "test", side_effect=[("status 1", 0.1), (None, 2.5)]):
            first.measure(["//tests:t"], lambda text: None)
        for each in (first, made()):
            self.assertEqual(({"//tests:t"}, 2.5), (each.blind, each.seconds["//tests:t"]))
        workshop = trials.Workshop.__new__(trials.Workshop)
        workshop.graph, workshop.reach, workshop.slowest = self.graph, first, 60
        workshop.reach.lines["//tests:other"] = {"lib/sum.c": {1, 2, 3}}
        fault = faults.Mutant("lib/sum.c", "", "", 2, 1, 0, 0, "")
        self.assertEqual(["//tests:t"], workshop.tests_for(fault))

    def test_lines_are_those_that_run_in_any_process(self):
        found = reach.Reach(self.graph, self.root, self.folder, {"//tests:t": "state"})
        found.measure(["//tests:t"], lambda text: None)
        lines = found.lines["//tests:t"]
        self.assertEqual(set(), found.blind)
        self.assertTrue(3 in lines["lib/sum.c"] and 3 in lines["lib/sum.h"])
        self.assertTrue(2 in lines["lib/rest.c"] and 5 not in lines["lib/rest.c"])

    def test_a_case_is_a_part_of_its_test(self):
        program = os.path.join(self.folder, "cases")
        self.put(program, "#!/bin/sh\n# --gtest_list_tests\necho 'Main\nA.\n  B\n  DISABLED_C\nD/0.  # x\n  E  # y'\n")
        os.chmod(program, 0o700)
        self.assertEqual(["A.B", "D/0.E"], reach.parts_of(program, [], self.folder))
        self.put(program, "#!/usr/bin/env python3\nfrom service import main\nmain([])\n")
        listing = 'import sys\nasked = sys.argv[2:] == ["--gtest_list_tests"]\n'
        listing += 'def main(_):\n    print("Service.\\n  one" if asked else "")\n'
        self.put(os.path.join(self.folder, "service.py"), listing)
        self.assertEqual(["Service.one"], reach.parts_of(program, ["a word of its own"], self.folder))
        found = reach.Reach(self.graph, self.root, self.folder, {"//tests:t": "state"})
        part = found.test_of("//tests:t --gtest_filter=A.B")
        self.assertEqual(("//tests:t", ["--gtest_filter=A.B"]), (part.label, part.arguments))

    def test_a_test_starts_with_signals_as_they_are_by_default(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        copy = tree.Tree(self.graph, self.root, os.path.join(self.folder, "copy")).make()
        found, _ = copy.test(self.hangs_up(copy), 5)
        self.assertIn("status -1", found or "it ended well")

    @staticmethod
    def hangs_up(copy):
        test = tree.Test("//tests:t", "small-out/bin/hangs_up", [])
        path = os.path.join(copy.lay_out(test), "hangs_up")
        Small.put(path, "#!/bin/sh\nkill -HUP $$\n")
        os.chmod(path, 0o700)
        return test

    def test_only_what_depends_on_a_file_is_made_again(self):
        again = self.graph.affected("//tests:t", ["lib/sum.c"])
        self.assertEqual(["CppCompile", "CppLink"], [action.mnemonic for action in again])
        self.assertEqual(4, len(self.graph.affected("//tests:t", ["lib/sum.h"])))
        self.assertEqual([], self.graph.affected("//tests:t", ["WORKSPACE"]))


class DrawAndLists(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        text = "int f(int a) {\n" + "  g(a < 3, a + 1);\n" * 20 + "  return a;\n}\n"
        for name in "ab":
            Small.put(f"{self.root}/lib/{name}.c", text)

    def draw(self, seed=1):
        return draws.Draw(self.root, ["lib/a.c", "lib/b.c"], seed)

    def test_a_seed_says_all(self):
        self.assertEqual(self.draw().mutants, self.draw().mutants)
        self.assertNotEqual(self.draw().mutants, self.draw(2).mutants)
        self.assertEqual(len(set(self.draw().mutants)), len(self.draw().mutants))

    def test_faults_of_equal_lines_are_told_apart(self):
        draw = self.draw()
        self.assertEqual(len(draw.mutants), len({draw.id_of(mutant) for mutant in draw.mutants}))

    def test_files_and_operators_share(self):
        first = self.draw().mutants[:20]
        by_file = collections.Counter(mutant.file for mutant in first)
        self.assertLess(abs(by_file["lib/a.c"] - by_file["lib/b.c"]), 8)
        self.assertLess(4, len({mutant.operator for mutant in first}))

    def test_equivalents_are_known_by_function_and_lines(self):
        path = os.path.join(self.root, "equivalents.txt")
        Small.put(path, "# one\n\nequivalent: none sees it\nfile: lib/a.c\nin: f\n- return a;\n+ return 0;\n")
        known, draw = draws.Equivalents(path), self.draw()
        explained = [m for m in draw.mutants if known.reason(m, draw.sources[m.file]) == "none sees it"]
        self.assertEqual([("lib/a.c", "return")], [(m.file, m.operator) for m in explained])
        Small.put(path, "equivalence: x\n")
        self.assertRaises(draws.Trouble, draws.Equivalents, path)

    def test_an_equivalent_without_its_fault_is_an_error(self):
        path = os.path.join(self.root, "equivalents.txt")
        entry = "equivalent: none sees it\nfile: lib/a.c\nin: f\n- return a;\n+ return 0;\n\n"
        Small.put(path, entry)
        draws.Equivalents(path).demand_present(self.root)
        for old, new in (("a.c", "gone.c"), ("in: f", "in: g"), ("- return a;", "- return b;"), ("+ return 0;", "+ ;")):
            with self.subTest(new=new):
                Small.put(path, entry + entry.replace(old, new))
                with self.assertRaisesRegex(draws.Trouble, "equivalents.txt:7: lib/.* has no such fault"):
                    draws.Equivalents(path).demand_present(self.root)
        for text in (entry * 2, entry.replace("in: f\n", ""), entry.replace("+ return 0;\n", "")):
            Small.put(path, text)
            self.assertRaises(draws.Trouble, draws.Equivalents, path)

    def test_each_equivalent_has_its_fault_in_the_sources(self):
        root = os.getcwd()
        known = draws.Equivalents(os.path.join(root, draws.EQUIVALENTS))
        self.assertLess(50, len(known.entries))
        known.demand_present(root)

    def test_only_faults_that_are_still_there_count(self):
        draw = self.draw()
        name = next(draw.id_of(m) for m in draw.mutants if m.file == "lib/a.c" and m.operator == "return")
        row = {"file": "lib/a.c", "verdict": "survived", "equivalent": ""}
        results = mock.Mock(rows={name: row, "of old": row, draw.id_of(draw.mutants[0]): dict(row, verdict="invalid")})
        path = os.path.join(self.root, "equivalents.txt")
        Small.put(path, "equivalent: none sees it\nfile: lib/a.c\nin: f\n- return a;\n+ return 0;\n")
        rows = verdicts.present_rows(draw, draws.Equivalents(path), results)
        self.assertEqual([dict(row, equivalent="none sees it")], rows)

    def test_the_table_counts(self):
        row = {"file": "lib/a.c", "verdict": "killed", "equivalent": ""}
        rows = [row, row, dict(row, verdict="survived"), dict(row, verdict="survived", equivalent="why")]
        self.assertIn("| lib/a.c | 4 | 2 | 1 | 67 % |", verdicts.table_of(rows))
        self.assertIn("| lib/a.c | 1 | 0 | 1 |  |", verdicts.table_of(rows[3:]))
        page = os.path.join(self.root, "docs/fuzzing-results.md")
        old = ["| lib/a.c | 9 | 9 | 0 | 100 % |", "| lib/b.c | 5 | 1 | 1 | 25 % |", "| lib/gone.c | 1 | 1 | 0 | 1 % |"]
        old.append("| all | 21 | 17 | 1 | 85 % |")
        Small.put(page, "\n".join(["before", verdicts.TABLE[0]] + old + [verdicts.TABLE[1], ""]))
        verdicts.write_table(self.root, rows)
        with open(page, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(["| lib/a.c | 4 | 2 | 1 | 67 % |", old[1], "| all | 9 | 3 | 2 | 43 % |"], lines[4:7])
        verdicts.write_table(self.root, rows, add=True)
        with open(page, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(["| lib/a.c | 8 | 4 | 2 | 67 % |", old[1], "| all | 13 | 5 | 3 | 50 % |"], lines[4:7])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
