"""How often each fuzzer has run, over all nights: part of nightly.py.

One JSON file beside the inputs. It has for each fuzzer its executions in all, and those since its last finding.
"""

import json
import os
import re

PAGE = "docs/fuzzing.md"
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

    def table(self):
        rows = ["| fuzzer | executions | since its last finding | edges covered |", "|---|---|---|---|"]
        for name, entry in sorted(self.fuzzers.items()):
            rows.append(f"| {name} | {entry['executions']:,} | {entry['clean']:,} | {entry['edges']:,} |")
        return "\n".join(rows)

    def write_table(self, root):
        """False where the page has no place for it."""
        path = os.path.join(root, PAGE)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        new, count = TABLE.subn(lambda found: found[1] + self.table() + "\n", text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)
        return count == 1
