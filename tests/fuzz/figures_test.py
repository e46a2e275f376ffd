#!/usr/bin/env python3
"""fuzz/speed.py and fuzz/coverage.py: what they make of the answers of programs, and the tables that they write."""

import io
import os
import sys
import tempfile
import types
import unittest
import unittest.mock as mock

sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[1])))
import coverage  # pylint: disable=wrong-import-position
import speed  # pylint: disable=wrong-import-position

HEAD = ["| fuzzer | inputs | -O2 | AddressSanitizer |", "|---|---|---|---|"]


def region(line, column, count, has_count=True, is_gap=False):
    return [line, column, count, has_count, True, is_gap]


def entry(name, lines, branches, segments=()):
    pairs = {"lines": lines, "branches": branches}
    summary = {key: {"covered": covered, "count": count} for key, (covered, count) in pairs.items()}
    return {"filename": "/src/lib/heaps/" + name, "summary": summary, "segments": list(segments)}


class Figures(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.printed = io.StringIO()
        what = mock.patch("sys.stdout", self.printed)
        what.start()
        self.addCleanup(what.stop)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def program(self, text, status=0):
        self.write("bin/toy_fuzz_bin", f"#!/bin/sh\necho '{text}' \"$@\"\nexit {status}\n", 0o755)
        return self.path("bin/toy_fuzz_bin")

    # -- Speed --

    def test_a_figure_is_what_the_program_says(self):
        says = "fuzz: 12345 executions per processor second over 67 of 80 inputs"
        self.assertEqual(speed.measure(self.program(says), "toy.seeds", 2.5), (12345, 67))
        self.assertIsNone(speed.measure(self.program(says + " skipped"), "toy.seeds", 1))
        for text, status in ((says, 1), ("nothing", 0)):
            with self.assertRaisesRegex(SystemExit, "speed: toy_fuzz_bin failed:\n" + text[:5]):
                speed.measure(self.program(text, status), "toy.seeds", 1)
        with self.assertRaisesRegex(SystemExit, "--speed=2.5 toy.seeds"):
            speed.measure(self.program("x", 1), "toy.seeds", 2.5)

    def test_figures_have_two_digits(self):
        figures = {0: "0", 7: "7", 99: "99", 123: "120", 996: "1,000", 45678: "46,000", 123456: "120,000"}
        self.assertEqual({figure: speed.rounded(figure) for figure in figures}, figures)

    def test_rows_that_were_not_measured_stay(self):
        rows = ["| gone | 1 | 2 | 3 |", "| kept | 4 | 5 | 6 |", "| new | 0 | 0 | 0 |"]
        text = "\n".join(["before", "", "<!-- speed -->", *HEAD, *rows, "", "after | kept | 9 |", "", ""])
        self.write("docs/fuzzing-results.md", text)
        measured = {"new": "| new | 7 | 8 | 9 |", "alpha": "| alpha | 1 | 1 | 1 |"}
        speed.write_table(self.folder, HEAD, measured, ["alpha", "kept", "new"])
        wanted = ["before", "", "<!-- speed -->", *HEAD, measured["alpha"], rows[1], measured["new"], "",
                  "after | kept | 9 |", "", ""]
        self.assertEqual(self.read("docs/fuzzing-results.md"), "\n".join(wanted))
        self.write("docs/fuzzing-results.md", "nothing\n\n")
        with self.assertRaisesRegex(SystemExit, "has no mark"):
            speed.write_table(self.folder, HEAD, {}, [])
        self.assertEqual(self.read("docs/fuzzing-results.md"), "nothing\n\n")

    def test_speed_as_a_whole(self):
        self.write("docs/fuzzing-results.md", "\n".join(["<!-- speed -->", *HEAD, "| b | 1 | 1 | 1 |", "", ""]))
        figures = {"-O2": {"a": (12345, 3), "b": None}, "asan": {"a": (99, 3), "b": (1000, 4)}}
        built, asked = [], []

        def build(root, names, flags):
            built.append((root, names, flags))
            return "asan" if "--config=asan" in flags else "-O2"

        def measure(program, corpus, seconds):
            folder, _, name = program.split("/")
            asked.append((corpus, seconds))
            return figures[folder][name.removesuffix("_fuzz_bin")]

        def run(*words):
            words = ["speed.py", "a", "b", "--", *words]
            with mock.patch.multiple(speed, build=build, measure=measure), mock.patch.object(sys, "argv", words), \
                    mock.patch.dict(os.environ, BUILD_WORKSPACE_DIRECTORY=self.folder):
                speed.main()

        run("--seconds=3")
        table = [*HEAD, "| a | 3 | 12,000 | 99 |", "| b | 4 |  | 1,000 |"]
        self.assertEqual(self.printed.getvalue(), "\n".join(table) + "\n")
        self.assertEqual([(names, flags) for _, names, flags in built],
                         [(["a", "b"], ["-c", "opt"]), (["a", "b"], ["--config=asan"])])
        self.assertEqual(asked[0], (self.path("fuzz/corpus/a.seeds"), 3))
        self.assertIn("| b | 1 | 1 | 1 |", self.read("docs/fuzzing-results.md"), "not written unless told")
        run("--write", "a")
        self.assertEqual(self.read("docs/fuzzing-results.md").splitlines()[3:5], [table[2], "| b | 1 | 1 | 1 |"])
        self.assertEqual(built[-1][1], ["a"])
        self.assertEqual(asked[-1][1], 1)
        with mock.patch("sys.stderr", io.StringIO()) as said, self.assertRaises(SystemExit) as end:
            run("c")
        self.assertEqual(end.exception.code, 2)
        self.assertIn("no fuzzer c; there are: a, b", said.getvalue())

    # -- Coverage --

    def test_lines_have_the_most_of_their_parts(self):
        segments = [region(1, 1, 3), region(2, 5, 0), region(2, 9, 4), region(4, 1, 7, has_count=False),
                    region(5, 1, 9, is_gap=True), region(6, 1, 0), region(8, 2, 2), region(9, 1, 0, has_count=False),
                    region(10, 1, 1), region(11, 3, 0, has_count=False), region(12, 1, 6), region(12, 8, 1),
                    region(13, 1, 0, has_count=False)]
        got = coverage.executions_by_line({"segments": segments})
        self.assertEqual(got, {1: 3, 2: 4, 3: 4, 6: 0, 7: 0, 8: 2, 10: 1, 11: 1, 12: 6})
        self.assertEqual(coverage.uncovered_lines({"segments": segments}), [6, 7])

    def test_a_harness_has_a_row_for_each_source_and_their_sum(self):
        entries = [entry("a.c", (9, 10), (1, 4)), entry("b.c", (30, 30), (0, 0), [region(1, 1, 0), region(2, 1, 1)])]
        self.assertEqual(coverage.print_harness("toy", entries, 5, False), 97.5)
        rows = [line.split() for line in self.printed.getvalue().splitlines()]
        self.assertEqual(rows, [["heaps/a.c", "toy", "5", "9/10", "90%", "1/4", "25%"],
                                ["heaps/b.c", "toy", "5", "30/30", "100%", "0/0", "0%"],
                                ["in", "sum", "toy", "5", "39/40", "98%", "1/4", "25%"]])
        self.printed.truncate(0)
        self.assertEqual(coverage.print_harness("toy", entries[1:], 5, True), 100)
        self.assertEqual(len(self.printed.getvalue().splitlines()), 2, "no sum of one")
        self.assertIn("  not reached: 1\n", self.printed.getvalue())

    def test_the_words_of_bazel_name_sources_and_those_that_count_for_floors_alone(self):
        wanted, options = coverage.parse_arguments(["a=x.c,y.c", "b", "c=z.c", "--", "--min=95"])
        self.assertEqual((wanted, options.min), ({"a": ["x.c", "y.c"], "c": ["z.c"]}, 95))
        wanted, _ = coverage.parse_arguments(["a=x.c", "b", "--", "--floors"])
        self.assertEqual(wanted, {"a": ["x.c"], "b": [""]})
        wanted, _ = coverage.parse_arguments(["a=x.c", "b=y.c", "--", "b"])
        self.assertEqual(wanted, {"b": ["y.c"]})
        with mock.patch("sys.stderr", io.StringIO()), self.assertRaises(SystemExit):
            coverage.parse_arguments(["a=x.c", "--", "b"])

    def coverage_of(self, percent, *words):
        self.write("fuzz/corpus/toy.seeds", "AAAA\nAAEC\nof-a-bug AAED\n")
        files = [entry("toy.c", (percent, 100), (1, 2)), entry("other.c", (0, 1), (0, 1))]
        argv = ["coverage.py", "toy=heaps/toy.c", "--", *words]
        with mock.patch.multiple(coverage, build=lambda *_: "bin", replay=lambda *_: files), \
                mock.patch.object(sys, "argv", argv), \
                mock.patch.dict(os.environ, BUILD_WORKSPACE_DIRECTORY=self.folder):
            coverage.main()

    def test_less_than_the_least_fails(self):
        self.coverage_of(95, "--min=95")
        row = self.printed.getvalue().splitlines()[1].split()
        self.assertEqual(row[:4], ["heaps/toy.c", "toy", "3", "95/100"], "of the sources that were named, all inputs")
        self.assertNotIn("other.c", self.printed.getvalue())
        with self.assertRaisesRegex(SystemExit, "below 95 % of lines: toy"):
            self.coverage_of(94, "--min=95")
        self.coverage_of(0)

    def test_a_harness_without_its_source_fails(self):
        with mock.patch.object(coverage, "print_harness"), self.assertRaisesRegex(SystemExit, "none of heaps/toy.c is"):
            with mock.patch("fnmatch.fnmatch", return_value=False):
                self.coverage_of(100)

    def test_a_corpus_that_fails_is_told(self):
        with self.assertRaisesRegex(SystemExit, "coverage: toy_fuzz_bin fails on its corpus:\nboom"):
            coverage.replay(self.program("boom", 3), "corpus", self.folder)

    def test_options_of_the_user_win(self):
        with mock.patch.dict(os.environ, ASAN_OPTIONS="a=1"):
            self.assertEqual(coverage.fuzzer_environment()["ASAN_OPTIONS"], "quarantine_size_mb=64:a=1")
        with mock.patch.dict(os.environ):
            os.environ.pop("ASAN_OPTIONS", None)
            self.assertEqual(coverage.fuzzer_environment()["ASAN_OPTIONS"], "quarantine_size_mb=64")

    def test_bazel_is_that_of_the_workspace_and_its_outputs_those_of_the_caller(self):
        self.write("bazelw", "", 0o755)
        with mock.patch.object(sys, "argv", ["/base/execroot/x/coverage.py"]):
            self.assertEqual(coverage.bazel_command(self.folder), [self.path("bazelw"), "--output_base=/base"])
        with mock.patch.object(sys, "argv", ["/somewhere/coverage.py"]):
            self.assertEqual(coverage.bazel_command(self.folder), [self.path("bazelw")])
            os.chmod(self.path("bazelw"), 0o644)
            with mock.patch("shutil.which", lambda name: "/usr/bin/" + name), mock.patch("os.access", lambda *_: False):
                self.assertEqual(coverage.bazel_command(self.folder), ["/usr/bin/bazel"])

    def test_a_build_that_fails_is_told(self):
        with mock.patch("subprocess.run", return_value=types.SimpleNamespace(returncode=1)), \
                mock.patch("sys.stderr", io.StringIO()):
            for part, name in ((speed, "speed"), (coverage, "coverage")):
                words = (self.folder, ["a"], []) if part is speed else (self.folder, ["a"])
                with self.assertRaisesRegex(SystemExit, name + ": the build failed"):
                    part.build(*words)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
