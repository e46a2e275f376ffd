#!/usr/bin/env python3
"""fuzz/floors.py: what several programs reach of a source counts together, and less than its floor is named."""

import contextlib
import importlib.util
import io
import os
import sys
import tempfile
import unittest

SPEC = importlib.util.spec_from_file_location("floors", sys.argv[1])
floors = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(floors)


def entry(path, branches=()):
    return {"filename": "/build/" + path, "branches": [[line, 1, line, 9, yes, no] for line, yes, no in branches]}


class FloorsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        for path in ("lib/heaps/a.c", "lib/heaps/b_bare.c", "lib/compat/c.c", "checkers/guard/d.c", "tools/e.c"):
            self.write(path, "")
        self.write(floors.FILE, "# a comment\n")

    def write(self, path, text):
        os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, *entries):
        reached = floors.Reached(self.root)
        for one, lines in entries:
            reached.add(one, lines)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            wrong = floors.check(self.root, reached, True)
        return wrong, output.getvalue()

    def whole(self, path):
        return entry(path, [(1, 1, 1)]), {n: 1 for n in range(100)}

    def test_all_is_well_where_all_is_reached(self):
        wrong, _ = self.check(self.whole("lib/heaps/a.c"), self.whole("checkers/guard/d.c"))
        self.assertEqual(wrong, [])

    def test_programs_count_together(self):
        odd, even = {n: n % 2 for n in range(100)}, {n: 1 - n % 2 for n in range(100)}
        guard, heap = self.whole("checkers/guard/d.c"), "lib/heaps/a.c"
        wrong, _ = self.check(guard, (entry(heap, [(1, 1, 0)]), odd), (entry(heap, [(1, 0, 1)]), even))
        self.assertEqual(wrong, [])
        wrong, output = self.check(guard, (entry(heap, [(1, 1, 0)]), odd))
        self.assertEqual(wrong, ["lib/heaps/a.c: 50.0 % of lines, 50.0 % of branches"])
        self.assertIn("not reached: 0 2 4", output)
        self.assertIn("one way only: 1\n", output)

    def test_a_branch_that_goes_one_way_counts(self):
        lines = {n: 1 for n in range(100)}
        wrong, _ = self.check(self.whole("checkers/guard/d.c"), (entry("lib/heaps/a.c", [(1, 1, 0), (2, 1, 1)]), lines))
        self.assertEqual(wrong, ["lib/heaps/a.c: 100.0 % of lines, 75.0 % of branches"])

    def test_a_source_has_a_floor_of_its_own_with_a_reason(self):
        half = (entry("lib/heaps/a.c", [(1, 1, 0)]), {n: n % 2 for n in range(100)})
        self.write(floors.FILE, "lib/heaps/a.c 50 50 the rest is for boards\n")
        wrong, output = self.check(self.whole("checkers/guard/d.c"), half)
        self.assertEqual(wrong, [])
        self.assertIn("50 50 the rest is for boards", output)
        self.write(floors.FILE, "lib/heaps/a.c 51 50 the rest is for boards\n")
        wrong, _ = self.check(self.whole("checkers/guard/d.c"), half)
        self.assertEqual(len(wrong), 1)

    def test_a_source_that_no_fuzzer_has_needs_a_reason(self):
        wrong, _ = self.check(self.whole("checkers/guard/d.c"))
        self.assertEqual(wrong, ["lib/heaps/a.c: no fuzzer has it"])
        self.write(floors.FILE, "lib/heaps/a.c - - too small\n")
        wrong, _ = self.check(self.whole("checkers/guard/d.c"))
        self.assertEqual(wrong, [])

    def test_a_line_without_a_source_or_a_reason_is_wrong(self):
        self.write(floors.FILE, "lib/heaps/gone.c 50 50 was here\n")
        wrong, _ = self.check(self.whole("checkers/guard/d.c"), self.whole("lib/heaps/a.c"))
        self.assertEqual(wrong, [floors.FILE + ": there is no lib/heaps/gone.c"])
        self.write(floors.FILE, "lib/heaps/a.c 50 50\n")
        with self.assertRaises(floors.Broken):
            self.check(self.whole("checkers/guard/d.c"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
