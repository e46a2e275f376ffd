#!/usr/bin/env python3
"""Writes ringfence.h and ringfence.c: chosen allocators and checkers as two files, for one target.

    tools/amalgamate.py [--target bare|posix] [--mode MODE] [--no-malloc] PART... DIR
    tools/amalgamate.py --list

PARTs are targets of lib and checkers by name: tlsf, simple, pool, lock, guard, report, checked, ... (--list has all).
A public header is a name, too, of the part that has it: kept, for <ringfence/kept.h>, is report. Dependencies come
along, as the BUILD files say. The two files need nothing else:

    cc -c ringfence.c

--target bare (the default) is one core without an operating system: define what <ringfence/bare.h> asks for. --mode is
the mode of rf_checked_init where nothing else chooses one; in all but off, calls record their file and line.
--no-malloc: the default heap is tlsf over an arena.
"""

import argparse
import ast
import collections
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PUBLIC = ("lib/include/", "checkers/include/")
TARGETS = ("bare", "posix")
MODES = ("off", "sample", "guard", "page", "asan", "mte")

Target = collections.namedtuple("Target", "sources headers deps defines", defaults=((),))

looked_at = set()  # files that the two are made of


def read(path):
    looked_at.add(os.path.join(ROOT, path))
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


# ---- The BUILD files: a small part of Bazel's language, as Python ----


class Packages:
    """Targets by label, read when they are asked for."""

    def __init__(self, options):
        self.options = options
        self.read = {}

    def chosen(self, branches, **_):
        """select()"""
        true = {
            "//lib/port:os_bare": self.options.target == "bare",
            "//lib/heaps:no_std_malloc": not self.options.malloc,
            "//checkers:mode_" + self.options.mode: True,
        }
        for condition, value in branches.items():
            label = condition if condition.startswith("//") else "//%s%s" % (self.folder, condition)
            if true.get(label, False):
                return value
        return branches["//conditions:default"] if "//conditions:default" in branches else []

    def glob(self, patterns, exclude=()):
        base = os.path.join(ROOT, self.folder)
        found = [path for pattern in patterns for path in glob.glob(os.path.join(base, pattern), recursive=True)]
        names = sorted(os.path.relpath(path, base) for path in found)
        return [name for name in names if name not in exclude]

    def label(self, text):
        if text.startswith(":"):
            return "//%s%s" % (self.folder, text)
        if text.startswith("//") and ":" not in text:
            return "%s:%s" % (text, text.rsplit("/", 1)[1])
        return text

    def file(self, text):
        if text.startswith("//"):
            return text[2:].replace(":", "/")
        return os.path.join(self.folder, text.lstrip(":"))

    def add(self, name, srcs=(), hdrs=(), deps=(), defines=(), **_):
        files = [self.file(text) for text in list(srcs) + list(hdrs)]
        self.found[name] = Target([file for file in files if file.endswith(".c")],
                                  [file for file in files if file.startswith(PUBLIC)],
                                  [self.label(text) for text in deps], tuple(defines))

    def alias(self, name, actual, **_):
        self.found[name] = Target([], [], [self.label(actual)])

    def package(self, folder):
        if folder not in self.read:
            self.folder, self.found = folder, {}
            path = os.path.join(folder, "BUILD.bazel")
            tree = ast.parse(read(path), path)
            names = {node.id: lambda *_, **__: [] for node in ast.walk(tree) if isinstance(node, ast.Name)}
            names.update({"False": False, "True": True, "RF_TRACK_COPTS": [], "range": range, "len": len})
            names["selects"] = argparse.Namespace(config_setting_group=lambda **_: None)
            names.update(select=self.chosen, glob=self.glob, alias=self.alias, rf_cc_library=self.add)
            exec(compile(tree, path, "exec"), names)  # pylint: disable=exec-used
            self.read[folder] = self.found
        return self.read[folder]

    def target(self, label):
        folder, name = label[2:].split(":")
        targets = self.package(folder)
        if name not in targets:
            sys.exit("amalgamate: no target %s" % label)
        return targets[name]


def parts_of(packages):
    """Labels of what may be named, by name."""
    found = {}
    for top in ("lib", "checkers"):
        for path in sorted(glob.glob(os.path.join(ROOT, top, "**/BUILD.bazel"), recursive=True)):
            folder = os.path.relpath(os.path.dirname(path), ROOT)
            if "include" in folder or "dropin" in folder:
                continue
            for name, target in packages.package(folder).items():
                if "compat" in folder and not name.startswith("system_malloc_"):
                    continue
                if name in ("gtest", "checkers"):  # C++; the headers of all others again
                    continue
                if target.headers and target.headers[0].startswith(PUBLIC):
                    found.setdefault(name, "//%s:%s" % (folder, name))
    return found


def parts_by_header(packages, parts):
    """Labels of parts by the names of their public headers: users know those from #include."""
    found = {}
    for label in parts.values():
        for header in packages.target(label).headers:
            found.setdefault(os.path.splitext(os.path.basename(header))[0], label)
    return found


def closure(packages, labels):
    """Sources and public headers that the labels need, those first that others stand on."""
    sources, headers, seen = {}, {}, set()

    def visit(label):
        if label in seen or label.startswith("@"):
            return
        seen.add(label)
        target = packages.target(label)
        for dep in target.deps:
            visit(dep)
        headers.update(dict.fromkeys(target.headers))
        sources.update(dict.fromkeys(target.sources))

    for label in labels:
        visit(label)
    return list(sources), list(headers)


# ---- C ----

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|endif)\b")
GUARD = re.compile(r"^\s*#\s*ifndef\s+(RINGFENCE_\w+_H)\b")
TOKEN = re.compile(
    r'#\s*include[^\n]*|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    r"|(?:\.|->)\s*[A-Za-z_]\w*|[A-Za-z_]\w*", re.DOTALL)
# A source's own definitions, at the beginning of a line as clang-format leaves it.
LOCAL = re.compile(
    r"^(?:(?:static|RF_[A-Z_]+)\s[^;{=]*?\b(\w+)\s*(?:\(|\[|=|;)|\}\s*(\w+);"
    r"|typedef\s[^;{(]*?\b(\w+);|typedef\s[^;{]*\(\*(\w+)\)"
    r"|(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{|#\s*define\s+(\w+))", re.MULTILINE)
ENUM = re.compile(r"^(?:typedef\s+)?enum(?:\s+\w+)?\s*\{([^}]*)\}", re.MULTILINE)
NO_NAMES = ("bool", "char", "const", "include", "int", "long", "signed", "size_t", "unsigned", "void", "volatile")
STRUCT = re.compile(r"\b(?:struct|union)(?:\s+\w+)?\s*\{")
FEATURE = re.compile(r"^\s*#\s*define\s+(_GNU_SOURCE)\b")


def locals_of(text):
    bare = re.sub(r"/\*.*?\*/|//[^\n]*|__attribute__\(\(.*?\)\)", " ", text, flags=re.DOTALL)
    names = {name for match in LOCAL.finditer(bare) for name in match.groups() if name}
    for match in ENUM.finditer(bare):
        names.update(re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", match[1]))
    return {name for name in names if name not in NO_NAMES and not name.startswith("_")}


def bodies_of(text):
    """The spans of the members of structs and unions."""
    spans = []
    for match in STRUCT.finditer(text):
        depth, end = 1, match.end()
        while depth != 0:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        spans.append((match.end(), end))
    return spans


def renamed(text, names):
    """`text` with other names for these, but for members, string literals and comments."""
    bodies = bodies_of(text)

    def is_member(match):
        if not any(start <= match.start() < end for start, end in bodies):
            return False
        after = text[match.end():].lstrip()[:1]
        return after in ";[,:" or (after == ")" and text[:match.start()].endswith("*"))

    def one(match):
        return match[0] if match[0] not in names or is_member(match) else names[match[0]]

    return TOKEN.sub(one, text)


class Writer:
    """Text with the includes that are ours put in place of their lines."""

    def __init__(self, public_only, names=None):
        self.public_only = public_only
        self.names = names or {}  # other names for those of a file
        self.done = set()
        self.lines = []

    def find(self, mark, name, folder):
        if mark == "<":
            paths = [base + name for base in PUBLIC]
        else:
            paths = [os.path.join(folder, name), name] + [base + name for base in PUBLIC]
        for path in paths:
            if os.path.isfile(os.path.join(ROOT, path)):
                return os.path.normpath(path)
        return None

    def add(self, path):
        folder = os.path.dirname(path)
        guarded = False
        depth = 0
        text = read(path)
        text = renamed(text, self.names[path]) if path in self.names else text
        for line in text.splitlines():
            include = INCLUDE.match(line)
            condition = CONDITION.match(line)
            if condition and not guarded and GUARD.match(line):
                guarded = True  # of the whole file: no condition on what it includes
            elif condition:
                depth += -1 if condition[1] == "endif" else 1
            ours = self.find(include[1], include[2], folder) if include else None
            if ours is None:
                if not FEATURE.match(line):
                    self.lines.append(line)
                continue
            self.include(ours, depth)

    def include(self, path, depth):
        if path.startswith(PUBLIC) and not path.endswith(".inc") and not self.public_only:
            return  # ringfence.h has it
        if path in self.done:
            return
        if depth == 0 and path.endswith(".h"):
            self.done.add(path)
        self.lines.append("/* ---- %s ---- */" % path)
        self.add(path)


def included_by(path, known):
    """Headers of ours that a file includes, at any depth."""
    if path not in known:
        known[path] = set()
        for match in re.finditer(INCLUDE.pattern, read(path), re.MULTILINE):
            ours = Writer(True).find(match[1], match[2], os.path.dirname(path))
            if ours:
                known[path] |= {ours} | included_by(ours, known)
    return known[path]


def other_names(sources, hosted):
    """For each file, names for those that it or a header of it defines and another file does as well; on hosted targets
    for all without rf_, as the C library has many."""
    known = {}
    for path in sources:
        included_by(path, known)
    owners = collections.Counter(name for path in known for name in locals_of(read(path)))
    own = {}
    for path in known:
        stem = os.path.splitext(os.path.basename(path))[0]
        names = [name for name in locals_of(read(path)) if not name.lower().startswith("rf_")]
        if path.startswith(PUBLIC):
            names = []
        elif not hosted:
            names = [name for name in names if owners[name] > 1]
        own[path] = {name: "%s_%s" % (name, stem.upper() if name.isupper() else stem) for name in names}
    return {path: dict(pair for file in known[path] | {path} for pair in own[file].items()) for path in known}


def make_header(headers, defines, options, words):
    writer = Writer(True)
    for path in headers:
        if path not in writer.done:
            writer.include(path, 0)
    sites = "\n#ifndef RF_SITES\n#define RF_SITES 1\n#endif\n" if options.mode != "off" else ""
    malloc = "" if options.malloc else "\n#ifndef RF_HAS_STD_MALLOC\n#define RF_HAS_STD_MALLOC 0\n#endif\n"
    port = "\n#ifndef RF_PORT_BARE\n#define RF_PORT_BARE 1\n#endif\n" if options.target == "bare" else ""
    chosen = "".join("\n#ifndef %s\n#define %s %s\n#endif\n" % (name, name, value)
                     for name, value in (define.split("=") for define in defines))
    return "%s#ifndef RINGFENCE_H\n#define RINGFENCE_H\n%s\n%s\n\n#endif /* RINGFENCE_H */\n" % (
        words, sites + malloc + port + chosen, "\n".join(writer.lines))


# The compiler sees here what was in headers, or behind a call, and names of one source beside those of others.
PRAGMAS = """#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunused-function"
#elif defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif
"""


def make_source(sources, options, words):
    writer = Writer(False, other_names(sources, options.target == "posix"))
    for path in sources:
        names = writer.names[path]
        writer.lines.append("\n/* ==== %s ==== */" % path)
        writer.add(path)
        macros = re.findall(r"^\s*#\s*define\s+(\w+)", read(path), re.MULTILINE)
        writer.lines += ["#undef %s" % names.get(name, name) for name in dict.fromkeys(macros) if name != "_GNU_SOURCE"]
    head = "#define _GNU_SOURCE\n" if options.target == "posix" else ""
    head += "#ifndef RF_MODE_DEFAULT\n#define RF_MODE_DEFAULT RF_MODE_%s\n#endif\n" % options.mode.upper()
    return "%s%s%s#include \"ringfence.h\"\n%s\n" % (words, PRAGMAS, head, "\n".join(writer.lines))


def write_dependencies(depfile, folder):
    def words(paths):
        return " ".join(path.replace(" ", "\\ ") for path in paths)

    made = [os.path.join(folder, name) for name in ("ringfence.h", "ringfence.c")]
    with open(depfile, "w", encoding="utf-8") as file:
        file.write("%s: %s\n" % (words(made), words(sorted(looked_at | {os.path.abspath(__file__)}))))


# ---- The command line ----


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, default="bare")
    parser.add_argument("--mode", choices=MODES, default="off")
    parser.add_argument("--no-malloc", dest="malloc", action="store_false")
    parser.add_argument("--depfile", metavar="FILE", help="write there, for ninja or make, what the two are made of")
    parser.add_argument("--list", action="store_true", help="print the names of parts, and exit")
    parser.add_argument("words", nargs="*", metavar="PART... DIR")
    options = parser.parse_args()
    if not options.list and len(options.words) < 2:
        parser.error("name at least one part, and the folder to write to")
    return options


def print_list(names):
    try:
        print("\n".join(names), flush=True)
    except BrokenPipeError:  # `--list | head` has read enough; Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main():
    options = arguments()
    packages = Packages(options)
    parts = parts_of(packages)
    if options.list:
        print_list(sorted(parts))
        return
    names = {**parts_by_header(packages, parts), **parts}
    unknown = [word for word in options.words[:-1] if word not in names]
    if unknown:
        sys.exit("amalgamate: no part %s; --list names them" % ", ".join(unknown))
    if options.words[-1] in parts:
        sys.exit("amalgamate: %s is a part: name the folder to write to behind it" % options.words[-1])
    labels = [names[word] for word in options.words[:-1]]
    sources, headers = closure(packages, labels)
    defines = [define for label in labels for define in packages.target(label).defines]
    version = read("VERSION").strip()
    words = ("/* Ringfence %s: %s; target %s, mode %s.\n"
             " * Written by tools/amalgamate.py: change the sources instead.\n"
             " * SPDX-License-Identifier: Apache-2.0 */\n")
    words %= (version, ", ".join(options.words[:-1]), options.target, options.mode)
    folder = os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", "."), options.words[-1])
    os.makedirs(folder, exist_ok=True)
    # The header last: amalgamate.mk has it depend on the source.
    for name, text in (("ringfence.c", make_source(sources, options, words)),
                       ("ringfence.h", make_header(headers, defines, options, words))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    if options.depfile:
        write_dependencies(options.depfile, options.words[-1])


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit("amalgamate: cannot use %s: %s" % (error.filename, error.strerror))
