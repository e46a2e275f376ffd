"""How often each fuzzer has run, over all nights: part of nightly.py.

One JSON file beside the inputs. It has for each fuzzer its executions in all, and those since its last finding. A
fuzzer that it does not have yet goes on from the sums of the page: those of nights on other machines.
"""

import json
import os
import re

PAGE = "docs/fuzzing-results.md"
HEAD = ["| fuzzer | executions | since its last finding | edges covered |", "|---|---|---|---|"]
ROW = re.compile(r"\| (\w+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$")
TABLE = re.compile(r"(<!-- executions -->\n).*?(?=<!-- end of executions -->)", re.DOTALL)


def read_or_empty(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Ledger:
    """`path`: the JSON file. `names`: the fuzzers that there are, of which the page below `root` may have sums."""

    def __init__(self, path, root, names):
        self.path = path
        self.page = os.path.join(root, PAGE)
        self.fuzzers = {}
        table = TABLE.search(read_or_empty(self.page))
        for row in map(ROW.match, table[0].splitlines() if table else []):
            if row and row[1] in names:
                sums = (int(text.replace(",", "")) for text in row.groups()[1:])
                self.fuzzers[row[1]] = dict(zip(("executions", "clean", "edges"), sums))
        self.fuzzers.update(json.loads(read_or_empty(path) or "{}"))

    def executions(self, name):
        return self.fuzzers.get(name, {}).get("executions", 0)

    def clean(self, name):
        """Executions since the last finding."""
        return self.fuzzers.get(name, {}).get("clean", 0)

    def add(self, name, executions, edges, found):
        entry = self.fuzzers.setdefault(name, {"executions": 0, "clean": 0, "edges": 0})
        entry["executions"] += executions
        entry["clean"] = 0 if found else entry["clean"] + executions
        entry["edges"] = max(entry["edges"], edges)

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.fuzzers, file, indent=1)
        os.replace(self.path + ".new", self.path)

    def rows(self):
        """The rows of the table, in order."""
        return [
            f"| {name} | {entry['executions']:,} | {entry['clean']:,} | {entry['edges']:,} |"
            for name, entry in sorted(self.fuzzers.items())
        ]

    def write_table(self):
        """False where the page has no place for it."""
        with open(self.page, encoding="utf-8") as file:
            text = file.read()
        table = TABLE.search(text)
        if table is None:
            return False
        with open(self.page, "w", encoding="utf-8") as file:
            file.write(text[: table.start()] + table[1] + "\n".join(HEAD + self.rows()) + "\n" + text[table.end() :])
        return True
