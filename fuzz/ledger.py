"""How often each fuzzer has run, over all nights: part of nightly.py.

One JSON file beside the inputs. It has for each fuzzer its executions in all, and those since its last finding.
"""

import json
import os
import re

PAGE = "docs/fuzzing.md"
HEAD = ["| fuzzer | executions | since its last finding | edges covered |", "|---|---|---|---|"]
TABLE = re.compile(r"(<!-- executions -->\n).*?(?=<!-- end of executions -->)", re.DOTALL)


class Ledger:
    def __init__(self, path):
        self.path = path
        self.fuzzers = {}
        try:
            with open(path, encoding="utf-8") as file:
                self.fuzzers = json.load(file)
        except FileNotFoundError:
            pass

    def executions(self, name):
        return self.fuzzers.get(name, {}).get("executions", 0)

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
        """The rows of the table, by fuzzer."""
        return {
            name: f"| {name} | {entry['executions']:,} | {entry['clean']:,} | {entry['edges']:,} |"
            for name, entry in self.fuzzers.items()
        }

    def write_table(self, root, names):
        """Fuzzers of `names` that ran in no night of this machine keep what the page says. False where the page has no
        place for it."""
        path = os.path.join(root, PAGE)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        table = TABLE.search(text)
        if table is None:
            return False
        known = {line.split(" | ")[0].removeprefix("| "): line for line in table[0].splitlines()[3:]}
        rows = {**{name: line for name, line in known.items() if name in names}, **self.rows()}
        lines = HEAD + [line for _, line in sorted(rows.items())]
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[: table.start()] + table[1] + "\n".join(lines) + "\n" + text[table.end() :])
        return True
