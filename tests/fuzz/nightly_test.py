#!/usr/bin/env python3
"""fuzz/nightly.py, with programs that behave as libFuzzer does: findings are kept once, killed workers and full turns
are reported, corpora are written back, and an interrupted run goes on."""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

TOOL = os.path.abspath(sys.argv[1])

# The night is as long as its turns are many, however long they take: each call of a program is a quarter of a second.
CLOCK = """
import os, runpy, sys, time
clock = sys.argv[1]
sys.argv = sys.argv[2:]
sys.path[0] = os.path.dirname(sys.argv[0])
time.time = lambda: os.path.getsize(clock) / 4
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# Arguments as libFuzzer's; by its name: finds, fails once, is killed, hangs, or adds an input to its corpus.
PROGRAM = r"""#!/bin/bash
prefix= out= merge=
printf x >>"${0%/*}/clock"
for word; do
  case $word in
    -artifact_prefix=*) prefix=${word#*=} ;;
    -exact_artifact_path=*) out=${word#*=} ;;
    -merge=1) merge=1 ;;
    -*) ;;
    *) last=$word; [[ -n ${first-} ]] || first=$word ;;
  esac
done
[[ -z $first ]] || echo "$*" >>"${first%/*}/calls"
if [[ -n $merge ]]; then cp -r "$last/." "$first"; exit; fi
if [[ -n $out ]]; then printf small >"$out"; exit; fi
case ${0##*/} in
  finds*)
    if [[ -z $prefix ]]; then
      printf '   1: p1 = rf_alloc(a, 58)\nfuzz: toy: operation 1, p1 = rf_alloc(a, 58)\n  overlap: p1 overlaps p0\n'
      exit 134
    fi
    printf long >"${prefix}crash-$RANDOM$RANDOM"
    echo '#10 DONE cov: 7'
    exit 77 ;;
  once*)
    [[ -n $prefix ]] || exit 0
    printf long >"${prefix}timeout-$RANDOM$RANDOM"
    echo 'ERROR: libFuzzer: timeout after 25 seconds'
    echo '#10 DONE cov: 7'
    exit 77 ;;
  killed*) kill -KILL $$ ;;
  slow*) sleep 30 & trap 'kill $!; exit 0' INT; wait ;;
esac
printf new >"$first/$(printf %040d $RANDOM)"
echo '#1234 DONE   cov: 77 ft: 80'
"""


class NightlyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("root/fuzz/corpus", "programs", "kept"):
            os.makedirs(self.path(name))
        open(self.path("programs/clock"), "x", encoding="ascii").close()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start(self, names, *arguments):
        for name in names:
            with open(self.path("root/fuzz/corpus", name + ".seeds"), "w", encoding="ascii") as file:
                file.write("of-a-bug AAAA\nAAEC\n")
            with open(self.path("programs", name + "_fuzz_bin"), "w", encoding="ascii") as file:
                file.write(PROGRAM)
            os.chmod(self.path("programs", name + "_fuzz_bin"), 0o755)
        environment = dict(os.environ, BUILD_WORKSPACE_DIRECTORY=self.path("root"), RF_FUZZ_DIR=self.path("kept"))
        command = [sys.executable, "-c", CLOCK, self.path("programs/clock"), TOOL, *names, "--", "--programs",
                   self.path("programs"), "--turn", "1", *arguments]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=environment, start_new_session=True, **output)

    def interrupt(self, child, calls):
        """Once that many turns have begun."""
        deadline = time.monotonic() + 60
        while not os.path.exists(self.calls_file("slow")) or len(self.calls("slow")) < calls:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGINT)

    def run_all(self, names, *arguments):
        child = self.start(names, *arguments)
        output, _ = child.communicate(timeout=120)
        return child.returncode, output

    def seeds(self, name):
        with open(self.path("root/fuzz/corpus", name + ".seeds"), encoding="ascii") as file:
            return file.read()

    def report(self):
        with open(self.path("kept/nightly/nightly.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_new_inputs_are_written_back(self):
        status, output = self.run_all(["good"], "--hours", "0.0005", "--jobs", "1")
        self.assertEqual(status, 0, output)
        self.assertIn("of-a-bug AAAA\n", self.seeds("good"))
        self.assertIn("bmV3\n", self.seeds("good"))
        record = self.report()["fuzzers"]["good"]
        self.assertGreaterEqual(record["executions"], 1234)
        self.assertEqual(record["edges"], 77)
        with open(self.path("kept/nightly/index.html"), encoding="utf-8") as page:
            self.assertIn("<svg", page.read())

    def test_a_finding_is_kept_once(self):
        status, output = self.run_all(["finds", "good"], "--hours", "0.001", "--jobs", "2")
        self.assertEqual(status, 1, output)
        self.assertEqual(output.count("finds: FOUND overlap rf_alloc: p1 overlaps p0"), 1, output)
        self.assertIn("TEST(Finds, NightlyOverlapRfAlloc) {", output)
        self.assertIn("  p1 = rf_alloc(a, 58);", output)
        self.assertIn("nightly-overlap-rf-alloc c21hbGw=\n", self.seeds("finds"))
        suite = xml.etree.ElementTree.parse(self.path("kept/nightly/junit.xml")).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")), ("2", "1", "0"))

    def test_the_source_tree_can_stay(self):
        _, output = self.run_all(["finds"], "--hours", "0.0005", "--keep-corpora")
        self.assertEqual(self.seeds("finds"), "of-a-bug AAAA\nAAEC\n", output)

    def test_a_killed_worker_is_told(self):
        status, output = self.run_all(["killed", "good"], "--hours", "0.001", "--jobs", "1")
        self.assertEqual(status, 1, output)
        self.assertIn("killed: was killed by signal 9; its inputs are kept", output)
        self.assertGreaterEqual(self.report()["fuzzers"]["good"]["executions"], 1234)

    def test_an_input_that_fails_once_is_no_finding(self):
        status, output = self.run_all(["once"], "--hours", "0.0005", "--jobs", "1")
        self.assertEqual(status, 1, output)
        self.assertRegex(output,
                         r"once: failed once, and not again, on \S+/timeout-\d+(\.min)?: timeout after 25 seconds;"
                         " its inputs are kept")
        self.assertNotIn("FOUND", output)
        self.assertNotIn("nightly-", self.seeds("once"))

    def test_an_interrupted_run_goes_on(self):
        child = self.start(["slow"], "--hours", "0.01", "--jobs", "1")
        self.interrupt(child, 1)
        output, _ = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, output)
        self.assertIn("interrupted: a rerun goes on", output)
        child = self.start(["slow"], "--hours", "0.01", "--jobs", "1")
        self.interrupt(child, 2)
        output, _ = child.communicate(timeout=60)
        self.assertIn("resuming: 0.00 of 0.01 hours were done", output)
        self.assertGreaterEqual(self.report()["fuzzers"]["slow"]["turns"], 2)

    def test_executions_of_all_nights_are_counted(self):
        os.makedirs(self.path("root/docs"))
        page = self.path("root/docs/fuzzing-results.md")
        with open(page, "w", encoding="utf-8") as file:
            rows = "| fuzzer | executions | | |\n|---|---|---|---|\n| gone | 1 | 1 | 1 |\n| idle | 7 | 7 | 7 |\n"
            rows += "| finds | 1,000 | 500 | 9 |\n"
            file.write(f"before\n<!-- executions -->\n{rows}<!-- end of executions -->\nafter\n")
        status, output = self.run_all(["good"], "--hours", "0.0002", "--jobs", "1")
        self.assertEqual(status, 0, output)
        once = self.report()["fuzzers"]["good"]["executions"]
        arguments = ["--hours", "0.002", "--executions", str(once + 1), "--write", "--anew"]
        status, output = self.run_all(["good", "finds", "idle"], *arguments, "good", "finds")
        self.assertEqual(status, 1, output)  # the other one has found something
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"^before\n(.*\n)+<!-- end of executions -->\nafter\n$")
        counts = {row.split(" | ")[0][2:]: row.split(" | ")[1:] for row in text.splitlines() if row.startswith("| ")}
        self.assertEqual(sorted(counts), ["finds", "fuzzer", "good", "idle"], "one of those that there are, not run")
        self.assertEqual(counts["idle"][0], "7")
        self.assertEqual(counts["finds"][1], "0")
        here = self.report()["fuzzers"]["finds"]["executions"]
        self.assertEqual(int(counts["finds"][0].replace(",", "")), 1000 + here, "a night goes on from the page's sum")
        self.assertEqual(counts["good"][0], counts["good"][1])
        self.assertEqual(int(counts["good"][0].replace(",", "")), once + 1234)
        self.assertEqual(self.report()["fuzzers"]["good"]["turns"], 1)

    def calls_file(self, name):
        return self.path("kept", name + "_fuzz", "calls")

    def calls(self, name):
        with open(self.calls_file(name), encoding="utf-8") as file:
            return [line for line in file.read().splitlines() if "-merge=1" not in line]

    def test_short_inputs_have_most_turns(self):
        self.run_all(["good"], "--hours", "0.0015", "--jobs", "1")
        calls = self.calls("good")
        self.assertGreater(len(calls), 6)
        for number, call in enumerate(calls):
            short = number // 3 % 3 != 2
            self.assertIn("-max_len=128 -use_counters=0" if short else "-max_len=4096", call)
            self.assertNotIn("-runs=", call)

    def table(self, rows):
        os.makedirs(self.path("root/docs"))
        text = "| fuzzer | executions | | |\n|---|---|---|---|\n"
        text += "".join(f"| {name} | {executions} | {clean} | 0 |\n" for name, (executions, clean) in rows.items())
        with open(self.path("root/docs/fuzzing-results.md"), "w", encoding="utf-8") as file:
            file.write(f"<!-- executions -->\n{text}<!-- end of executions -->\n")

    def test_the_first_to_reach_the_executions_come_first(self):
        self.table({"far": (0, 0), "near": (120000, 120000)})
        self.run_all(["far", "near"], "--hours", "0.001", "--jobs", "1", "--executions", "123400")
        record = self.report()["fuzzers"]
        self.assertEqual(record["near"]["turns"], 3, "until it is done")
        self.assertIn("-runs=3400 ", self.calls("near")[0])
        self.assertGreater(record["far"]["turns"], 1, "the rest of the time")

    def test_the_last_fifth_is_without_a_finding(self):
        self.table({"good": (100000, 9000)})
        self.run_all(["good"], "--hours", "0.001", "--jobs", "1", "--executions", "50000")
        self.assertIn("-runs=1000 ", self.calls("good")[0])
        self.assertEqual(self.report()["fuzzers"]["good"]["turns"], 1)

    def test_whole_programs_are_done_sooner(self):
        self.run_all(["dropin_threads"], "--hours", "0.001", "--jobs", "1", "--executions", str(25 * 1234))
        self.assertEqual(self.report()["fuzzers"]["dropin_threads"]["turns"], 1)

    def test_unknown_fuzzers_and_bad_numbers_are_refused(self):
        for arguments in (["--hours", "0"], ["--jobs", "0"], ["--executions", "-1"], ["nosuch"]):
            status, output = self.run_all(["good"], *arguments)
            self.assertEqual(status, 2, output)


def run(test):
    """The result of one test; it waits most of the time."""
    result = unittest.TestResult()
    test.run(result)
    return result


if __name__ == "__main__":
    tests = list(unittest.defaultTestLoader.loadTestsFromTestCase(NightlyTest))
    with concurrent.futures.ThreadPoolExecutor(len(tests)) as pool:
        results = list(pool.map(run, tests))
    for _, text in [bad for result in results for bad in result.failures + result.errors]:
        print(text)
    sys.exit(0 if tests and all(result.wasSuccessful() for result in results) else 1)
