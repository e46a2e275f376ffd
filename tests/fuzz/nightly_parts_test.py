#!/usr/bin/env python3
"""fuzz/nightly.py, a part at a time: who has the next turn, what a turn makes of its fuzzer's end, what is saved and
goes on, what becomes of findings and corpora, and the words of the reports."""

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
import types
import unittest
import unittest.mock as mock
import xml.etree.ElementTree

TOOL = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.dirname(TOOL))
import ledger  # pylint: disable=wrong-import-position
import nightly  # pylint: disable=wrong-import-position
import nightly_report  # pylint: disable=wrong-import-position

OPERATION = "   1: p1 = rf_alloc(a, 58)\n   2: rf_free(a, p1)\n"
RULE = OPERATION + "fuzz: toy: operation 2, rf_free(a, p1)\n  overlap: p1 overlaps p0\n"


class Night(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("root/fuzz/corpus", "programs", "kept"):
            os.makedirs(self.path(name))
        for name in ("one", "two"):
            self.write("root/fuzz/corpus/" + name + ".seeds", "of-a-bug AAAA\nAAEC\n")
        self.said = []
        self.commands = []
        for what in (mock.patch.object(nightly.Night, "say", lambda _, text: self.said.append(text)),
                     mock.patch("builtins.print")):
            what.start()
            self.addCleanup(what.stop)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text, executable=False):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), 0o755 if executable else 0o644)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def night(self, names=("one", "two"), **more):
        given = {"hours": 1, "jobs": 1, "turn": 60, "keep_corpora": False, "anew": False, "executions": 0,
                 "write": False, "programs": self.path("programs"), "known": list(names)}
        night = nightly.Night(self.path("root"), self.path("kept"), types.SimpleNamespace(**{**given, **more}), names)
        night.build()
        return night

    def turn(self, night, answer, makes=()):
        """One turn of the first fuzzer, whose program answers so and makes these files in its folder."""
        fuzzer = night.fuzzers[0]

        def run(command, patience):
            self.commands.append((command, patience))
            if "-minimize_crash=1" not in command:
                for name in makes:
                    self.write(os.path.join("kept/one_fuzz", name), "x")
                return answer
            return 0, "", 0.0

        night.run = run
        night.turn(fuzzer)
        return fuzzer

    # -- Whose turn it is --

    def test_who_finds_has_three_turns_for_one(self):
        one, two = nightly.Fuzzer("one", ""), nightly.Fuzzer("two", "")
        one.add_turn(20, 5, 9, 4)
        two.add_turn(10, 5, 9, 0)
        self.assertLess(one.due(), two.due())
        one.add_turn(20, 7, 3, 0)
        self.assertGreater(one.due(), two.due())
        self.assertEqual((one.record["executions"], one.record["edges"], one.record["turns"]), (12, 9, 2))
        self.assertEqual((one.record["new"], one.record["seconds"]), (0, 40))
        self.assertEqual(one.record["history"], [[20, 9, 5], [40, 9, 12]])

    def test_the_idle_one_that_is_due_has_the_next_turn(self):
        night = self.night()
        one, two = night.fuzzers
        one.add_turn(10, 1, 1, 0)
        self.assertIs(night.next_fuzzer(), two)
        self.assertIs(night.next_fuzzer(), one, "the other one is busy")
        self.assertIsNone(night.next_fuzzer())
        one.busy = two.busy = False
        two.troubles = ["a", "b"]
        self.assertIs(night.next_fuzzer(), two, "two troubles are not three")
        two.busy = False
        two.troubles.append("c")
        self.assertIs(night.next_fuzzer(), one)

    def test_towards_a_number_of_executions(self):
        night = self.night(executions=1000)
        one, two = night.fuzzers
        self.assertEqual(night.due(one), 0, "a turn for each first")
        night.ledger.fuzzers = {"one": {"executions": 990, "clean": 990, "edges": 1},
                                "two": {"executions": 10, "clean": 10, "edges": 1}}
        one.add_turn(100, 100, 1, 0)
        two.add_turn(1, 100, 1, 0)
        self.assertEqual((night.lacks(one), night.lacks(two)), (10, 990))
        self.assertAlmostEqual(night.due(one), 10)
        self.assertAlmostEqual(night.due(two), 9.9)
        night.ledger.fuzzers["one"] = {"executions": 5000, "clean": 150, "edges": 1}
        self.assertEqual(night.lacks(one), 50, "the last fifth is clean")
        night.ledger.fuzzers["one"]["clean"] = 200
        self.assertTrue(night.is_done(one))
        self.assertFalse(self.night().is_done(one), "without a number there is no end")
        whole = nightly.Fuzzer("dropin_threads", "")
        self.assertEqual(night.lacks(whole), 40)

    # -- A turn --

    def test_a_turn_is_no_longer_than_the_rest_of_the_night(self):
        night = self.night(hours=30 / 3600)
        fuzzer = self.turn(night, (0, "#5 NEW cov: 3\n#77 DONE cov: 9", 2.5), ["corpus/a", "corpus/b"])
        command, patience = self.commands[0]
        length = int(next(word for word in command if word.startswith("-max_total_time=")).split("=")[1])
        self.assertIn(length, range(20, 31))
        self.assertEqual(patience, length + 100)
        self.assertEqual([fuzzer.record[name] for name in ("executions", "edges", "new", "seconds")], [77, 9, 2, 2.5])
        self.assertEqual(night.ledger.fuzzers["one"], {"executions": 77, "clean": 77, "edges": 9})
        self.turn(night, (0, "#7 DONE cov: 4", 1), ["corpus/c"])
        self.assertEqual(fuzzer.record["new"], 1, "those of this turn alone")
        self.assertEqual(night.ledger.fuzzers["one"], {"executions": 84, "clean": 84, "edges": 9})
        self.assertEqual(sorted(os.listdir(fuzzer.path("stored")))[-1], "of-a-bug")
        self.assertEqual(fuzzer.troubles, [])

    def test_the_end_of_a_turn_is_told(self):
        cases = (((None, "", 1), "hung for 100 seconds and was killed"), ((-9, "", 1), "was killed by signal 9"),
                 ((1, "", 1), "ended with status 1: no output"), ((3, "a\nb\n", 1), "ended with status 3: b"),
                 ((1, "write: No space left on device\nx", 1), "the disk is full"), ((0, "", 1), None))
        for answer, words in cases:
            fuzzer = self.turn(self.night(), answer)
            self.assertEqual(fuzzer.troubles, [words] if words else [], answer)
        self.assertIn("one: was killed by signal 9; its inputs are kept", self.said)
        night = self.night()
        night.stopping.set()
        self.assertEqual(self.turn(night, (-2, "", 1)).troubles, [], "it was told to end")

    def test_findings_of_a_turn_are_kept_and_no_troubles(self):
        self.write("programs/one_fuzz_bin", "#!/bin/sh\ncat <<'END'\n" + RULE + "END\nexit 1\n", True)
        night = self.night()
        fuzzer = self.turn(night, (77, "#10 DONE cov: 7", 1), ["findings/crash-1"])
        self.assertEqual([f["key"] for f in fuzzer.findings], ["overlap rf_free"])
        self.assertEqual(fuzzer.findings[0]["input"], fuzzer.path("findings", "crash-1"), "no smaller one was made")
        self.assertEqual((fuzzer.troubles, night.ledger.clean("one")), ([], 0))
        self.assertIn("nightly-overlap-rf-free eA==\n", self.read("root/fuzz/corpus/one.seeds"))
        night.ledger.add("one", 50, 7, [])
        self.turn(night, (0, "#10 DONE cov: 7", 1))
        self.assertEqual((len(fuzzer.findings), night.ledger.clean("one")), (1, 60), "it is not found again")
        self.turn(night, (77, "#10 DONE cov: 7", 1), ["findings/crash-2", "findings/crash-2.min"])
        self.assertEqual(len(fuzzer.findings), 1, "of the same rule and operation")
        other = self.night(anew=True)
        self.write("kept/one_fuzz/other", "y")
        other.run = lambda command, patience: (0, "", 0)
        other.keep_finding(other.fuzzers[0], "plain", self.path("kept/one_fuzz/other"), "")
        self.assertEqual(len(other.fuzzers[0].findings), 1)
        self.assertTrue(any("one: " in line and "the new one is " in line for line in self.said), self.said)

    def test_an_input_that_hangs_is_a_finding(self):
        night = self.night()
        self.write("programs/one_fuzz_bin", "#!/bin/sh\nexec sleep 20\n", True)
        with mock.patch.object(nightly, "SLOWEST", 0.2):
            described = night.describe(self.path("programs/one_fuzz_bin"), "x")
        self.assertEqual(described, ("hangs", "an input that hangs", []))
        self.write("programs/one_fuzz_bin", "#!/bin/sh\nexit 0\n", True)
        self.assertIsNone(night.describe(self.path("programs/one_fuzz_bin"), "x"))

    def test_a_program_that_does_not_end_is_killed(self):
        there = self.path("there")
        self.write("programs/one_fuzz_bin", f"#!/bin/sh\necho began\n: >{there}\nsleep 20 & wait\n", True)
        began = time.monotonic()
        seconds_since = itertools.count(1)  # it began: until then no time passes
        with mock.patch.object(nightly.time, "time", lambda: next(seconds_since) if os.path.exists(there) else 0):
            status, output, seconds = self.night().run([self.path("programs/one_fuzz_bin")], 0.5)
        self.assertEqual((status, output), (None, "began\n"))
        self.assertLess(time.monotonic() - began, 15)
        self.assertLess(seconds, 5)
        self.write("programs/one_fuzz_bin", "#!/bin/sh\nkill -TERM $$\n", True)
        self.assertEqual(self.night().run([self.path("programs/one_fuzz_bin")], 30)[0], -15)

    def test_a_full_disk_is_a_trouble(self):
        night = self.night(("one",))
        fails = iter([OSError(28, "No space left on device"), OSError(5, "Input/output error")])

        def turn(fuzzer):
            error = next(fails, None)
            if error is None:
                night.stopping.set()
                return
            raise error

        night.turn, night.show = turn, lambda fuzzer: None
        night.work()
        self.assertEqual(night.fuzzers[0].troubles, ["the disk is full", "[Errno 5] Input/output error"])
        self.assertFalse(night.fuzzers[0].busy)
        full = self.night(("one",))
        with mock.patch.object(nightly, "LEAST_FREE", 1 << 62):
            full.work()
        self.assertTrue(full.stopping.is_set() and "no input is lost" in self.said[-1], self.said)

    def test_as_many_run_at_once_as_there_are_jobs(self):
        night = self.night(jobs=2)
        both = threading.Barrier(2)

        def turn(fuzzer):
            both.wait(20)
            night.stopping.set()
            fuzzer.troubles.append("told")

        night.turn, night.show = turn, lambda fuzzer: None
        with mock.patch("signal.signal") as handlers:
            self.assertEqual(night.all(), 1)
        self.assertEqual({call.args[0] for call in handlers.call_args_list}, {signal.SIGINT, signal.SIGTERM})
        self.assertEqual([fuzzer.troubles for fuzzer in night.fuzzers], [["told"], ["told"]])

    def test_an_interrupt_reaches_the_programs(self):
        self.write("programs/one_fuzz_bin", "#!/bin/sh\ntrap 'exit 7' INT\nsleep 20 & wait\n", True)
        night = self.night()
        ends = []
        thread = threading.Thread(target=lambda: ends.append(night.run([self.path("programs/one_fuzz_bin")], 30)[0]))
        thread.start()
        while thread.is_alive():
            night.interrupt()
            time.sleep(0.05)
        self.assertIn(ends, ([7], [-signal.SIGINT]))
        self.assertTrue(night.stopping.is_set())

    # -- What goes on --

    def test_a_rerun_goes_on_with_all_that_was_found(self):
        night = self.night()
        night.fuzzers[0].add_turn(5, 6, 7, 8)
        night.fuzzers[0].findings = [{"key": "k", "name": "n", "words": "w", "build": "plain", "input": "i"}]
        night.fuzzers[1].troubles = ["hung"]
        night.began -= 1800
        night.save()
        again = self.night()
        self.assertIn("resuming: 0.50 of 1 hours were done", self.said[-1])
        self.assertEqual(again.fuzzers[0].record, night.fuzzers[0].record)
        self.assertEqual(again.fuzzers[0].findings, night.fuzzers[0].findings)
        self.assertEqual(again.fuzzers[1].troubles, ["hung"])
        self.assertAlmostEqual(again.spent(), 1800, delta=20)
        again.began -= 10
        self.assertAlmostEqual(again.spent(), 1810, delta=20)
        for more in ({"anew": True}, {"hours": 2}):
            self.assertEqual(self.night(**more).fuzzers[0].record["turns"], 0, more)

    def test_the_end_of_a_night(self):
        for interrupted, keep in ((False, False), (False, True), (True, False)):
            night = self.night(("one", "two"), anew=True, keep_corpora=keep)
            night.fuzzers[0].add_turn(1, 1, 1, 1)
            os.makedirs(night.fuzzers[0].path("stored"), exist_ok=True)
            merged = []
            night.merge = lambda fuzzer, merged=merged: merged.append(fuzzer.name)
            night.save()
            if interrupted:
                night.interrupt()
            self.assertIs(night.finish(), False)
            self.assertEqual(merged, [] if interrupted or keep else ["one"], "who had a turn")
            self.assertEqual(os.path.exists(night.state), interrupted)
            self.assertFalse(os.path.exists(night.fuzzers[0].path("stored")))
        night.fuzzers[1].troubles = ["hung"]
        self.assertIs(night.finish(), True)
        night.fuzzers[1].troubles, night.fuzzers[1].findings = [], [{"key": "k", "words": "w"}]
        self.assertIs(night.finish(), True)
        self.write("root/page", "")
        night.arguments.write = True
        night.ledger.page = self.path("root/page")
        with self.assertRaises(nightly.Trouble):
            night.finish()

    def test_merged_inputs_replace_the_seed_file_and_named_ones_stay(self):
        night = self.night()
        fuzzer = night.fuzzers[0]
        os.makedirs(fuzzer.path("corpus"))
        made = []

        def run(command, _):
            folder = command[3]
            made.append(sorted(os.listdir(folder)))
            for name in made[0]:
                self.assertEqual(name, "of-a-bug")
            with open(os.path.join(folder, "0" * 40), "wb") as file:
                file.write(b"new")
            return 0, "", 0

        night.run = run
        night.merge(fuzzer)
        self.assertEqual(self.read("root/fuzz/corpus/one.seeds").split(), ["of-a-bug", "AAAA", "bmV3"])
        before = self.read("root/fuzz/corpus/one.seeds")
        night.run = lambda command, _: (1, "what\nwent wrong\n", 0)
        night.merge(fuzzer)
        self.assertIn("merging failed (went wrong); ", fuzzer.troubles[0])
        night.run = lambda command, _: (0, "", 0)
        night.merge(fuzzer)
        self.assertEqual(self.read("root/fuzz/corpus/one.seeds"), before, "nothing came out of it")

    def test_sums_go_on_from_the_file_and_then_from_the_page(self):
        os.makedirs(self.path("root/docs"))
        rows = "| one | 1,000 | 500 | 9 |\n| gone | 1 | 1 | 1 |\n| two | 20 | 20 | 2 |\n"
        self.write("root/docs/fuzzing-results.md", f"<!-- executions -->\n{rows}<!-- end of executions -->\n")
        self.write("sums", '{"two": {"executions": 7, "clean": 5, "edges": 3}}')
        sums = ledger.Ledger(self.path("sums"), self.path("root"), ["one", "two"])
        sums.add("one", 10, 4, [])
        sums.add("two", 1, 8, ["x"])
        sums.add("fresh", 1, 1, [])
        rows = ["| fresh | 1 | 1 | 1 |", "| one | 1,010 | 510 | 9 |", "| two | 8 | 0 | 8 |"]
        self.assertEqual(sums.rows(), rows, "in order")

    # -- Words --

    def test_findings_are_described_by_rule_and_operation(self):
        describe = nightly_report.describe
        calls = ["p1 = rf_alloc(a, 58)", "rf_free(a, p1)"]
        self.assertEqual(describe(RULE), ("overlap rf_free", "p1 overlaps p0", calls))
        self.assertEqual(describe("x: operation 3: a == b does not hold\n"), ("a == b", "a == b does not hold", []))
        asan = OPERATION + "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n"
        self.assertEqual(describe(asan), ("heap-use-after-free rf_free", "heap-use-after-free on address 0x1", calls))
        self.assertEqual(describe("   1: wait: long\nlast\n"), ("ended wait", "last", ["wait: long"]))
        self.assertEqual(describe(""), ("ended ", "it ended without a word", []))
        self.assertIn("no operations to print", nightly_report.as_test("one", "nightly-x", []))

    def test_reports_say_all_and_are_well_formed(self):
        night = self.night(("one", "two", "three"))
        one, two, _ = night.fuzzers
        one.add_turn(3, 4, 5, 6)
        one.findings = [{"key": "a<b", "words": 'it said "x" & \x1b[31m\x00'}, {"key": "c", "words": "d"}]
        one.troubles = ["hung <twice>\x07"]
        two.add_turn(0, 4, 5, 6)
        text = nightly_report.write(self.path("kept"), night.fuzzers, 3600, True)
        self.assertRegex(text, r"one .* 5 +0  a<b; c; hung <twice>")
        self.assertRegex(text, r"two .* no finding\nthree .* had no turn\n")
        self.assertIn("2 findings, 1 troubles, 1 without a turn, in 1.00 h; interrupted: a rerun goes on", text)
        suite = xml.etree.ElementTree.fromstring(self.read("kept/junit.xml"))
        self.assertEqual([suite.get(name) for name in ("tests", "failures", "errors", "skipped")], ["3", "1", "1", "1"])
        case = suite[0]
        self.assertEqual([each.tag for each in case], ["failure", "failure", "error"])
        self.assertEqual(case[0].get("message"), 'a<b: it said "x" & ?[31m?')
        self.assertEqual(case[2].get("message"), "hung <twice>?")
        self.assertEqual([each.tag for each in suite[2]], ["skipped"])
        page = self.read("kept/index.html")
        self.assertIn("a&lt;b: it said", page)
        self.assertIn("<br>c: d<br>hung &lt;twice&gt;", page)
        self.assertIn('"interrupted": true', self.read("kept/nightly.json"))
        self.assertIn('"hung <twice>', self.read("kept/nightly.json"))
        nightly_report.write(self.path("kept"), night.fuzzers, 3600, False)
        self.assertIn("; complete", self.read("kept/summary.txt"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
