#!/usr/bin/env python3
"""Plants bugs in the library, one at a time, and demands that the fuzzers find each.

    ./bazelw run //fuzz:mutants                     all of fuzz/mutants/*.txt, by the stored corpora, else by fuzzing
    ./bazelw run //fuzz:mutants -- simple guard     only those
    ./bazelw run //fuzz:mutants -- --seconds=30     time of fuzzing for mutants that the corpus misses (needs clang)
    ./bazelw run //fuzz:mutants -- --keep           and add inputs that fuzzing found to the seed file, with a name

Works on copies, with the host's compiler; the sources do not change. The exit status is 0 if every mutant was found. A
mutant that no longer applies to its source is an error, too, until it is brought up to date.

The head of a file of mutants names the harness and the sources. Each mutant lists the lines that it removes and adds,
compared without indentation. The removed lines must occur exactly once, or after the line given as `after`:

    harness: simple_fuzz.cc
    sources: lib/heaps/simple/*.c

    mutant: no-coalescing-before
    what: a free does not merge with the free block before it
    file: lib/heaps/simple/simple_block.c
    after: rf_status rf_simple_free(
    - region const r = region_around(&b, &near, true);
    + region const r = region_around(&b, &near, false);

A mutant with the line `quick` is also tried in every test run. `watched: yes` in the head builds with AddressSanitizer,
which the sources inform through lib/include/ringfence/track.h. `threads: yes` compiles the sources for virtual threads
(fuzz/threads.h); `nudges: N` says how many other schedules of the corpus are tried. `wraps: NAME ...` names functions
in whose place the linker puts the harness's.
"""

import argparse
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import tempfile

import seeds

INTERPRETER = ["bad_pointer", "interpreter", "memory", "misuse", "operations", "shadow", "verdict"]
CORE = ["lib/core/*.c", "lib/port/posix.c"]
INCLUDES = ["lib/include", "checkers/include", "."]
# The build makes it for the command; an empty one changes nothing here.
GENERATED = {
    "tools/ringfence/base/version.h": '#define RF_VERSION "0"\n',
    "tools/ringfence/render/page/script.inc": '""\n',
    "tools/ringfence/render/page/style.inc": '""\n',
}
C_FLAGS = ["-std=c11", "-w", "-D_GNU_SOURCE", "-DRF_MODE_DEFAULT=RF_MODE_OFF"]
CXX_FLAGS = ["-std=c++17", "-w"]
QUICK = ["-O0"]  # half the time of compiling, and replaying is a small part
OPTIMISED = ["-O1"]
FUZZER = ["-fsanitize=fuzzer-no-link,address"]
WATCHED = ["-DRF_TRACK_ASAN=1"]
WATCHED_CXX = ["-fsanitize=address", "-fsanitize-recover=address"]
WATCHED_C = ["-fno-sanitize=address"]
# For virtual threads; fuzz/threads_hooks.c has what this calls.
SWITCHING = ["-fno-sanitize=address", "-fsanitize=thread", "-DRF_VIRTUAL_THREADS"]
SWITCHED = ("lib/", "checkers/dropin/heap/")
# As checkers/dropin/heap/testing/BUILD.bazel has it.
SWITCHING_DROPIN = ["-Dnanosleep=rf_virtual_nanosleep", "-Dclock_gettime=rf_virtual_clock_gettime"]
# By itself clang tells of no read right before a write, where threads may switch as well.
SWITCHING_CLANG = ["-mllvm", "-tsan-instrument-read-before-write=1"]
NUDGES = 600
REPLAY_TIMEOUT = 120  # seconds; a mutant that hangs is found


class Trouble(Exception):
    """Stops the whole run: a mutant that does not apply, a missing compiler."""


class Mutant:
    def __init__(self, name):
        self.name = name
        self.what = ""
        self.file = ""
        self.after = None
        self.quick = False
        self.out = []
        self.put_in = []

    def apply(self, root):
        """The text of its file with this bug planted."""
        with open(os.path.join(root, self.file), encoding="utf-8") as file:
            lines = file.read().split("\n")
        stripped = [line.strip() for line in lines]
        start = 0
        if self.after is not None:
            starts = [i for i, line in enumerate(stripped) if line.startswith(self.after)]
            if len(starts) != 1:
                raise Trouble(f"{self.name}: {self.file} has {len(starts)} lines that start with '{self.after}', not 1")
            start = starts[0]
        length = len(self.out)
        places = [i for i in range(start, len(lines) - length + 1) if stripped[i : i + length] == self.out]
        if not places or (self.after is None and len(places) > 1):
            text = "\n  ".join(self.out)
            raise Trouble(f"{self.name}: {self.file} has these lines {len(places)} times, not once:\n  {text}")
        at = places[0]
        return "\n".join(lines[:at] + self.put_in + lines[at + length :])


class Suite:
    """One file of mutants: a harness and the bugs to plant in what it tests."""

    def __init__(self, root, path):
        self.root = root
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.harness = []
        self.patterns = []
        self.watched = False
        self.threads = False
        self.nudges = NUDGES
        self.wraps = []
        self.mutants = []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self._read(line.rstrip("\n"), f"{path}:{number}")

    def _read(self, line, where):
        key, _, value = line.partition(":")
        value = value.strip()
        mutant = self.mutants[-1] if self.mutants else None
        if not line or line.startswith("#"):
            return
        if key == "harness":
            self.harness = value.split()
        elif key == "sources":
            self.patterns = value.split()
        elif key in ("watched", "threads"):
            setattr(self, key, value == "yes")
        elif key == "wraps":
            self.wraps += ["-Wl,--wrap=" + name for name in value.split()]
        elif key == "nudges":
            self.nudges = int(value)
        elif key == "mutant":
            self.mutants.append(Mutant(value))
        elif mutant and key in ("what", "file", "after"):
            setattr(mutant, key, value)
        elif mutant and line == "quick":
            mutant.quick = True
        elif mutant and line[:1] == "-":
            mutant.out.append(line[1:].strip())
        elif mutant and line[:1] == "+":
            mutant.put_in.append(line[1:].strip())
        else:
            raise Trouble(f"{where}: unknown line '{line}'")

    def sources(self):
        """C files that the harness is linked with, relative to the root."""
        wanted = []
        for pattern in CORE + self.patterns:
            if pattern.startswith("!"):
                unwanted = set(glob.glob(pattern[1:], root_dir=self.root))
                wanted = [path for path in wanted if path not in unwanted]
            else:
                wanted += sorted(glob.glob(pattern, root_dir=self.root))
        return wanted

    def replay_options(self):
        """Which access a schedule names depends on the compiler: others are tried around it."""
        return [f"--nudges={self.nudges}"] if self.threads else []

    def corpus(self):
        return os.path.join(self.root, "fuzz/corpus", self.name + seeds.SUFFIX)


class Build:
    """Compiles in one way; an object is made once and serves all mutants of other files, and builds of other ways by
    which it would be the same."""

    objects = {}  # by command; those that all share are made before others are made in parallel

    def __init__(self, root, folder, level, for_fuzzing, watched, threads):
        self.root = root
        self.folder = folder
        more = level + (FUZZER if for_fuzzing else [])
        self.c_flags = C_FLAGS + more + (WATCHED + WATCHED_C if watched else [])
        self.cxx_flags = CXX_FLAGS + more + (WATCHED + WATCHED_CXX if watched else [])
        self.cc = "clang" if for_fuzzing else os.environ.get("CC", "gcc")
        self.switching = SWITCHING if threads else []
        self.beside_switching = SWITCHING[:1] if threads and for_fuzzing else []
        self.switching_more = SWITCHING_CLANG if threads and "clang" in self.cc else []
        self.cxx = "clang++" if for_fuzzing else os.environ.get("CXX", "g++")
        self.link_flags = ["-fsanitize=fuzzer,address"] if for_fuzzing else WATCHED_CXX if watched else []
        self.main = [] if for_fuzzing else ["fuzz/driver.cc", "fuzz/seed_file.cc"]
        if not shutil.which(self.cxx):
            raise Trouble(f"{self.cxx} is not installed")
        self.shared = os.path.dirname(folder)
        self.includes = os.path.join(self.shared, "include")
        os.makedirs(folder)
        if not os.path.exists(self.includes):
            self._lay_out_headers()

    def _lay_out_headers(self):
        """<ringfence/fuzz/x.h>, as the build has it, and what the build makes."""
        folder = os.path.join(self.includes, "ringfence/fuzz")
        os.makedirs(folder)
        for path in glob.glob("fuzz/*.h", root_dir=self.root):
            os.symlink(os.path.join(self.root, path), os.path.join(folder, os.path.basename(path)))
        for path, text in GENERATED.items():
            os.makedirs(os.path.join(self.includes, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(self.includes, path), "w", encoding="utf-8") as file:
                file.write(text)

    def _compiler(self, path):
        """The words of a command but for folders and files."""
        words = [self.cxx] + self.cxx_flags if path.endswith(".cc") else [self.cc] + self.c_flags
        if path.startswith(SWITCHED):
            words = words + self.switching + self.switching_more
            return words + (SWITCHING_DROPIN if self.switching and not path.startswith("lib/") else [])
        return words + (self.beside_switching if path.endswith(".c") else [])

    def compile(self, path, root=None):
        """The object of the source at `path`; of the one under another root, if given."""
        compiler = self._compiler(path)
        key = (path, root, *compiler)
        if key in self.objects:
            return self.objects[key]
        result = os.path.join(root or self.shared, f"{len(self.objects)}_" + path.replace("/", "_") + ".o")
        source = next(name for top in (root, self.root) if top and os.path.exists(name := os.path.join(top, path)))
        # A planted header is found before the original.
        tops = [root, self.root] if root else [self.root]
        folders = [self.includes] + [os.path.join(top, include) for top in tops for include in INCLUDES]
        self._run(compiler + [word for path in folders for word in ("-I", path)] + ["-MMD", "-c", source, "-o", result])
        self.objects[key] = result
        return result

    def reads(self, path, header):
        """True where the compiler reads the header for this source."""
        with open(os.path.splitext(self.compile(path))[0] + ".d", encoding="utf-8") as file:
            return os.path.join(self.root, header) in (os.path.normpath(word) for word in file.read().split())

    def plant(self, suite, mutant):
        """A root with the mutant's folder only, where the bug is planted; sources find private headers beside them."""
        root = os.path.join(self.folder, f"mutant_{suite.name}_{mutant.name}")
        folder = os.path.dirname(mutant.file)
        os.makedirs(os.path.join(root, folder))
        for path in glob.glob(folder + "/*.[ch]", root_dir=self.root):
            os.symlink(os.path.join(self.root, path), os.path.join(root, path))
        text = mutant.apply(self.root)
        os.unlink(os.path.join(root, mutant.file))
        with open(os.path.join(root, mutant.file), "w", encoding="utf-8") as file:
            file.write(text)
        return root

    def link(self, objects, wraps, tag):
        program = os.path.join(self.folder, "program_" + tag)
        self._run([self.cxx] + self.link_flags + wraps + objects + ["-lpthread", "-ldl", "-o", program])
        return program

    @staticmethod
    def _run(command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Trouble("does not compile: " + " ".join(command) + "\n" + done.stdout[-3000:])


def build_program(build, suite, mutant=None):
    objects = [build.compile(f"fuzz/{name}.cc") for name in INTERPRETER]
    objects += [build.compile(path) for path in build.main]
    planted = build.plant(suite, mutant) if mutant else None
    harness = [f"fuzz/{name}" for name in suite.harness if not name.endswith(".h")]  # which has inlined functions, too
    for path in harness + suite.sources():
        concerned = mutant and (path == mutant.file or build.reads(path, mutant.file))
        objects.append(build.compile(path, planted if concerned else None))
    return build.link(objects, suite.wraps, suite.name + ("_" + mutant.name if mutant else ""))


def last_words(output):
    """The line of a failed run that names the violation."""
    lines = [line.strip() for line in output.splitlines()]
    for i, line in enumerate(lines):
        if line.startswith("fuzz: ") and "operation" in line and i + 1 < len(lines):
            return lines[i + 1]
        if "ERROR: AddressSanitizer" in line:
            return line.partition("ERROR: ")[2]
    return next((line for line in lines if line), "ended by a signal")


def run(command, timeout):
    """The violation, or None."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    return None if done.returncode == 0 else last_words(done.stdout)


def replay(build, suite, mutant=None):
    return run([build_program(build, suite, mutant)] + suite.replay_options() + [suite.corpus()], REPLAY_TIMEOUT)


def try_mutant(build, suite, mutant):
    """The violation that the corpus found, or None; the trouble, where the mutant cannot be made."""
    try:
        return replay(build, suite, mutant)
    except Trouble as trouble:
        return trouble


def fuzz(build, suite, mutant, seconds, keep):
    program = build_program(build, suite, mutant)
    culprit = os.path.join(build.folder, "mutant-" + mutant.name)
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-seed=1", "-exact_artifact_path=" + culprit]
    with tempfile.TemporaryDirectory(dir=build.folder) as scratch:
        stored = os.path.join(scratch, "stored")
        seeds.unpack(stored, [suite.corpus()])
        found = run([program] + options + [scratch, stored], seconds + REPLAY_TIMEOUT)
    if found and keep and os.path.exists(culprit):
        seeds.merge(suite.corpus(), [with_free_name(suite, culprit)])
    return found


def with_free_name(suite, culprit):
    """The input of `culprit` under a name that the corpus does not have: an older one stays, for other mutants."""
    taken = {line.split()[0] for line in open(suite.corpus(), encoding="ascii") if " " in line}
    name, number = culprit, 2
    while os.path.basename(name) in taken:
        name = f"{culprit}-{number}"
        number += 1
    if name != culprit:
        os.rename(culprit, name)
    return name


def prepare(build, suite, quick):
    """Makes objects that all mutants share before they compile in parallel; the unchanged program must be silent."""
    if not os.path.isfile(suite.corpus()):
        raise Trouble(f"{suite.name}: there is no corpus at {suite.corpus()}")
    if quick:  # //fuzz:NAME_fuzz replays it in every test run
        build_program(build, suite)
        return
    found = replay(build, suite)
    if found:
        raise Trouble(f"{suite.name}: without any mutant, the corpus already finds: {found}")


def count_stale(suite, mutants):
    """Number of untried mutants that no longer apply; prints them."""
    count = 0
    for mutant in mutants:
        try:
            mutant.apply(suite.root)
        except (Trouble, OSError) as trouble:
            count += 1
            print(f"{suite.name:8} {mutant.name:32} CANNOT BE MADE: {trouble}", flush=True)
    return count


def parse_arguments():
    parser = argparse.ArgumentParser(description="Plants bugs and demands that the fuzzers find them.")
    parser.add_argument("suites", nargs="*", help="names of files in fuzz/mutants; all unless given")
    parser.add_argument("--quick", action="store_true", help="only mutants marked quick, by the corpus alone")
    parser.add_argument("--seconds", type=int, default=20, help="fuzz that long where the corpus misses; 0: not at all")
    parser.add_argument("--keep", action="store_true", help="add inputs that fuzzing found to the seed file")
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or os.getcwd()
    paths = sorted(glob.glob(os.path.join(root, "fuzz/mutants/*.txt")))
    suites = [Suite(root, path) for path in paths]
    unknown = set(arguments.suites) - {suite.name for suite in suites}
    if unknown or not suites:
        raise Trouble(f"no mutants named {', '.join(sorted(unknown)) or 'at all'} in {root}/fuzz/mutants")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="rf_mutants_") as folder:
        builds = {}
        level = QUICK if arguments.quick else OPTIMISED

        def build_for(suite, for_fuzzing):
            kind = (for_fuzzing, suite.watched, suite.threads)
            if kind not in builds:
                name = ("fuzz" if for_fuzzing else "replay") + ("_watched" if suite.watched else "")
                name += "_threads" if suite.threads else ""
                builds[kind] = Build(root, os.path.join(folder, name), level, *kind)
            return builds[kind]

        for suite in suites:
            if arguments.suites and suite.name not in arguments.suites:
                continue
            mutants = [mutant for mutant in suite.mutants if mutant.quick or not arguments.quick]
            if arguments.list:
                for mutant in mutants:
                    print(f"{suite.name:8} {mutant.name:32} {mutant.what}")
                continue
            missed += count_stale(suite, set(suite.mutants) - set(mutants))
            build = build_for(suite, for_fuzzing=False)
            prepare(build, suite, arguments.quick)
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                results = list(pool.map(lambda mutant: try_mutant(build, suite, mutant), mutants))
            for mutant, found in zip(mutants, results):
                how = "corpus"
                if isinstance(found, Trouble):
                    missed += 1
                    print(f"{suite.name:8} {mutant.name:32} CANNOT BE MADE: {found}", flush=True)
                    continue
                if not found and arguments.seconds and not arguments.quick:
                    how = "fuzzing"
                    found = fuzz(build_for(suite, for_fuzzing=True), suite, mutant, arguments.seconds, arguments.keep)
                missed += not found
                result = f"{how}: {found}" if found else f"NOT FOUND: {mutant.what}"
                print(f"{suite.name:8} {mutant.name:32} {result}", flush=True)
    if not arguments.list:
        print(f"{missed} not found, or not to be made" if missed else "all found")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, seeds.SeedError) as trouble:
        print(f"mutants: {trouble}", file=sys.stderr)
        sys.exit(2)
