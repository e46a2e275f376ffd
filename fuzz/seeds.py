#!/usr/bin/env python3
"""Seed files: all stored inputs of one fuzzer in one text file, NAME.seeds.

    seeds.py pack FILE INPUT...      make INPUT... the unnamed inputs of FILE; its named inputs stay
    seeds.py merge FILE [INPUT...]   add INPUT... to FILE and bring it into canonical form
    seeds.py unpack FOLDER INPUT...  write each input into a file of its own, called by its name or its SHA-1
    seeds.py zip ARCHIVE INPUT...    the same into an archive: OSS-Fuzz wants NAME_fuzz_seed_corpus.zip
    seeds.py check FILE...           fail unless each FILE is in canonical form

INPUT is a seed file, one input of a seed file (NAME.seeds:LINE or NAME.seeds:NAME), any other file, which is an input
itself, or a folder of them. A file's name becomes the input's name, unless it is a SHA-1 or does not fit.

One line holds one input in base64; `=` is the empty input. Regression inputs of bugs have a name before it:

    overflow-into-the-next-block AAECAwQF
    /wABAg==

In canonical form, named lines come first, both groups are sorted, and no input appears twice.
"""

import argparse
import base64
import binascii
import hashlib
import os
import re
import sys
import tempfile
import zipfile

SUFFIX = ".seeds"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
SHA1 = re.compile(r"[0-9a-f]{40}")
EMPTY = "="


class SeedError(Exception):
    """An input that cannot be read, or a corpus that cannot be stored."""


def encode(data):
    return base64.b64encode(data).decode("ascii") if data else EMPTY


def decode(text):
    """The bytes of one base64 word, or None; there is one valid spelling of each input."""
    try:
        data = b"" if text == EMPTY else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode(data) == text else None


class Corpus:
    """Inputs with a name, and inputs without one."""

    def __init__(self):
        self.named = {}
        self.unnamed = set()

    def add(self, name, data):
        if name is None:
            self.unnamed.add(data)
        elif self.named.setdefault(name, data) != data:
            raise SeedError(f"two different inputs are named {name}")

    def add_all(self, other):
        for name, data in other.files():
            self.add(None if SHA1.fullmatch(name) else name, data)

    def files(self):
        """(name, bytes) of each input, as files of their own; an unnamed input is called by its SHA-1."""
        yield from sorted(self.named.items())
        named = set(self.named.values())
        yield from sorted((hashlib.sha1(data).hexdigest(), data) for data in self.unnamed - named)

    def size(self):
        return sum(1 for _ in self.files())

    def text(self):
        named = set(self.named.values())
        lines = [f"{name} {encode(data)}" for name, data in sorted(self.named.items())]
        lines += sorted(encode(data) for data in self.unnamed - named)
        return "".join(line + "\n" for line in lines)


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SeedError(f"cannot read {path}: {error.strerror}") from error


def parse_line(line, where):
    """(name or None, bytes) of one line."""
    name, space, text = line.rpartition(" ")
    data = decode(text)
    if data is None:
        raise SeedError(f"{where}: invalid base64")
    if space and (not NAME.fullmatch(name) or SHA1.fullmatch(name)):
        raise SeedError(f"{where}: '{name}' is not a name: a letter, then letters, digits, '_', '.', '-'; no SHA-1")
    return name if space else None, data


def read_seed_file(path, which=None):
    """All inputs of a seed file, or the one on line `which` or named `which`."""
    corpus = Corpus()
    lines = read_bytes(path).decode("utf-8", "replace").removesuffix("\n").split("\n")
    if lines == [""]:
        raise SeedError(f"{path}: no inputs in this file")
    found = False
    for number, line in enumerate(lines, 1):
        name, data = parse_line(line, f"{path}:{number}")
        if which in (None, str(number), name):
            corpus.add(name, data)
            found = True
    if not found:
        raise SeedError(f"{path}: no line or name '{which}'")
    return corpus


def read_file(path):
    if path.endswith(SUFFIX):
        return read_seed_file(path)
    corpus = Corpus()
    name = os.path.basename(path)
    corpus.add(name if NAME.fullmatch(name) and not SHA1.fullmatch(name) else None, read_bytes(path))
    return corpus


def read_input(path):
    """The inputs of a seed file, of a part of one, of a folder or of a loose file."""
    if os.path.isdir(path):
        corpus = Corpus()
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                corpus.add_all(read_file(os.path.join(folder, name)))
        return corpus
    file, colon, which = path.rpartition(SUFFIX + ":")
    if colon and not os.path.exists(path):
        return read_seed_file(file + SUFFIX, which)
    return read_file(path)


def read_inputs(paths):
    corpus = Corpus()
    for path in paths:
        corpus.add_all(read_input(path))
    return corpus


def write_seed_file(path, corpus):
    """Replaces the file at once, so that an interrupted run loses nothing."""
    text = corpus.text()
    if not text:
        raise SeedError(f"{path}: no inputs to store")
    folder = os.path.dirname(path) or "."
    try:
        with tempfile.NamedTemporaryFile("w", encoding="ascii", newline="\n", dir=folder, delete=False) as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise SeedError(f"cannot write {path}: {error.strerror}") from error


def pack(path, inputs):
    corpus = read_inputs(inputs)
    if os.path.exists(path):
        for name, data in read_seed_file(path).named.items():
            corpus.add(name, data)
    write_seed_file(path, corpus)


def merge(path, inputs):
    write_seed_file(path, read_inputs(([path] if os.path.exists(path) else []) + inputs))


def unpack(folder, inputs):
    corpus = read_inputs(inputs)
    os.makedirs(folder, exist_ok=True)
    for name, data in corpus.files():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def make_zip(path, inputs):
    """The archive has the same bytes on each machine: no times, no owners, no compression library."""
    corpus = read_inputs(inputs)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in corpus.files():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, of which the next line has the mode
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def check(path):
    if read_bytes(path).decode("utf-8", "replace") != read_seed_file(path).text():
        raise SeedError(f"{path}: not sorted, or an input appears twice; `seeds.py merge {path}` mends it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    targets = (("pack", "FILE", "+"), ("merge", "FILE", "*"), ("unpack", "FOLDER", "+"), ("zip", "ARCHIVE", "+"))
    for name, target, count in targets:
        command = commands.add_parser(name)
        command.add_argument("target", metavar=target)
        command.add_argument("inputs", metavar="INPUT", nargs=count)
    commands.add_parser("check").add_argument("inputs", metavar="FILE", nargs="+")
    arguments = parser.parse_args()
    if "BUILD_WORKING_DIRECTORY" in os.environ:  # bazel run: paths are the user's
        os.chdir(os.environ["BUILD_WORKING_DIRECTORY"])
    if arguments.command == "check":
        for path in arguments.inputs:
            check(path)
        return
    actions = {"pack": pack, "merge": merge, "unpack": unpack, "zip": make_zip}
    actions[arguments.command](arguments.target, arguments.inputs)


if __name__ == "__main__":
    try:
        main()
    except SeedError as error:
        sys.exit(f"seeds: {error}")
