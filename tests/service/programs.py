"""Shared by the tests of symbols: a program in two builds, with symbols and stripped, and events of it."""

import os
import re
import subprocess

from service import event

SOURCE = """
#include <stdlib.h>
__attribute__((noinline)) void *make(void) {
  return malloc(8);
}
__attribute__((noinline)) void use(char *p) {
  *(volatile char *)p = 1;
}
int main(void) {
  use(make());
  return 0;
}
"""


class Program:
    """A program in two builds, each with symbols and stripped; FLAG makes the second one's offsets differ."""

    def __init__(self, folder, name="app", flag="-DA"):
        self.whole = os.path.join(folder, name)
        self.stripped = os.path.join(folder, name + ".stripped")
        source = os.path.join(folder, "app.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(("int pad(int x) { return x * 3; }\n" if flag == "-DB" else "\n") + SOURCE.lstrip("\n"))
        run("cc", "-g", "-O1", "-fno-pie", "-no-pie", "-Wl,--build-id", "-o", self.whole, source)
        run("strip", "-o", self.stripped, self.whole)
        self.build_id = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", self.whole))[1]
        self.addresses = {name: int(at, 16) for at, name in
                          re.findall(r"^([0-9a-f]+) T (\w+)$", run("nm", self.whole), re.M)}

    def stack(self, function):
        return {"thread": 1, "frames": [
            {"pc": hex(self.addresses[name]), "module": "/srv/app", "build_id": self.build_id,
             "offset": hex(self.addresses[name] + 5)} for name in (function, "main")]}

    def event(self, id, bug="heap-buffer-overflow"):
        return event("x", id, f_bug=bug, f_allocated=self.stack("make"), f_found=self.stack("use"))


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()


def nameless(offset, id):
    """Of a program that is nowhere."""
    found = {"pc": offset, "module": "/srv/gone", "build_id": "abcdef02", "offset": offset}
    return event(offset, id, f_found={"thread": 1, "frames": [found]})
