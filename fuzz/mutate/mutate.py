#!/usr/bin/env python3
"""Plants small faults in the sources, one at a time, and runs the tests that reach the line: who survives is untested.

    ./bazelw run //fuzz/mutate -- --count 200              drawn from all sources
    ./bazelw run //fuzz/mutate -- --files 'lib/heaps/*.c'  from these; also --changed REVISION: from files changed since
    ./bazelw run //fuzz/mutate -- --list --files FILE      names all faults that the operators make there
    ./bazelw run //fuzz/mutate -- --only ID                one fault, by the id that a list or a result gives
    ./bazelw run //fuzz/mutate -- --write                  makes the table of docs/fuzzing-results.md
    ./bazelw run //fuzz/mutate -- --write --add            adds the results of a new draw, by another --seed, to it

The draw depends on nothing but --seed and the sources: each operator and file has its share. A fault that does not
compile, or changes no object, is no fault and another takes its place. A test that runs out of time twice has found it.
Results are kept in RF_FUZZ_DIR or ~/.cache/ringfence/fuzz, below mutate: results.json has the last verdict on each
fault, survivors.txt those that live. A killed mutant is tried again when its source changes, a survivor when a test
that reaches it does. equivalents.txt lists faults that change nothing that anyone can see, each with its reason.

Exit status: 0; 1 where more than --most percent survive; 2 on misuse or if the unchanged tests fail.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import queue
import subprocess
import sys
import time

import draws
import reach
import tree
import trials
import verdicts

TESTS = ["//tests/...", "//fuzz/..."]
# Sources for boards are tested by tests/freestanding, which run on a board, those for memory tags and for processors
# without rules of stacks (caller.*) by tools/try_aarch64.sh and --config=m32, those for musl with --config=musl; the
# others belong to tests.
NO_SOURCES = ["*_bare.c", "*_musl.c", "*/dropin/*/tag_*", "*/dropin/*/tagged_*", "*/dropin/runtime/caller.[ch]"]
NO_SOURCES += ["*/testing/*"]
SOURCES = ["lib/*.[ch]", "checkers/*.[ch]", "tools/ringfence/*.[ch]", "tools/service/*.[ch]", "tools/trace/*.[ch]"]
SEED = 13


def chosen_paths(root, arguments):
    patterns = arguments.files or SOURCES
    paths = [path for path in tree.sources_of(root) if any(fnmatch.fnmatch(path, p) for p in SOURCES)]
    paths = [path for path in paths if not any(fnmatch.fnmatch(path, p) for p in NO_SOURCES)]
    paths = [path for path in paths if any(fnmatch.fnmatch(path, p) or path.startswith(p + "/") for p in patterns)]
    if arguments.changed:
        command = ["git", "diff", "--name-only", arguments.changed]
        changed = set(subprocess.check_output(command, cwd=root, text=True).split())
        paths = [path for path in paths if path in changed]
    return paths


def try_all(workshop, draw, arguments, equivalents, results, folder):
    """Fills results; returns ids of this run."""
    lines = queue.Queue()
    for mutant in draw.mutants:
        lines.put(mutant)
    counted, ids, start = [0], [], time.monotonic()

    def work(number):
        trial = trials.Trial(workshop, os.path.join(folder, f"tree{number}"))
        while counted[0] < arguments.count and time.monotonic() - start < arguments.minutes * 60:
            try:
                mutant = lines.get_nowait()
            except queue.Empty:
                return
            take(trial, mutant)

    def take(trial, mutant):
        name, source = draw.id_of(mutant), draw.sources[mutant.file]
        row = results.rows.get(name)
        # A survivor is tried again when a test changes, a killed mutant when its source does.
        tests = [workshop.keys[reach.label_of(part)] for part in workshop.tests_for(mutant)]
        states = {"survived": draws.state_of(tests)}
        state = states.get(row["verdict"] if row else "", workshop.hashes[mutant.file])
        if arguments.again or not row or row["state"] != state:
            verdict, why = trial.run(mutant, source)
            row = {"file": mutant.file, "line": mutant.line, "operator": mutant.operator, "function": mutant.function}
            state = states.get(verdict, workshop.hashes[mutant.file])
            row.update(verdict=verdict, why=why, state=state, diff=draws.difference(mutant, source))
        row["line"] = mutant.line
        reason = equivalents.reason(mutant, source)
        row["equivalent"] = reason or ""
        results.rows[name] = row
        if row["verdict"] in ("killed", "survived"):
            counted[0] += 1
            if counted[0] % 20 == 0:
                results.store()
            ids.append(name)
            shown = "equivalent" if row["verdict"] == "survived" and reason else row["verdict"]
            place = f"{mutant.file}:{mutant.line}"
            print(f"{shown:10} {name} {place:42} {mutant.operator:10} {row['why'][:110]}", flush=True)
            if shown == "survived":
                print("\n".join("           " + line for line in row["diff"]), flush=True)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for future in [pool.submit(work, number) for number in range(arguments.jobs)]:
            future.result()
    return ids


def parse_arguments():
    parser = argparse.ArgumentParser(description="Plants small faults and runs the tests that reach them.")
    parser.add_argument("--files", nargs="*", help="files, folders or patterns; all sources unless given")
    parser.add_argument("--changed", help="only files that differ from this revision of git")
    parser.add_argument("--operators", nargs="*", help="only these: lock, atomic, order, swap, ...")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="that may find them: targets or patterns of Bazel")
    parser.add_argument("--slowest", type=float, default=60, help="seconds; longer tests only where no other reaches")
    parser.add_argument("--longest", type=float, default=300, help="seconds of tests for one fault, as measured")
    parser.add_argument("--count", type=int, default=100, help="faults to try")
    parser.add_argument("--minutes", type=float, default=600, help="no fault is begun after")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--most", type=float, default=100, help="percent of survivors above which the run fails")
    parser.add_argument("--again", action="store_true", help="also faults whose verdict is known")
    parser.add_argument("--only", nargs="*", help="these faults, by id")
    parser.add_argument("--list", action="store_true", help="only name the faults, in the order of the draw")
    parser.add_argument("--write", action="store_true", help="make the table in docs/fuzzing-results.md of all results")
    parser.add_argument("--add", action="store_true", help="to --write: the results are other faults than the table's")
    parser.add_argument("--bazel", action="append", default=[], help="an option for the build")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or sys.exit("mutate: run me by bazel run")
    kept = os.environ.get("RF_FUZZ_DIR") or os.path.expanduser("~/.cache/ringfence/fuzz")
    folder = os.path.join(kept, "mutate")
    os.makedirs(folder, exist_ok=True)
    draw = draws.Draw(root, chosen_paths(root, arguments), arguments.seed)
    if arguments.operators:
        draw.mutants = [mutant for mutant in draw.mutants if mutant.operator in arguments.operators]
    if arguments.only:
        draw.mutants = [mutant for mutant in draw.mutants if draw.id_of(mutant) in arguments.only]
    if arguments.list:
        for mutant in draw.mutants:
            lines = draws.difference(mutant, draw.sources[mutant.file])
            print(draw.id_of(mutant), f"{mutant.file}:{mutant.line}", mutant.operator, *lines)
        return 0
    equivalents = draws.Equivalents(os.path.join(root, draws.EQUIVALENTS))
    equivalents.demand_present(root)
    results = verdicts.Results(folder)
    if arguments.write:
        verdicts.write_table(root, verdicts.present_rows(draw, equivalents, results), arguments.add)
        return 0
    workshop = trials.Workshop(root, folder, arguments)
    labels = sorted({label for path in draw.sources for label in workshop.labels_of(path)})
    workshop.reach.measure(labels, trials.say)
    try:
        ids = try_all(workshop, draw, arguments, equivalents, results, folder)
    finally:
        results.store()
    rows = [results.rows[name] for name in ids]
    print("\n".join(verdicts.table_of(rows)))
    alive = [(name, results.rows[name]) for name in ids if results.rows[name]["verdict"] == "survived"]
    alive = [(name, row) for name, row in alive if not row["equivalent"]]
    with open(os.path.join(folder, "survivors.txt"), "w", encoding="utf-8") as file:
        for name, row in alive:
            head = f"{row['file']}:{row['line']} {row['operator']} {name} {row['why']}"
            file.write("\n".join([head] + row["diff"]) + "\n")
    print(f"{len(rows)} faults, {len(alive)} survived: {folder}/survivors.txt")
    return 1 if rows and 100 * len(alive) / len(rows) > arguments.most else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (draws.Trouble, subprocess.CalledProcessError) as trouble:
        print(f"mutate: {trouble}", file=sys.stderr)
        sys.exit(2)
