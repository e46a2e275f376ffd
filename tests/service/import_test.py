#!/usr/bin/env python3
"""Reports of AddressSanitizer, LeakSanitizer and Valgrind on real programs: each bug is that of a checked process."""

import os
import shutil
import subprocess
import sys

import service
from service import Service, equal, with_sanitizer

RINGFENCE = os.path.abspath(sys.argv[2])

C = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define OWN __attribute__((noinline))
char *library_copy(const char *text);
static volatile char *kept;
OWN static char *make(size_t size) { return malloc(size); }
static inline __attribute__((always_inline)) char *inlined(size_t size) { return make(size); }
OWN int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
  kept = make(10);
  kept[10 + data[size - 1]] = 1;
  free((char *)kept);
  return 0;
}
OWN static void before(void) { kept = inlined(10); kept[-1] = 1; free((char *)kept); }
OWN static void copied(const char *text) { strcpy((char *)(kept = make(10)), text); free((char *)kept); }
OWN static void doubled(void) { kept = strdup("nine char"); kept[10] = 1; free((char *)kept); }
OWN static void library(void) { kept = library_copy("nine char"); kept[10] = 1; free((char *)kept); }
OWN static void used(void) { kept = make(10); free((char *)kept); kept[1] = 1; }
OWN static void twice(void) { kept = make(10); free((char *)kept); free((char *)kept); }
OWN static void leaked(void) { kept = make(10); kept[0] = 1; kept = NULL; }
static int compare(const void *a, const void *b) { before(); return *(const int *)a - *(const int *)b; }
OWN static void lines(void) {
  size_t size = 0;
  FILE *const file = fopen("/proc/self/maps", "r");
  char *line = NULL;
  if (file != NULL && getline(&line, &size, file) > 0) { (kept = line)[size] = 1; }
  free(line);
  fclose(file);
}
OWN static void sorted(void) { int numbers[] = {2, 1}; qsort(numbers, 2, sizeof *numbers, compare); }
int main(int count, char **words) {
  const char *const name = words[count - 1];
  const unsigned char data[] = {0};
  if (strcmp(name, "fuzzed") == 0) { LLVMFuzzerTestOneInput(data, sizeof data); }
  if (strcmp(name, "before") == 0) { before(); }
  if (strcmp(name, "copied") == 0) { copied("ten chars."); }
  if (strcmp(name, "doubled") == 0) { doubled(); }
  if (strcmp(name, "library") == 0) { library(); }
  if (strcmp(name, "used") == 0) { used(); }
  if (strcmp(name, "twice") == 0) { twice(); }
  if (strcmp(name, "leaked") == 0) { leaked(); }
  if (strcmp(name, "sorted") == 0) { sorted(); }
  if (strcmp(name, "lines") == 0) { lines(); }
  if (strcmp(name, "main") == 0) { kept = malloc(10); kept[10] = 1; free((char *)kept); }
  return 0;
}
"""

LIBRARY = """
#include <stdlib.h>
#include <string.h>
static char *room(size_t size) { return malloc(size); }
char *library_copy(const char *text) { return strcpy(room(strlen(text) + 1), text); }
"""

CXX = """
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>
#define OWN __attribute__((noinline))
namespace app {
static volatile char *kept;
template <typename T, int N> struct Pool {
  OWN T *take() { return new T[N]; }
  OWN T *operator()(size_t n) { return static_cast<T *>(malloc(n)); }
};
struct Holder {
  OWN explicit Holder(size_t n) : p(new char[n]) {}
  OWN ~Holder() { delete[] p; }
  char *p;
};
template <typename T> OWN T *fill(size_t n) { return static_cast<T *>(malloc(n * sizeof(T))); }
OWN void pool() { kept = Pool<char, 10>().take(); kept[10] = 1; delete[] kept; }
OWN void call() { kept = Pool<char, 10>()(10); kept[10] = 1; free(const_cast<char *>(kept)); }
OWN void filled() { kept = fill<char>(10); kept[10] = 1; free(const_cast<char *>(kept)); }
OWN void vector() { std::vector<char> v(10, 'a'); kept = v.data(); kept[10] = 1; }
OWN void holder() { Holder h(10); kept = h.p; kept[10] = 1; }
OWN void mismatch() { kept = new char[10]; free(const_cast<char *>(kept)); }
namespace {
OWN char *hidden(size_t n) { return static_cast<char *>(malloc(n)); }
}
OWN void unnamed() { kept = hidden(10); kept[10] = 1; free(const_cast<char *>(kept)); }
OWN void lambda() {
  auto make = [](size_t n) { return static_cast<char *>(malloc(n)); };
  kept = make(10); kept[10] = 1; free(const_cast<char *>(kept));
}
OWN void thread() { std::thread([] { filled(); }).join(); }
}
int main(int count, char **words) {
  std::string const name = words[count - 1];
  if (name == "pool") app::pool();
  if (name == "call") app::call();
  if (name == "filled") app::filled();
  if (name == "vector") app::vector();
  if (name == "holder") app::holder();
  if (name == "mismatch") app::mismatch();
  if (name == "unnamed") app::unnamed();
  if (name == "lambda") app::lambda();
  if (name == "thread") app::thread();
  return 0;
}
"""

# The unwinder that ASan has for allocations ends at code without frame pointers, such as glibc's.
OPTIONS = "fast_unwind_on_malloc=0:log_exe_name=1"
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS=OPTIONS, LSAN_OPTIONS=OPTIONS)


def run(*words, check=False, **more):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=check,
                          **more)


def write(path, text):
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


class Builds:
    """One source, built as `prog` without a sanitizer, and by each compiler with each sanitizer."""

    def __init__(self, folder, source, compilers, sanitizers):
        self.folder = folder
        path = write(os.path.join(folder, "a.cc" if source is CXX else "a.c"), source)
        library = os.path.join(folder, "libcopy.so")
        run("cc", "-g", "-fno-omit-frame-pointer", "-shared", "-fPIC", "-o", library,
            write(os.path.join(folder, "copy.c"), LIBRARY), check=True)
        self.words = ["-g", path, library, "-pthread", "-Wl,-rpath," + folder]
        self.plain = self.build("c++" if source is CXX else "cc", "plain")
        self.sanitized = [self.build(c, c + "-" + sanitizer, "-fsanitize=" + sanitizer)
                          for c in compilers for sanitizer in sanitizers]
        self.sanitized = [program for program in self.sanitized if program and run(program).returncode == 0]

    def build(self, compiler, name, *words):
        """None where the machine has no such compiler, or no library for the sanitizer."""
        os.mkdir(os.path.join(self.folder, name))
        program = os.path.join(self.folder, name, "prog")
        done = shutil.which(compiler) and run(compiler, *self.words, *words, "-o", program)
        return program if done and done.returncode == 0 else None

    def reports(self, bug):
        for program in self.sanitized:
            # Paths may be relative ones.
            done = run("./prog", bug, cwd=os.path.dirname(program), env=ENVIRONMENT)
            yield write(program + ".log", done.stderr)
        if shutil.which("valgrind"):
            path = os.path.join(self.folder, "valgrind.xml")
            done = run("valgrind", "-q", "--leak-check=full", "--xml=yes", "--xml-file=" + path, self.plain, bug)
            if done.returncode == 0:
                yield path


def check_one_finding(builds, bug):
    with Service(start=False) as s:
        environment = dict(os.environ, RINGFENCE_COLLECTOR=s.directory)
        run(RINGFENCE, "check", "-q", "-c", "--leaks", "1", "--", builds.plain, bug, env=environment)
        s.once()
        equal([row["count"] for row in s.findings()], [1], bug, "in mode guard")
        for count, report in enumerate(builds.reports(bug), 2):
            done = run(RINGFENCE, "import", report, env=environment)
            equal(done.returncode, 0, bug, report, done.stderr)
            s.once()
            others = [s.command("why", "1", str(row["id"]), status=None) for row in s.findings() if row["id"] != 1]
            equal([row["count"] for row in s.findings()], [count], bug, report, *others)


def check_bugs(source, compilers, bugs, sanitizers=("address",)):
    if with_sanitizer():
        return
    with Service(start=False) as s:
        builds = Builds(s.root, source, compilers, sanitizers)
        for bug in bugs:
            check_one_finding(builds, bug)


def overflows_in_c():
    check_bugs(C, ["gcc", "clang"], ["fuzzed", "before", "copied", "doubled", "library", "lines", "sorted", "main"])


def frees_in_c():
    check_bugs(C, ["gcc", "clang"], ["used", "twice"])


def leaks_in_c():
    check_bugs(C, ["gcc", "clang"], ["leaked"], ["address", "leak"])


def functions_that_a_program_of_cxx_exports():
    check_bugs(CXX, ["g++", "clang++"], ["pool", "call", "filled", "vector", "holder", "mismatch"])


def functions_of_its_own_file():
    """Without g++, whose library for sanitizers leaves out namespaces and classes of these."""
    check_bugs(CXX, ["clang++"], ["unnamed", "lambda", "thread"])


service.main([
    overflows_in_c, frees_in_c, leaks_in_c, functions_that_a_program_of_cxx_exports, functions_of_its_own_file,
])
