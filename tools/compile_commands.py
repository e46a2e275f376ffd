#!/usr/bin/env python3
"""Writes compile_commands.json at the root of the repository, from what Bazel would run.

Usage: ./bazelw run //tools:compile_commands [-- [TARGETS...]]     (default //...)
"""

import json
import os
import re
import subprocess
import sys

# Flags of gcc that clang's tools do not know.
GCC_ONLY = {"-fno-canonical-system-headers", "-fpch-deps", "-Wno-free-nonheap-object", "-Wunused-but-set-parameter"}


def bazel(root, *args):
    """The output of Bazel for a command, without its progress messages."""
    command = [os.path.join(root, "bazelw"), *args]
    result = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return result.stdout


def absolute_external(argument, output_base):
    """Other repositories are not below our root: names them where they are."""
    return re.sub(r"^(-I)?external/", rf"\1{output_base}/external/", argument)


def without_precompiled(arguments):
    """Arguments that do not read the precompiled header of the tests: only the compiler that made it can."""
    for flag, value in (("-include", "/tests/precompiled/include/tests.h"), ("-Xclang", "-isysroot"), ("-Xclang", ".")):
        for i in range(len(arguments) - 1):
            if arguments[i] == flag and arguments[i + 1].endswith(value):
                arguments = arguments[:i] + arguments[i + 2 :]
                break
    return arguments


def entry(action, root, output_base):
    """One compilation, as editors want it; None for one that is not of our own source."""
    arguments = [absolute_external(a, output_base) for a in action["arguments"] if a not in GCC_ONLY]
    arguments = without_precompiled(arguments)
    source = arguments[arguments.index("-c") + 1]
    if os.path.isabs(source):
        return None
    return {"directory": root, "file": source, "arguments": arguments}


def main():
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY") or os.getcwd()
    targets = " + ".join(sys.argv[1:] or ["//..."])

    # <ringfence/...> are links that Bazel makes while building: have it make them, without compiling.
    bazel(root, "build", "--output_groups=compilation_prerequisites_INTERNAL_", *(sys.argv[1:] or ["//..."]))
    output_base = bazel(root, "info", "output_base").strip()
    graph = json.loads(
        bazel(root, "aquery", f'mnemonic("CppCompile", {targets})', "--output=jsonproto", "--include_artifacts=false")
    )

    # A file that several targets compile is listed once: editors take the first anyway.
    entries = {}
    for action in graph.get("actions", []):
        found = entry(action, root, output_base)
        if found:
            entries.setdefault(found["file"], found)

    path = os.path.join(root, "compile_commands.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump([entries[f] for f in sorted(entries)], out, indent=1)
        out.write("\n")
    print(f"{path}: {len(entries)} files")


if __name__ == "__main__":
    main()
