#!/usr/bin/env python3
"""fuzz/seeds.py: seed files are packed, unpacked, merged, zipped and checked, and no input is lost."""

import hashlib
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

TOOL = os.path.abspath(sys.argv[1])
ARCHIVE_OF_MIXED_CORPUS = os.path.abspath(sys.argv[2])


def sha1(data):
    return hashlib.sha1(data).hexdigest()


class SeedsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.seeds = self.path("some.seeds")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def files(self, folder):
        return {name: self.read(os.path.join(folder, name)) for name in os.listdir(folder)}

    def run_tool(self, *arguments):
        return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)

    def succeed(self, *arguments):
        done = self.run_tool(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def fail_with(self, message, *arguments):
        done = self.run_tool(*arguments)
        self.assertEqual(done.returncode, 1)
        self.assertIn(message, done.stderr)

    def test_packs_named_inputs_first_and_sorted(self):
        self.write("loose/z-bug", b"\0\1\2\3")
        self.write("loose/a-bug", b"\xff")
        self.write("loose/" + sha1(b"unnamed"), b"unnamed")
        self.write("loose/0not-a-name", b"\0")
        self.succeed("pack", self.seeds, self.path("loose"))
        self.assertEqual(self.read(self.seeds), b"a-bug /w==\nz-bug AAECAw==\nAA==\ndW5uYW1lZA==\n")

    def test_pack_and_unpack_lose_nothing(self):
        inputs = {"a-bug": bytes(range(256)), "empty": b""}
        inputs.update({sha1(data): data for data in (b"x" * length for length in range(1, 9))})
        for name, data in inputs.items():
            self.write("loose/" + name, data)
        self.succeed("pack", self.seeds, self.path("loose"))
        self.succeed("unpack", self.path("again"), self.seeds)
        self.assertEqual(self.files(self.path("again")), inputs)

    def test_pack_replaces_the_unnamed_and_keeps_the_named(self):
        self.write("some.seeds", b"a-bug AAAA\nAAEC\n")
        self.write("new/" + sha1(b"\1"), b"\1")
        self.succeed("pack", self.seeds, self.path("new"))
        self.assertEqual(self.read(self.seeds), b"a-bug AAAA\nAQ==\n")

    def test_merge_adds(self):
        self.write("some.seeds", b"a-bug AAAA\nAAEC\n")
        self.write("other.seeds", b"b-bug AAAB\nAAEC\nAQID\n")
        self.succeed("merge", self.seeds, self.path("other.seeds"))
        self.assertEqual(self.read(self.seeds), b"a-bug AAAA\nb-bug AAAB\nAAEC\nAQID\n")

    def test_merge_alone_brings_into_canonical_form(self):
        self.write("some.seeds", b"AQID\nAAEC\nAQID\nAAAA\na-bug AAAA")
        self.succeed("merge", self.seeds)
        self.assertEqual(self.read(self.seeds), b"a-bug AAAA\nAAEC\nAQID\n")
        self.succeed("check", self.seeds)

    def test_one_input_is_selected_by_line_or_name(self):
        self.write("some.seeds", b"a-bug AAAA\nAAEC\n")
        self.succeed("unpack", self.path("by_line"), self.seeds + ":2")
        self.succeed("unpack", self.path("by_name"), self.seeds + ":a-bug")
        self.assertEqual(self.files(self.path("by_line")), {sha1(b"\0\1\2"): b"\0\1\2"})
        self.assertEqual(self.files(self.path("by_name")), {"a-bug": b"\0\0\0"})
        self.fail_with("no line or name '3'", "unpack", self.path("by_none"), self.seeds + ":3")

    def test_an_archive_holds_the_inputs_and_nothing_of_when_it_was_made(self):
        self.write("some.seeds", b"a-bug AAAA\nAAEC\n")
        self.succeed("zip", self.path("one.zip"), self.seeds)
        os.utime(self.seeds, (1, 1))
        self.succeed("zip", self.path("two.zip"), self.seeds)
        self.assertEqual(self.read(self.path("one.zip")), self.read(self.path("two.zip")))
        with zipfile.ZipFile(self.path("one.zip")) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        self.assertEqual(contents, {"a-bug": b"\0\0\0", sha1(b"\0\1\2"): b"\0\1\2"})

    def test_the_build_makes_an_archive_of_seed_files_and_loose_inputs(self):
        with zipfile.ZipFile(ARCHIVE_OF_MIXED_CORPUS) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        other = b"\0\1\2\3\xff"
        self.assertEqual(contents, {"of-a-bug": b"\0\1\2\3", "loose_input": b"loose", sha1(other): other})

    def test_check_names_a_bad_line(self):
        for bad in (b"AAA", b"A===", b"AA*=", b"AB==", b"", b"AAAA\r", b"<<<<<<< HEAD~", b"\xff\xfe", b"AA==AAAA"):
            self.write("some.seeds", b"AAAA\n" + bad + b"\n")
            self.fail_with("some.seeds:2: invalid base64", "check", self.seeds)

    def test_check_wants_order_and_no_repetition(self):
        for text in (b"AQID\nAAEC\n", b"AAEC\nAAEC\n", b"AAEC\na-bug AAAA\n", b"a-bug AAAA\nAAAA\n", b"AAAA"):
            self.write("some.seeds", text)
            self.fail_with("not sorted, or an input appears twice", "check", self.seeds)

    def test_a_name_fits(self):
        for name in (b"1", b"-a", b"a b", sha1(b"").encode()):
            self.write("some.seeds", name + b" AAAA\n")
            self.fail_with("is not a name", "check", self.seeds)

    def test_one_name_for_two_inputs_is_refused(self):
        self.write("some.seeds", b"a-bug AAAA\na-bug AAAB\n")
        self.fail_with("two different inputs are named a-bug", "check", self.seeds)

    def test_empty_and_missing_files_are_errors(self):
        self.write("some.seeds", b"")
        self.fail_with("no inputs in this file", "check", self.seeds)
        self.fail_with("cannot read", "check", self.path("missing.seeds"))

    def test_a_failed_pack_leaves_the_file(self):
        self.write("some.seeds", b"AAAA\n")
        os.makedirs(self.path("nothing"))
        self.fail_with("no inputs to store", "pack", self.seeds, self.path("nothing"))
        self.assertEqual(self.read(self.seeds), b"AAAA\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
