#!/usr/bin/env python3
"""The scripts under tools/ for work on the repository, in a small one of the test's; programs there note their calls.

    scripts_test.py TOOLS/FILE...
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

SCRIPTS = {os.path.basename(path): os.path.abspath(path) for path in sys.argv[1:]}
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CEILING_DIRECTORIES": "/"}

faults = []


def equal(got, expected, *what):
    if got != expected:
        faults.append("%s: got %r, not %r" % (" ".join(map(str, what)), got, expected))


class Repository:
    """Files by name, in a folder with tools/, and programs that come first in PATH."""

    def __init__(self, **programs):
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.root = os.path.join(self.folder, "root")
        self.calls = os.path.join(self.folder, "calls")
        for name, path in SCRIPTS.items():
            self.write("tools/" + name, open(path, encoding="utf-8").read(), True)
        for name, text in programs.items():
            path = name.replace("_", "-") if name != "bazelw" else "root/bazelw"
            self.write("../" + path if "/" in path else "../bin/" + path, text, True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def write(self, name, text, runs=False):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if runs:
            os.chmod(path, stat.S_IRWXU)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def git(self, *words):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], cwd=self.root,
                       check=True, env=dict(os.environ, **GIT), stdout=subprocess.DEVNULL)

    def run(self, name, *words, cwd=None, **more):
        """Status, output, complaints, calls."""
        open(self.calls, "w", encoding="utf-8").close()
        environment = dict(os.environ, PATH=self.folder + "/bin:" + os.environ["PATH"], CALLS=self.calls, **GIT)
        environment.pop("BUILD_WORKSPACE_DIRECTORY", None)
        environment.update(more)
        done = subprocess.run([os.path.join(self.root, "tools", name), *words], cwd=cwd or self.folder, check=False,
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(self.calls, encoding="utf-8") as file:
            return done.returncode, done.stdout, done.stderr, file.read().splitlines()


# ---- format ----

NOTES = '#!/bin/sh\nprintf "%s\\n" "$@" >>"$CALLS"\n'


def format_takes_what_git_would():
    with Repository(clang_format=NOTES + '[ ! -e "$PWD/wrong" ]\n') as r:
        r.git("init", "-q")
        for name in ("a.c", "lib/b b.h", "c.cc", "d.py", "gone.c", ".gitignore"):
            r.write(name, "ignored.c\nwrong\ntools\n" if name == ".gitignore" else "x\n")
        r.git("add", "-A")
        os.remove(os.path.join(r.root, "gone.c"))
        r.write("new.c", "x\n")
        r.write("ignored.c", "x\n")
        ours = ["a.c", "c.cc", "lib/b b.h", "new.c"]
        status, _, _, calls = r.run("format.sh")
        equal((status, calls[0], sorted(calls[1:])), (0, "-i", ours))
        status, _, _, calls = r.run("format.sh", "--check")
        equal((status, calls[:2], sorted(calls[2:])), (0, ["--dry-run", "--Werror"], ours))
        with Repository() as other:
            path = r.folder + "/bin:" + os.environ["PATH"]
            equal(other.run("format.sh", BUILD_WORKSPACE_DIRECTORY=r.root, PATH=path)[3], r.run("format.sh")[3])
        r.write("wrong", "")
        equal([r.run("format.sh", *words)[0] for words in ((), ("--check",))], [1, 1], "clang-format fails")
        os.remove(os.path.join(r.root, "wrong"))
        equal([r.run("format.sh", word)[::3] for word in ("--chek", "a.c")], [(2, [])] * 2)


def format_measures_lines():
    with Repository(clang_format=NOTES) as r:
        r.git("init", "-q")
        r.write(".gitignore", "tools\n")
        wide = ("a.c", "b.h", "c.inc", "d.cc", "e.bzl", "f/BUILD.bazel", "g.sh", "h.py", "bazelw", ".ci/run")
        for name in wide:
            r.write(name, "é" * 120 + "\n" + "x" * 120 + "\n")
        r.write("page.md", "x" * 121 + "\n")
        equal(r.run("format.sh", "--check")[:3], (0, "", ""), "120 characters, whatever their bytes")
        for name in wide:
            r.write(name, "\n" + "x" * 121 + "\n")
        status, out, complaints, _ = r.run("format.sh")
        equal((status, out), (1, ""))
        equal(sorted(complaints.splitlines()),
              sorted("longer than 120 columns: %s:2:%s" % (name, "x" * 121) for name in wide))


def tools_that_are_missing_are_named():
    with Repository() as r:
        os.makedirs(os.path.join(r.folder, "few"))
        for name in ("bash", "dirname", "env"):
            os.symlink(shutil.which(name), os.path.join(r.folder, "few", name))
        for script, said in (("format.sh", "apt-get install clang-format"), ("tidy.sh", "apt-get install clang-tidy")):
            status, _, complaints, _ = r.run(script, PATH=os.path.join(r.folder, "few"))
            equal((status, said in complaints), (127, True), script, complaints)


# ---- compile_commands and tidy ----

ACTIONS = [
    ["gcc", "-fno-canonical-system-headers", "-Ilib", "-Iexternal/x/include", "external/x/y.h", "-DA=external/", "-c",
     "lib/a.c", "-o", "a.o"],
    ["gcc", "-O2", "-c", "lib/a.c"],
    ["gcc", "-Wno-free-nonheap-object", "-fpch-deps", "-Wunused-but-set-parameter", "-c", "fuzz/b.c"],
    ["gcc", "-c", "tools/c.c"], ["gcc", "-c", "checkers/d.c"], ["gcc", "-c", "lib/f.cc"],
    ["clang", "-include", "a/tests/precompiled/include/tests.h", "-Xclang", "-isysroot", "-Xclang", ".",
     "-Xclang", "-b", "-include", "a.h", "-c", "tests/e.cc"],
    ["gcc", "-c", "external/x/g.c"], ["gcc", "-c", "tests/lib/h.c"],
]
BAZEL = r"""#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\n")
if sys.argv[1] == os.environ.get("FAILS"):
    sys.exit("no such target")
if sys.argv[1] == "info":
    print("/base")
if sys.argv[1] == "aquery":
    print(json.dumps({"actions": [{"arguments": it} for it in %s]}))
""" % json.dumps(ACTIONS)


def compile_commands_are_bazels():
    with Repository(bazelw=BAZEL) as r:
        status, out, _, calls = r.run("compile_commands.py", cwd=r.root)
        equal((status, out), (0, r.root + "/compile_commands.json: 7 files\n"))
        equal(calls, ["build --output_groups=compilation_prerequisites_INTERNAL_ //...", "info output_base",
                      'aquery mnemonic("CppCompile", //...) --output=jsonproto --include_artifacts=false'])
        made = json.loads(r.read("compile_commands.json"))
        equal([it["file"] for it in made],
              ["checkers/d.c", "fuzz/b.c", "lib/a.c", "lib/f.cc", "tests/e.cc", "tests/lib/h.c", "tools/c.c"])
        equal({it["directory"] for it in made}, {r.root})
        equal(made[2]["arguments"], ["gcc", "-Ilib", "-I/base/external/x/include", "/base/external/x/y.h",
                                     "-DA=external/", "-c", "lib/a.c", "-o", "a.o"])
        equal(made[1]["arguments"], ["gcc", "-c", "fuzz/b.c"])
        equal(made[4]["arguments"], ["clang", "-Xclang", "-b", "-include", "a.h", "-c", "tests/e.cc"])
        calls = r.run("compile_commands.py", "//a", "//b", BUILD_WORKSPACE_DIRECTORY=r.root)[3]
        equal((calls[0].split()[2:], calls[2].split(" --")[0]),
              (["//a", "//b"], 'aquery mnemonic("CppCompile", //a + //b)'))
        for command in ("build", "info", "aquery"):
            status, out, complaints, _ = r.run("compile_commands.py", cwd=r.root, FAILS=command)
            equal((status, out, "no such target" in complaints), (1, "", True), command)


def tidy_looks_at_each_source():
    tidy = NOTES + 'echo "2 warnings generated." >&2; echo "a fault of $2" >&2; [ "$2" != "$BAD" ]\n'
    with Repository(bazelw=BAZEL, clang_tidy=tidy) as r:
        status, _, complaints, calls = r.run("tidy.sh")
        sources = ["checkers/d.c", "lib/a.c", "tools/c.c"]
        tried = calls[3:]
        equal((status, sorted(set(tried)), len(tried)), (0, sorted(["--quiet", *sources]), 6))
        equal([word in complaints for word in ("warnings generated", "a fault of lib/a.c")], [False, True])
        equal(r.run("tidy.sh", BAD="lib/a.c")[0], 123)
        equal(r.run("tidy.sh", "lib/z z.c")[3][3:], ["--quiet", "lib/z z.c"])
        equal(r.run("tidy.sh", FAILS="build")[0] != 0, True, "no database, no verdict")


# ---- deps ----

# The symbols that each floor must not need.
LIB = ["lib/" + floor for floor in ("heaps", "handles", "blocks", "decorators", "compat")]
CHECKERS = ["checkers/" + floor for floor in ("guard", "asan", "mte", "page", "handles", "trace", "checked", "dropin")]
COMMAND = ["tools/ringfence/" + floor for floor in ("base", "model", "symbols", "run", "render", "cli")]


def apart_from(floors, *left_out):
    return [floor for floor in floors if floor.rpartition("/")[2] not in left_out]


FORBIDDEN = {
    "lib": ["checkers", "tests", "fuzz", "tools"],
    "checkers": ["tests", "fuzz", "tools"],
    "lib/core": LIB,
    "lib/port": ["lib/core:core"] + LIB,
    "lib/heaps": apart_from(LIB, "heaps"),
    "lib/handles": apart_from(LIB, "handles"),
    "lib/blocks": apart_from(LIB, "blocks"),
    "lib/decorators": apart_from(LIB, "decorators"),
    "checkers/os": ["checkers/report", "checkers/shared"] + CHECKERS,
    "checkers/report": ["checkers/shared"] + CHECKERS,
    "checkers/shared": CHECKERS,
    "checkers/guard": apart_from(CHECKERS, "guard"),
    "checkers/handles": apart_from(CHECKERS, "handles"),
    "checkers/trace": apart_from(CHECKERS, "trace"),
    "checkers/page": apart_from(CHECKERS, "page", "guard"),
    "checkers/asan": apart_from(CHECKERS, "asan", "guard"),
    "checkers/mte": apart_from(CHECKERS, "mte", "guard", "page"),
    "checkers/checked": ["checkers/dropin"],
    "tools/ringfence/base": apart_from(COMMAND, "base"),
    "tools/ringfence/model": apart_from(COMMAND, "base", "model"),
    "tools/ringfence/symbols": apart_from(COMMAND, "base", "model", "symbols"),
    "tools/ringfence/run": apart_from(COMMAND, "base", "run"),
    "tools/ringfence/render": apart_from(COMMAND, "base", "model", "symbols", "render"),
}


def floors_are_asked_for():
    bazel = NOTES + 'case "$*" in *"$BREAKS"*) echo //lib/a:b ;; *"$FAILS"*) echo no >&2; exit 7 ;; esac\n'
    with Repository(bazelw=bazel) as r:
        status, out, complaints, calls = r.run("deps.sh", "--output_base=/x", BREAKS="@", FAILS="@")
        equal((status, out, complaints), (0, "dependencies point one way\n", ""))
        queries = [word for word in calls if word.startswith("(")]
        equal(set(calls) - set(queries), {"--output_base=/x", "query", "--noimplicit_deps", "--notool_deps",
                                          "--noshow_progress"})
        asked = {}
        for query in queries[:-1]:
            parts = re.fullmatch(r"\(deps\((\S+)\) intersect \((.*)\)\) except //tools/bazel/\.\.\.", query)
            asked[parts[1]] = sorted(part.removesuffix("/...") for part in parts[2].split() if part != "+")
        equal(asked, {"//%s/..." % floor: sorted("//" + above for above in forbidden)
                      for floor, forbidden in FORBIDDEN.items()})
        status, out, complaints, _ = r.run("deps.sh", BREAKS="deps(//lib/heaps/...)", FAILS="@")
        equal((status, out), (1, ""))
        equal((complaints.startswith("//lib/heaps/... depends on //lib/handles/..."), "//lib/a:b\n" in complaints,
               complaints.endswith("1 rules broken\n")), (True, True, True), complaints)
        equal(queries[-1], "(rdeps(//lib/... + //checkers/..., //lib/port:bare + //lib/port:posix, 1)) except "
                           "//lib/port/...")
        equal(r.run("deps.sh", BREAKS="@", FAILS="rdeps")[:3], (2, "", "no\n"))


# ---- The cache for trials ----


def the_cache_gives_what_it_got():
    with Repository() as r:
        folder = os.path.join(r.folder, "cache")
        for words in ((), (folder,), (r.folder, "x")):
            done = subprocess.run([SCRIPTS["http_cache.py"], *words], stderr=subprocess.DEVNULL, check=False)
            equal(done.returncode, 1, words)
        os.mkdir(folder)
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        server = subprocess.Popen([SCRIPTS["http_cache.py"], folder], stdout=subprocess.PIPE, text=True, env=buffered)
        try:
            base = server.stdout.readline().strip()
            equal(base.startswith("http://127.0.0.1:"), True, base)

            try:
                urllib.request.urlopen(base.replace("127.0.0.1", "127.0.0.2"), timeout=30)
                faults.append("serves other addresses than its own")
            except urllib.error.HTTPError as error:
                faults.append("serves other addresses than its own: %s" % error)
            except urllib.error.URLError:
                pass

            def ask(path, body=None):
                request = urllib.request.Request(base + path, data=body, method="GET" if body is None else "PUT")
                try:
                    with urllib.request.urlopen(request, timeout=30) as reply:
                        return reply.status, reply.read()
                except urllib.error.HTTPError as error:
                    return error.code, b""

            key, other = "0f" * 32, "ab" * 32
            equal(ask("/ac/" + key), (404, b""))
            equal((ask("/ac/" + key, b"a\0b")[0], ask("/cas/" + key, b"")[0]), (200, 200))
            equal((ask("/ac/" + key), ask("/cas/" + key)), ((200, b"a\0b"), (200, b"")))
            equal(ask("/ac/" + other), (404, b""))
            equal((ask("/ac/" + key, b"c")[0], ask("/ac/" + key)), (200, (200, b"c")))
            for path in ("/", "/x/" + key, *("/ac/" + it for it in (key[:-1], key + "0", "../" + key, key.upper()))):
                equal((ask(path, b"x")[0], ask(path)[0]), (400, 404), path)
            equal(sorted(os.listdir(folder)), ["ac-" + key, "cas-" + key])
        finally:
            server.kill()
            server.wait()


# ---- release ----

PACKAGES = r"""#!/bin/sh
printf '%s\n' "$*" >>"$CALLS"
for out; do :; done
case $* in *"$FAILS"*) echo "no compiler"; exit 1 ;; esac
name=package; case $* in *service*) name=serve ;; esac
echo made >"$out/$name.deb"
cd "$out" && sha256sum $name.deb >$name.deb.sha256
[ "$SPOILS" != "$name" ] || echo other >"$out/$name.deb"
"""
CHANGES = "# Changes\n\n## Unreleased\n\n- later\n\n## 1.2.3\n\n- this one\n\n## 1.2\n\n- before\n"


def releases_are_whole_or_none():
    if not all(map(shutil.which, ("git", "openssl"))):
        print("no git or openssl here: releases left out")
        return
    with Repository(bazelw=PACKAGES) as r:
        out = os.path.join(r.folder, "out")
        r.write("VERSION", "1.2.3\n")
        r.write("MODULE.bazel", 'module(\n    name = "x",\n    version = "1.2.3",\n)\n# not    version = "1.2",\n')
        r.write("CHANGELOG.md", CHANGES)
        r.write(".bcr/source.template.json", '{"integrity": "", "url": "{VERSION}"}\n')
        r.git("init", "-q")
        r.git("add", "-A")
        r.git("commit", "-qm", "x")
        equal([r.run("release.sh", *words, FAILS="@")[0] for words in ((), ("a", "b"))], [1, 1])
        status, listed, complaints, calls = r.run("release.sh", "out", FAILS="@")
        equal((status, complaints), (0, ""))
        equal(calls, ["run --config=i386 //tools:package -- " + r.root + "/out",
                      "run //tools/install:package_service -- " + r.root + "/out"])
        shutil.move(r.root + "/out", out)
        equal(sorted(listed.split()), sorted(os.listdir(out)))
        equal(sorted(os.listdir(out)),
              sorted([name + end for name in ("ringfence-1.2.3.tar.gz", "package.deb", "serve.deb")
                      for end in ("", ".sha256")] + ["notes.md", "source.json"]))
        read = lambda name: open(os.path.join(out, name), encoding="utf-8").read()
        equal(subprocess.run("sha256sum --quiet -c *.sha256", shell=True, cwd=out, check=False).returncode, 0)
        equal(read("notes.md").split(), ["-", "this", "one"])
        names = subprocess.run(["tar", "-tzf", out + "/ringfence-1.2.3.tar.gz"], stdout=subprocess.PIPE, check=True,
                               text=True).stdout.split()
        equal({name.split("/")[0] for name in names}, {"ringfence-1.2.3"})
        equal("ringfence-1.2.3/VERSION" in names, True)
        digest = subprocess.run("openssl dgst -sha256 -binary ringfence-1.2.3.tar.gz | base64", shell=True, cwd=out,
                                stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        equal(json.loads(read("source.json")), {"integrity": "sha256-" + digest, "url": "{VERSION}"})
        first = open(out + "/ringfence-1.2.3.tar.gz", "rb").read()
        equal(first[4:8], b"\0\0\0\0", "no time in the archive")
        for failing, more in (("tools:package", {}), ("package_service", {}), ("@", {"SPOILS": "serve"})):
            status, listed, complaints, _ = r.run("release.sh", out, FAILS=failing, **more)
            equal((status, "notes.md" in listed), (1, False), failing, more, complaints)
        refused = (("VERSION", "1.2\n", "MODULE.bazel does not have version 1.2"),
                   ("CHANGELOG.md", "## 1.2.30\n\n- x\n\n## 1.2.3\n", "no heading '## 1.2.3' with anything below"))
        for name, text, said in refused:
            r.write(name, text)
            status, _, complaints, _ = r.run("release.sh", out, FAILS="@")
            equal((status, "not committed" in complaints), (1, True), name)
            r.git("commit", "-qam", "x")
            status, _, complaints, calls = r.run("release.sh", out, FAILS="@")
            equal((status, said in complaints, calls), (1, True, []), name, complaints)
            r.git("revert", "--no-edit", "HEAD")
        r.write("new", "")
        equal("not committed" in r.run("release.sh", out, FAILS="@")[2], True, "a file that git does not know")


def main():
    for test in (format_takes_what_git_would, format_measures_lines, tools_that_are_missing_are_named,
                 compile_commands_are_bazels, tidy_looks_at_each_source, floors_are_asked_for,
                 the_cache_gives_what_it_got, releases_are_whole_or_none):
        before = len(faults)
        try:
            test()
        except Exception as error:  # pylint: disable=broad-except
            faults.append(repr(error))
        for fault in faults[before:]:
            print("FAIL %s - %s" % (test.__name__, fault), file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
