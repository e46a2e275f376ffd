#!/usr/bin/env python3
"""Coverage of each source by the stored corpora, measured by clang.

    ./bazelw run //fuzz:coverage                    a table: lines and branches of each source
    ./bazelw run //fuzz:coverage -- simple tlsf     only those harnesses
    ./bazelw run //fuzz:coverage -- --min=95        fail where fewer lines are covered
    ./bazelw run //fuzz:coverage -- --lines         list the lines that are not reached
    ./bazelw run //fuzz:coverage -- --floors        each source by all corpora together; fails below coverage_floors.txt

Bazel's arguments: HARNESS=SOURCE[,SOURCE...] for each harness, a name alone for one that counts for --floors only,
"--", the user's arguments. A source may be a pattern.
"""

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile

import floors
import seeds

# The suffix keeps the outputs of this build beside those of other configurations.
FLAGS = ["--config=cov", "--platform_suffix=cov"]


def bazel_command(root):
    wrapper = os.path.join(root, "bazelw")
    command = [wrapper] if os.access(wrapper, os.X_OK) else [shutil.which("bazel") or shutil.which("bazelisk")]
    base, execroot, _ = os.path.abspath(sys.argv[0]).partition("/execroot/")
    return command + (["--output_base=" + base] if execroot else [])


def llvm_tool(name):
    """The one that belongs to clang."""
    clang = shutil.which("clang")
    beside = os.path.join(os.path.dirname(os.path.realpath(clang)), name) if clang else ""
    tool = beside if os.access(beside, os.X_OK) else shutil.which(name)
    if not tool:
        sys.exit(f"coverage: {name} is not installed (package llvm)")
    return tool


def fuzzer_environment():
    """The quarantine of AddressSanitizer holds the blocks of hundreds of inputs in 64 MiB. With its usual 256 MiB each
    block lies in memory that the caches have lost: up to two thirds of the time of a fuzzer."""
    given = os.environ.get("ASAN_OPTIONS", "")
    return dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=64" + (":" + given if given else ""))


def build(root, names):
    bazel = bazel_command(root)
    targets = [f"//fuzz:{name}_fuzz" for name in names]
    quiet = ["--noshow_progress", "--ui_event_filters=-info,-stdout"]
    print("coverage: building with --config=cov", file=sys.stderr)
    if subprocess.run(bazel + ["build"] + FLAGS + quiet + targets, cwd=root, check=False).returncode != 0:
        sys.exit("coverage: the build failed")
    command = bazel + ["info"] + FLAGS + ["bazel-bin"]
    return subprocess.check_output(command, cwd=root, stderr=subprocess.DEVNULL, text=True).strip()


def replay(program, corpus, folder):
    """Runs the program over the corpus; llvm-cov's data on it."""
    raw = os.path.join(folder, "raw")
    merged = os.path.join(folder, "merged")
    environment = dict(os.environ, LLVM_PROFILE_FILE=raw)
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    done = subprocess.run([program, corpus], env=environment, check=False, **output)
    if done.returncode != 0:
        sys.exit(f"coverage: {os.path.basename(program)} fails on its corpus:\n{done.stdout}")
    subprocess.run([llvm_tool("llvm-profdata"), "merge", "-o", merged, raw], check=True)
    command = [llvm_tool("llvm-cov"), "export", "-instr-profile=" + merged, program]
    return json.loads(subprocess.check_output(command, stderr=subprocess.DEVNULL))["data"][0]["files"]


def executions_by_line(entry):
    """The most of its parts, from the segments [line, column, count, has count, is entry, is gap]."""
    best = {}
    segments = entry["segments"]
    for here, after in zip(segments, segments[1:]):
        line, _, count, has_count, _, is_gap = here
        if not has_count or is_gap:
            continue
        for number in range(line, after[0] + (1 if after[1] > 1 else 0)):
            best[number] = max(best.get(number, 0), count)
    return best


def uncovered_lines(entry):
    return [number for number, count in sorted(executions_by_line(entry).items()) if count == 0]


def parse_arguments(argv):
    split = argv.index("--") if "--" in argv else len(argv)
    sources = dict(word.partition("=")[::2] for word in argv[:split])
    parser = argparse.ArgumentParser(description="Coverage of the sources by the stored fuzz corpora.")
    parser.add_argument("harnesses", nargs="*", help="all unless given")
    parser.add_argument("--min", type=float, default=0, help="percent of lines below which the run fails")
    parser.add_argument("--lines", action="store_true", help="name the lines that were not reached")
    parser.add_argument("--floors", action="store_true", help="each source by all corpora together, and its floors")
    arguments = parser.parse_args(argv[split + 1 :])
    unknown = set(arguments.harnesses) - set(sources)
    if unknown:
        parser.error("no harness " + ", ".join(sorted(unknown)) + "; there are: " + ", ".join(sources))
    chosen = arguments.harnesses or [name for name in sources if sources[name] or arguments.floors]
    return {name: sources[name].split(",") for name in chosen}, arguments


def print_row(source, name, inputs, lines, branches):
    def share(part):
        covered, count = part
        return f" {covered:5}/{count:<5}{100 * covered / max(count, 1):3.0f}%"

    print(f"{source:28} {name:10} {inputs:6}{share(lines)}{share(branches)}")


def print_harness(name, entries, inputs, with_lines):
    """The rows of one harness, a sum where there are several; returns the percentage of lines in all of them."""
    total = {"lines": [0, 0], "branches": [0, 0]}
    for entry in entries:
        folder, source = entry["filename"].split("/")[-2:]
        counts = {key: [entry["summary"][key]["covered"], entry["summary"][key]["count"]] for key in total}
        print_row(f"{folder}/{source}", name, inputs, counts["lines"], counts["branches"])
        if with_lines:
            print("  not reached:", *uncovered_lines(entry))
        total = {key: [total[key][0] + counts[key][0], total[key][1] + counts[key][1]] for key in total}
    if len(entries) > 1:
        print_row("  in sum", name, inputs, total["lines"], total["branches"])
    return 100 * total["lines"][0] / max(total["lines"][1], 1)


def reach_of(root, binaries, name):
    """llvm-cov's data on a harness over its corpus, and the corpus."""
    corpus = os.path.join(root, "fuzz/corpus", name + seeds.SUFFIX)
    with tempfile.TemporaryDirectory() as folder:
        return replay(os.path.join(binaries, "fuzz", name + "_fuzz"), corpus, folder), corpus


def hold_floors(root, binaries, names, with_lines):
    reached = floors.Reached(root)
    for name in names:
        for entry in reach_of(root, binaries, name)[0]:
            reached.add(entry, executions_by_line(entry))
    wrong = floors.check(root, reached, with_lines)
    if wrong:
        sys.exit("coverage: below its floor:\n" + "\n".join(wrong))


def main():
    wanted, arguments = parse_arguments(sys.argv[1:])
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or sys.exit("coverage: run me by bazel run")
    binaries = build(root, wanted)
    if arguments.floors:
        hold_floors(root, binaries, wanted, arguments.lines)
        return
    below = []
    print(f"{'source':28} {'by':10} {'inputs':>6} {'lines':>15} {'branches':>15}")
    for name, patterns in wanted.items():
        files, corpus = reach_of(root, binaries, name)
        entries = [entry for entry in files if any(fnmatch.fnmatch(entry["filename"], "*/" + p) for p in patterns)]
        if not entries:
            sys.exit(f"coverage: none of {', '.join(patterns)} is part of {name}_fuzz")
        if print_harness(name, entries, seeds.read_input(corpus).size(), arguments.lines) < arguments.min:
            below.append(name)
    if below:
        sys.exit(f"coverage: below {arguments.min:g} % of lines: {', '.join(below)}")


if __name__ == "__main__":
    main()
