#!/usr/bin/env python3
"""Fuzzes with all fuzzers in turn, keeps what they find, and reports.

    ./bazelw run //fuzz:nightly -- --hours 8 --jobs 2    all fuzzers, the time shared by what each still finds
    ./bazelw run //fuzz:nightly -- --hours 0.5 tlsf page only these
    ./bazelw run //fuzz:nightly -- --keep-corpora        the seed files in the source tree stay as they are
    ./bazelw run //fuzz:nightly -- --anew                forgets an interrupted run instead of resuming it
    ./bazelw run //fuzz:nightly -- --executions 5000000  no more turns for fuzzers that have run as often
    ./bazelw run //fuzz:nightly -- --write               and their rows in docs/fuzzing-results.md are made anew

Each fuzzer is built twice, once: with AddressSanitizer and UndefinedBehaviorSanitizer, and optimised without, which has
two turns to one of the other. (That of mode asan is built once, with what it tests.) Two turns of three take short
inputs. Inputs are kept in RF_FUZZ_DIR or ~/.cache/ringfence/fuzz. In the end the corpora are merged, minimised and
written to fuzz/corpus/*.seeds. A finding is minimised; the first of its rule and operation is stored there by name, and
printed as a test. Ctrl-C ends the turns and reports; a rerun with the same --hours goes on.

Results in the folder `nightly` beside the inputs: summary.txt, nightly.json, junit.xml, index.html, and for all nights
together executions.json. Exit status: 0 without findings and troubles, 1 with one, 2 on misuse.

Bazel's arguments: the names of all fuzzers, "--", the user's arguments.
"""

import argparse
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import coverage
import ledger
import nightly_report
import seeds

UBSAN = ["--copt=-fsanitize=undefined", "--copt=-fno-sanitize=vptr,function", "--copt=-fno-sanitize-recover=undefined"]
UBSAN += ["--linkopt=-fsanitize=undefined", "--linkopt=-fno-sanitize=vptr,function"]
PLAIN = ["--copt=-O2", "--copt=-fno-sanitize=address", "--linkopt=-fno-sanitize=address"]
TRACKED = ["--//lib/core:track=asan"]  # mode asan itself is tested
# Traced comparisons take a third to half of the time. They help to write the words that a reader of text knows; those
# of an allocator are of numbers that no input contains.
UNTRACED = ["--copt=-fno-sanitize-coverage=trace-cmp,indirect-calls,stack-depth"]
BUILDS = {"checked": UBSAN + UNTRACED, "plain": PLAIN + UNTRACED, "traced": UBSAN, "tracked": TRACKED + UNTRACED}
READERS = ["collector", "findings", "rules", "trace"]
LEAST_FREE = 64 << 20  # bytes on the disk of the inputs
MEMORY = 2048  # MiB for one fuzzer
SLOWEST = 25  # seconds for one input
MINIMISING = 30  # seconds for one finding
PROGRESS = re.compile(r"#(\d+).* cov: (\d+)")
# Options of a turn. Short inputs, one for each edge, run 5 to 20 times as often as long ones, which counters of loops
# breed, and reach as many edges in the same time; what only many operations reach is left to every third turn.
SHORT = ["-max_len=128", "-use_counters=0"]
LONG = ["-max_len=4096"]
LENGTHS = [SHORT, SHORT, LONG]
WHOLE_PROGRAMS = {"dropin_threads": 25}  # forks and threads: --executions demands this part of them


class Trouble(Exception):
    """Stops the whole run."""


def last_number(text, index):
    found = PROGRESS.findall(text)
    return int(found[-1][index]) if found else 0


class Fuzzer:
    """The state of one fuzzer, over all its turns."""

    def __init__(self, name, kept):
        self.name = name
        self.folder = os.path.join(kept, name + "_fuzz")
        self.record = {"seconds": 0.0, "turns": 0, "executions": 0, "edges": 0, "new": 1, "history": []}
        self.findings = []
        self.troubles = []
        self.busy = False

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def sanitized(self):
        return "tracked" if self.name == "asan" else "traced" if self.name in READERS else "checked"

    def builds(self):
        """In turn. Those without sanitizers run several times as many inputs in the same time."""
        return ["plain", self.sanitized(), "plain"] if self.name != "asan" else ["tracked"]

    def due(self):
        """Processor time so far, in shares: who found new inputs in its last turn has three for one of others."""
        return self.record["seconds"] / (3 if self.record["new"] else 1)

    def add_turn(self, seconds, executions, edges, new):
        r = self.record
        r["seconds"] += seconds
        r["turns"] += 1
        r["executions"] += executions
        r["edges"] = max(r["edges"], edges)
        r["new"] = new
        r["history"].append([round(r["seconds"], 1), r["edges"], r["executions"]])


class Night:
    def __init__(self, root, kept, arguments, names):
        self.root = root
        self.kept = kept
        self.arguments = arguments
        self.fuzzers = [Fuzzer(name, kept) for name in names]
        self.folders = {}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.children = set()
        self.began = time.time()
        self.spent_before = 0.0
        self.results = os.path.join(kept, "nightly")
        os.makedirs(self.results, exist_ok=True)
        self.state = os.path.join(self.results, "state.json")
        self.ledger = ledger.Ledger(os.path.join(self.results, "executions.json"), root, arguments.known)
        if not arguments.anew:
            self.resume()

    # -- State: what an interrupted run had done --

    def spent(self):
        return self.spent_before + time.time() - self.began

    def resume(self):
        try:
            with open(self.state, encoding="utf-8") as file:
                state = json.load(file)
        except (OSError, ValueError):
            return
        if state.get("hours") != self.arguments.hours:
            return
        self.spent_before = state["spent"]
        for fuzzer in self.fuzzers:
            fuzzer.record = state["fuzzers"].get(fuzzer.name, fuzzer.record)
            fuzzer.findings, fuzzer.troubles = state.get("found", {}).get(fuzzer.name, ([], []))
        self.say(f"resuming: {self.spent_before / 3600:.2f} of {self.arguments.hours:g} hours were done")

    def save(self):
        fuzzers = {fuzzer.name: fuzzer.record for fuzzer in self.fuzzers}
        found = {fuzzer.name: (fuzzer.findings, fuzzer.troubles) for fuzzer in self.fuzzers}
        state = {"hours": self.arguments.hours, "spent": self.spent(), "fuzzers": fuzzers, "found": found}
        with open(self.state + ".new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(self.state + ".new", self.state)
        self.ledger.save()

    def say(self, text):
        print("nightly: " + text, flush=True)

    def trouble(self, fuzzer, text):
        fuzzer.troubles.append(text)
        self.say(f"{fuzzer.name}: {text}; its inputs are kept")

    # -- Building --

    def build(self):
        for kind, flags in BUILDS.items():
            if self.arguments.programs:
                self.folders[kind] = self.arguments.programs
                continue
            bazel = coverage.bazel_command(self.root)
            flags = ["--config=fuzz", *flags, f"--platform_suffix=nightly_{kind}"]
            quiet = ["--noshow_progress", "--ui_event_filters=-info,-stdout"]
            targets = [f"//fuzz:{fuzzer.name}_fuzz_bin" for fuzzer in self.fuzzers if kind in fuzzer.builds()]
            if not targets:
                continue
            self.say(f"building {len(targets)} fuzzers, {kind}")
            if subprocess.run(bazel + ["build"] + flags + quiet + targets, cwd=self.root, check=False).returncode != 0:
                raise Trouble(f"the build '{kind}' failed")
            command = bazel + ["info"] + flags + ["bazel-bin"]
            output = subprocess.check_output(command, cwd=self.root, stderr=subprocess.DEVNULL, text=True)
            self.folders[kind] = os.path.join(output.strip(), "fuzz")

    def program(self, fuzzer, kind=None):
        return os.path.join(self.folders[kind or fuzzer.sanitized()], fuzzer.name + "_fuzz_bin")

    # -- Running --

    def run(self, command, patience):
        """(status, output, processor seconds); the status is None where the process had to be killed."""
        with tempfile.TemporaryFile() as log:
            output = {"stdout": log, "stderr": subprocess.STDOUT}
            child = subprocess.Popen(command, env=coverage.fuzzer_environment(), start_new_session=True, **output)
            with self.lock:
                self.children.add(child.pid)
            deadline = time.time() + patience
            status = usage = None
            while status is None:
                pid, how, usage = os.wait4(child.pid, os.WNOHANG)
                if pid != 0:
                    status = child.returncode = os.waitstatus_to_exitcode(how)
                elif time.time() > deadline:
                    os.killpg(child.pid, signal.SIGKILL)
                    _, _, usage = os.wait4(child.pid, 0)
                    child.returncode = -signal.SIGKILL
                    break
                else:
                    time.sleep(0.05)
            with self.lock:
                self.children.discard(child.pid)
            log.seek(0)
            output = log.read().decode("utf-8", "replace")
        return status, output, usage.ru_utime + usage.ru_stime

    def turn(self, fuzzer):
        builds = fuzzer.builds()
        turns = fuzzer.record["turns"]
        kind = builds[turns % len(builds)]
        lengths = LENGTHS[turns // len(builds) % len(LENGTHS)]
        for folder in ("corpus", "findings", "stored"):
            os.makedirs(fuzzer.path(folder), exist_ok=True)
        if not os.listdir(fuzzer.path("stored")):
            seeds.unpack(fuzzer.path("stored"), [self.seed_file(fuzzer)])
        known = len(os.listdir(fuzzer.path("corpus")))
        before = set(os.listdir(fuzzer.path("findings")))
        length = min(self.arguments.turn, max(int(self.arguments.hours * 3600 - self.spent()), 1))
        command = [self.program(fuzzer, kind), f"-max_total_time={length}", *lengths, f"-timeout={SLOWEST}"]
        if self.arguments.executions:
            command.append(f"-runs={max(self.lacks(fuzzer), 1)}")
        command += [f"-report_slow_units={SLOWEST}"]  # what is slow, and ends in time, is no finding
        command += ["-reload=0"]  # nobody else writes to its corpus
        command += [f"-rss_limit_mb={MEMORY}", "-artifact_prefix=" + fuzzer.path("findings", "")]
        command += [fuzzer.path("corpus"), fuzzer.path("stored")]
        status, output, seconds = self.run(command, length + 4 * SLOWEST)
        new = len(os.listdir(fuzzer.path("corpus"))) - known
        executions, edges = last_number(output, 0), last_number(output, 1)
        fuzzer.add_turn(seconds, executions, edges, new)
        found = sorted(set(os.listdir(fuzzer.path("findings"))) - before)
        with self.lock:
            self.ledger.add(fuzzer.name, executions, edges, found)
        for name in found:
            self.keep_finding(fuzzer, kind, fuzzer.path("findings", name), output)
        if found or status == 0 or self.stopping.is_set():
            return
        if "No space left" in output:
            self.trouble(fuzzer, "the disk is full")
        elif status is None:
            self.trouble(fuzzer, f"hung for {4 * SLOWEST} seconds and was killed")
        elif status < 0:
            self.trouble(fuzzer, f"was killed by signal {-status}")
        else:
            last = (output.strip().splitlines() or ["no output"])[-1]
            self.trouble(fuzzer, f"ended with status {status}: {last}")

    # -- Findings --

    def describe(self, program, path):
        """(key, words, statements) of a finding: the rule and the operation, by which findings are the same; None where
        the input does not fail again."""
        environment = dict(os.environ, RF_FUZZ_TRACE="1")
        try:
            output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "replace"}
            done = subprocess.run([program, path], env=environment, timeout=2 * SLOWEST, check=False, **output)
        except subprocess.TimeoutExpired:
            return "hangs", "an input that hangs", []
        return nightly_report.describe(done.stdout) if done.returncode != 0 else None

    def keep_finding(self, fuzzer, kind, path, output):
        program = self.program(fuzzer, kind)
        small = path + ".min"
        command = [program, "-minimize_crash=1", f"-max_total_time={MINIMISING}", "-exact_artifact_path=" + small, path]
        self.run(command, 4 * MINIMISING)
        culprit = small if os.path.exists(small) else path
        described = self.describe(program, culprit)
        if described is None:
            _, words, _ = nightly_report.describe(output)
            self.trouble(fuzzer, f"failed once, and not again, on {culprit}: {words}")
            return
        key, words, statements = described
        with self.lock:
            if any(finding["key"] == key for finding in fuzzer.findings):
                return
            name = "nightly-" + re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")
            fuzzer.findings.append({"key": key, "name": name, "words": words, "build": kind, "input": culprit})
        self.say(f"{fuzzer.name}: FOUND {key}: {words}")
        print(nightly_report.as_test(fuzzer.name, name, statements), flush=True)
        if not self.arguments.keep_corpora:
            named = os.path.join(os.path.dirname(path), name)
            shutil.copy(culprit, named)
            try:
                seeds.merge(self.seed_file(fuzzer), [named])
            except seeds.SeedError as error:  # another input of that name, of an earlier night
                self.say(f"{fuzzer.name}: {error}; the new one is {culprit}")

    # -- Corpora --

    def seed_file(self, fuzzer):
        return os.path.join(self.root, "fuzz/corpus", fuzzer.name + seeds.SUFFIX)

    def merge(self, fuzzer):
        """One small input for each edge, and all named ones. The seed file is replaced at once, or stays."""
        path = self.seed_file(fuzzer)
        with tempfile.TemporaryDirectory(dir=fuzzer.folder) as folder:
            merged, stored = os.path.join(folder, "merged"), os.path.join(folder, "stored")
            os.mkdir(merged)
            named = seeds.read_seed_file(path).named
            for name, data in named.items():
                with open(os.path.join(merged, name), "wb") as file:
                    file.write(data)
            seeds.unpack(stored, [path])
            command = [self.program(fuzzer), "-merge=1", "-use_counters=0", merged, stored, fuzzer.path("corpus")]
            status, output, _ = self.run(command, 3600)
            if status != 0:
                last = (output.strip().splitlines() or ["no output"])[-1]
                self.trouble(fuzzer, f"merging failed ({last}); {path} is as it was")
                return
            for name in named:
                os.unlink(os.path.join(merged, name))
            if os.listdir(merged):
                seeds.pack(path, [merged])

    # -- The night --

    def lacks(self, fuzzer):
        """Executions, of those that --executions demands; the last fifth of them without a finding."""
        wanted = self.arguments.executions // WHOLE_PROGRAMS.get(fuzzer.name, 1)
        return max(wanted - self.ledger.executions(fuzzer.name), wanted // 5 - self.ledger.clean(fuzzer.name), 0)

    def is_done(self, fuzzer):
        return self.arguments.executions > 0 and self.lacks(fuzzer) == 0

    def due(self, fuzzer):
        """The least has the next turn. Towards a number of executions, after one turn for each: who gets there first,
        so that as many as possible do."""
        r = fuzzer.record
        if not self.arguments.executions:
            return fuzzer.due()
        return self.lacks(fuzzer) * r["seconds"] / max(r["executions"], 1) if r["turns"] else 0

    def next_fuzzer(self):
        with self.lock:
            open_ = [fuzzer for fuzzer in self.fuzzers if len(fuzzer.troubles) < 3 and not self.is_done(fuzzer)]
            idle = [fuzzer for fuzzer in open_ if not fuzzer.busy]
            fuzzer = min(idle, key=self.due, default=None)
            if fuzzer:
                fuzzer.busy = True
            return fuzzer

    def work(self):
        while not self.stopping.is_set() and self.spent() < self.arguments.hours * 3600:
            if shutil.disk_usage(self.kept).free < LEAST_FREE:
                self.say(f"less than {LEAST_FREE >> 20} MiB are free in {self.kept}: stopping; no input is lost")
                self.stopping.set()
                return
            fuzzer = self.next_fuzzer()
            if fuzzer is None:
                return
            try:
                self.turn(fuzzer)
            except OSError as error:
                full = error.errno == errno.ENOSPC
                self.trouble(fuzzer, "the disk is full" if full else str(error))
            finally:
                fuzzer.busy = False
            self.show(fuzzer)

    def show(self, fuzzer):
        left = max(self.arguments.hours * 3600 - self.spent(), 0)
        r = fuzzer.record
        speed = r["executions"] / max(r["seconds"], 0.001)
        inputs = len(os.listdir(fuzzer.path("corpus")))
        text = f"{fuzzer.name:14} {speed:8,.0f}/s {r['executions']:12,} runs {r['edges']:6} edges {inputs:5} inputs"
        text += f" {len(fuzzer.findings):3} findings; {left / 60:.0f} min left"
        with self.lock:
            if sys.stdout.isatty():  # the best of all lines stays: who is running, and how far the night is
                print(f"\r{text}\x1b[K", end="\n" if fuzzer.record["new"] else "", flush=True)
            else:
                self.say(text)
            self.save()

    def interrupt(self, *_):
        self.stopping.set()
        for pid in list(self.children):
            try:
                os.killpg(pid, signal.SIGINT)
            except ProcessLookupError:
                pass

    def finish(self):
        interrupted = self.stopping.is_set()
        if not interrupted and not self.arguments.keep_corpora:
            for fuzzer in self.fuzzers:
                if fuzzer.record["turns"]:
                    self.merge(fuzzer)
        if interrupted:
            self.save()
        elif os.path.exists(self.state):
            os.unlink(self.state)
        for fuzzer in self.fuzzers:
            shutil.rmtree(fuzzer.path("stored"), ignore_errors=True)
        self.ledger.save()
        if self.arguments.write and not self.ledger.write_table():
            raise Trouble(f"{ledger.PAGE} has no place for the table of executions")
        summary = nightly_report.write(self.results, self.fuzzers, self.spent(), interrupted)
        print(summary)
        return any(fuzzer.findings or fuzzer.troubles for fuzzer in self.fuzzers)

    def all(self):
        self.build()
        self.began = time.time()
        signal.signal(signal.SIGINT, self.interrupt)
        signal.signal(signal.SIGTERM, self.interrupt)
        workers = [threading.Thread(target=self.work) for _ in range(self.arguments.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return 1 if self.finish() else 0


def parse_arguments(argv):
    names = argv[: argv.index("--")]
    parser = argparse.ArgumentParser(description="Fuzzes with all fuzzers in turn, and keeps what they find.")
    parser.add_argument("fuzzers", nargs="*", help="all unless given")
    parser.add_argument("--hours", type=float, default=8, help="of time on the clock, after the build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="fuzzers at once")
    parser.add_argument("--turn", type=int, default=60, help="seconds of one turn")
    parser.add_argument("--keep-corpora", action="store_true", help="do not write to fuzz/corpus")
    parser.add_argument("--anew", action="store_true", help="do not resume an interrupted run")
    parser.add_argument("--executions", type=int, default=0, help="of one fuzzer over all nights: then it is done")
    parser.add_argument("--write", action="store_true", help="write the table of executions into " + ledger.PAGE)
    parser.add_argument("--programs", help="a folder with NAME_fuzz_bin, instead of building")
    arguments = parser.parse_args(argv[argv.index("--") + 1 :])
    unknown = set(arguments.fuzzers) - set(names)
    if unknown:
        parser.error("no fuzzer " + ", ".join(sorted(unknown)) + "; there are: " + ", ".join(names))
    if arguments.hours <= 0 or arguments.jobs < 1 or arguments.turn < 1 or arguments.executions < 0:
        parser.error("--hours, --jobs, --turn and --executions are above 0")
    arguments.known = names
    return arguments, arguments.fuzzers or names


def main():
    arguments, names = parse_arguments(sys.argv[1:])
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or sys.exit("nightly: run me by bazel run")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    kept = os.environ.get("RF_FUZZ_DIR") or os.path.join(cache, "ringfence/fuzz")
    os.makedirs(kept, exist_ok=True)
    return Night(root, kept, arguments, names).all()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, seeds.SeedError) as trouble:
        sys.exit(f"nightly: {trouble}")
