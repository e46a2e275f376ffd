#!/usr/bin/env python3
"""Programs with symbols, whose functions the compiler inlined: a process knows of the function around them alone."""

import os
import re
import subprocess

import service
from service import Service, equal, event, take

SOURCE = """
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) void *make(size_t size) {
  return malloc(size);
}
static inline __attribute__((always_inline)) char *copy(const char *text) {
  char *p = make(strlen(text));
  return strcpy(p, text);
}
static inline __attribute__((always_inline)) char *twice(const char *text) {
  char *p = make(2 * strlen(text));
  return strcat(strcpy(p, text), text);
}
int main(int count, char **words) {
  free(count > 1 ? copy(words[1]) : twice(words[0]));
  return 0;
}
"""


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()


class Program:
    """Its two calls of make are in functions that are inlined into main."""

    def __init__(self, folder, padding=0):
        self.path = os.path.join(folder, "app")
        source = os.path.join(folder, "app.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n" * padding + "int pad(int x) { return x * 3; }\n" * (padding != 0) + SOURCE.lstrip())
        run("cc", "-g", "-O2", "-fno-pie", "-no-pie", "-Wl,--build-id", "-o", self.path, source)
        self.build_id = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", self.path))[1]
        code = run("objdump", "-d", "--no-show-raw-insn", self.path)
        self.make = int(re.search(r"^([0-9a-f]+) <make>:", code, re.M)[1], 16) + 5
        calls = re.findall(r"call[^\n]*<make>\n\s*([0-9a-f]+):", code)
        equal(len(calls), 2, "calls of make")
        self.calls = [int(at, 16) for at in calls]

    def event(self, call, id, module=None, version="1"):
        frames = [{"pc": hex(at), "module": module or self.path, "build_id": self.build_id, "offset": hex(at),
                   "function": name} for at, name in ((self.make, "make"), (self.calls[call], "main"))]
        return event("x", id, f_bug="heap-buffer-overflow", f_allocated={"thread": 1, "frames": frames},
                     f_found={"thread": 1, "frames": frames[1:]},
                     build={"version": version, "commit": version * 40, "build_id": self.build_id})


def rows(s):
    return sorted((row["id"], row["count"], row["merged"]) for row in s.findings("--state", "all"))


def bugs_of_two_inlined_functions_are_two():
    with Service(start=False) as s:
        app = Program(s.directory)
        take(s, app.event(0, "1"), app.event(1, "2"), app.event(0, "3"))
        equal(rows(s), [(1, 2, 0), (2, 1, 0)])
        take(s, app.event(1, "4"), app.event(0, "5"))
        equal(rows(s), [(1, 3, 0), (2, 2, 0)])


def a_bug_that_is_fixed_is_not_brought_back_by_another():
    with Service(start=False) as s:
        app = Program(s.directory)
        take(s, app.event(0, "1", version="1"))
        s.command("fix", "1", "--in", "2")
        app = Program(s.directory, 3)
        take(s, app.event(1, "2", version="2"))
        equal(sorted((row["id"], row["state"]) for row in s.findings("--state", "all")), [(1, "fixed"), (2, "open")])
        take(s, app.event(0, "3", version="2"))
        equal([(row["id"], row["state"]) for row in s.findings("--state", "reopened")], [(1, "reopened")])


def one_bug_of_many_builds_is_one():
    with Service(start=False) as s:
        for build in range(4):
            take(s, Program(s.directory, build).event(0, str(build)))
        equal([row["count"] for row in s.findings("--state", "all")], [4])


def without_symbols_functions_count_as_processes_know_them():
    with Service(start=False) as s:
        take(s, Program(s.directory).event(0, "1", module="/srv/app"))
        take(s, Program(s.directory, 2).event(0, "2", module="/srv/app"))
        equal(rows(s), [(1, 2, 0)])


service.main([
    bugs_of_two_inlined_functions_are_two, a_bug_that_is_fixed_is_not_brought_back_by_another,
    one_bug_of_many_builds_is_one, without_symbols_functions_count_as_processes_know_them,
])
