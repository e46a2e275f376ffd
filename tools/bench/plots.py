#!/usr/bin/env python3
"""Draws the tables of docs/costs.md as SVG: ratios to glibc, on a logarithmic scale.

    ./bazelw run //tools/bench:plots                 writes docs/costs_*.svg
    plots.py --check PAGE FOLDER                     fails where a drawing is not what the table says
"""

import html
import math
import os
import sys

# file, the first heading of the table, its columns
PLOTS = [
    ("costs_guard.svg", "| load |", ["shim", "guard", "jemalloc", "mimalloc"], "Loads of nothing but requests: time"),
    ("costs_forwarding.svg", "| loop |", ["shim", "off", "sample"], "Requests that are handed on: time"),
    ("costs_programs.svg", "| program | glibc, s |", ["sample", "guard", "page"], "Real programs: time"),
]
COLOURS = ["#8a94a6", "#2f7de1", "#d9822b", "#5a9e4b"]
LEFT, RIGHT, BAR, GAP, TOP = 290, 60, 11, 12, 64
TICKS = [0.5, 0.7, 1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500]
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2430}.t{font-size:15px;font-weight:600}.n{font-size:10px}"
    ".g{stroke:#d5dae2}.o{stroke:#1f2430}"
    "@media(prefers-color-scheme:dark){text{fill:#e3e7ee}.g{stroke:#3a4150}.o{stroke:#e3e7ee}}"
)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(page, head, columns):
    """The columns that there are; (name, ratios) of each row, None where a cell is no number."""
    lines = page.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(head)]
    if not starts:
        sys.exit(f"plots: no table begins with {head!r}")
    titles = cells(lines[starts[0]])
    found = [(column, titles.index(column)) for column in columns if column in titles]
    rows = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        row = cells(line)
        rows.append((row[0], [number(row[i]) for _, i in found]))
    return [column for column, _ in found], rows


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return None


def draw(title, columns, rows):
    values = [value for _, row in rows for value in row if value]
    low, high = min([0.9] + values), max([1.5] + values)
    low = max((t for t in TICKS + [0.1] if t <= low), default=low)
    high = min((t for t in TICKS + [2000] if t >= high), default=high)
    width, step = 860, BAR * len(columns) + GAP
    height = TOP + step * len(rows) + 30

    def x(value):
        return LEFT + (width - LEFT - RIGHT) * math.log(value / low) / math.log(high / low)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">']
    parts.append(f"<title>{html.escape(title)} beside glibc</title><style>{STYLE}</style>")
    parts.append(f'<text class="t" x="8" y="20">{html.escape(title)}, ratio to glibc</text>')
    for i, column in enumerate(columns):
        parts.append(f'<rect x="{LEFT + i * 120}" y="32" width="10" height="10" fill="{COLOURS[i]}"/>')
        parts.append(f'<text x="{LEFT + i * 120 + 15}" y="41">{html.escape(column)}</text>')
    room = 0  # where the next label may begin
    for tick in TICKS:
        if low <= tick <= high:
            kind = "o" if tick == 1 else "g"
            at = f'x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{height - 22}"'
            parts.append(f'<line class="{kind}" {at}/>')
            if x(tick) >= room or tick == 1:
                parts.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
                room = x(tick) + 30
    for i, (name, row) in enumerate(rows):
        y = TOP + i * step
        middle = y + BAR * len(columns) / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:g}" text-anchor="end">{html.escape(name)}</text>')
        for j, value in enumerate(row):
            if value:
                start, end = sorted((x(1), x(value)))
                top = y + j * BAR
                parts.append(
                    f'<rect x="{start:.1f}" y="{top}" width="{max(end - start, 1):.1f}" height="{BAR - 2}"'
                    f' fill="{COLOURS[j]}"/><text class="n" x="{end + 4:.1f}" y="{top + 9}">{value:.2f}</text>'
                )
    return "\n".join(parts + ["</svg>", ""])


def main():
    checks = sys.argv[1:2] == ["--check"]
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY", "")
    page_path = sys.argv[2] if checks else os.path.join(root, "docs/costs.md")
    folder = sys.argv[3] if checks else os.path.join(root, "docs")
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    for name, head, columns, title in PLOTS:
        path = os.path.join(folder, name)
        text = draw(title, *table(page, head, columns))
        if not checks:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            continue
        with open(path, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit(f"plots: {path} is not what {page_path} says: ./bazelw run //tools/bench:plots")


main()
