"""The verdicts that are kept, and the table of docs/fuzzing-results.md that is made of them."""

import collections
import json
import os
import re

import draws

TABLE = ("<!-- mutate -->", "<!-- /mutate -->")


class Results:
    """Verdicts by id, kept for as long as all sources but those of other faults stay as they are."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "results.json")
        self.rows = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.rows = json.load(file)

    def store(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1, sort_keys=True)
        os.replace(self.path + ".new", self.path)


def scores(rows):
    table = collections.defaultdict(lambda: [0, 0, 0])
    for row in rows:
        counts = table[row["file"]]
        counts[0] += 1
        counts[1] += row["verdict"] == "killed"
        counts[2] += row["verdict"] == "survived" and bool(row["equivalent"])
    return table


def table_of(rows, known=None, add=False):
    """`known`: counts of files that the rows tell nothing of, or to which the rows' counts are added."""
    text = ["| file | faults | killed | equivalent | score |", "|---|---|---|---|---|"]
    known, found = known or {}, scores(rows)
    if add:
        found = {path: [a + b for a, b in zip(counts, known.get(path, [0, 0, 0]))] for path, counts in found.items()}
    table = dict(sorted({**known, **found}.items()))
    table["all"] = [sum(column) for column in zip(*table.values())] if table else [0, 0, 0]
    for path, (count, killed, same) in table.items():
        score = f"{100 * killed / (count - same):.0f} %" if count > same else ""
        text.append(f"| {path} | {count} | {killed} | {same} | {score} |")
    return text


def present_rows(draw, equivalents, results):
    """The verdicts on faults that today's sources still have, with the reasons of today."""
    present = {draw.id_of(mutant): mutant for mutant in draw.mutants}
    found = []
    for name, row in results.rows.items():
        mutant = present.get(name)
        if mutant is not None and row["verdict"] in ("killed", "survived"):
            found.append(dict(row, equivalent=equivalents.reason(mutant, draw.sources[mutant.file]) or ""))
    return found


def counts_in(root, table):
    """The rows of a table about files that are still there."""
    found = re.findall(r"^\| (\S+) \| (\d+) \| (\d+) \| (\d+) \|", table, re.M)
    return {path: [int(n) for n in counts] for path, *counts in found if os.path.isfile(os.path.join(root, path))}


def write_table(root, rows, add=False):
    """Files without a verdict in the results keep what the table had. `add`: so do those with one, and the results are
    other faults, of another draw."""
    path = os.path.join(root, "docs/fuzzing-results.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, _, rest = text.partition(TABLE[0])
    old, _, after = rest.partition(TABLE[1])
    if not after:
        raise draws.Trouble(f"{path} has no place between {TABLE[0]} and {TABLE[1]}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([before + TABLE[0]] + table_of(rows, counts_in(root, old), add) + [TABLE[1] + after]))
