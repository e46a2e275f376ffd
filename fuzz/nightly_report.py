"""The findings of a night of fuzzing, for people and for machines: part of nightly.py."""

import html
import json
import os
import re

VIOLATION = re.compile(
    r"fuzz: [^\n]*?operation[^\n,]*(?:, (?P<statement>[^\n]*))?\n\s*(?P<rule>[a-z]+): (?P<what>[^\n]*)"
)
SANITIZER = re.compile(r"(?:ERROR: AddressSanitizer: |ERROR: libFuzzer: |runtime error: )(?P<what>[^\n]*)")
HOLDS = re.compile(r": operation \d+: (?P<what>.*) does not hold")
STATEMENT = re.compile(r"^ *\d+: (.*)$", re.MULTILINE)


def verb(statement):
    """The function that a statement calls."""
    found = re.search(r"(\w+)\(", statement or "")
    return found[1] if found else (statement or "").split(":")[0].strip()


def describe(output):
    """(key, words, statements): findings of one key, a rule and an operation, count as the same."""
    statements = STATEMENT.findall(output)
    last = statements[-1] if statements else ""
    found = VIOLATION.search(output)
    if found:
        return f"{found['rule']} {verb(found['statement'])}".strip(), found["what"], statements
    found = HOLDS.search(output)
    if found:
        return found["what"][:60], found["what"] + " does not hold", statements
    found = SANITIZER.search(output)
    if found:
        return f"{found['what'].split(' on ')[0][:40]} {verb(last)}".strip(), found["what"], statements
    lines = output.strip().splitlines() or ["it ended without a word"]
    return "ended " + verb(last), lines[-1], statements


def as_test(fuzzer, name, statements):
    """The operations as a GoogleTest, on an allocator `a`."""
    words = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name))
    lines = [f"TEST({fuzzer.capitalize()}, {words}) {{", "  rf_allocator *const a = /* as the harness makes it */;"]
    lines += ["  " + statement + ";" for statement in statements] or ["  /* the input has no operations to print */"]
    return "\n".join(lines + ["}"])


def summary(fuzzers, seconds, interrupted):
    lines = [f"{'fuzzer':16} {'executions':>13} {'cpu s':>8} {'edges':>6} {'inputs':>6}  result"]
    for fuzzer in fuzzers:
        r = fuzzer.record
        folder = fuzzer.path("corpus")
        inputs = len(os.listdir(folder)) if os.path.isdir(folder) else 0
        words = [finding["key"] for finding in fuzzer.findings] + fuzzer.troubles
        result = "; ".join(words) or ("no finding" if r["turns"] else "had no turn")
        lines.append(f"{fuzzer.name:16} {r['executions']:13,} {r['seconds']:8.0f} {r['edges']:6} {inputs:6}  {result}")
    findings = sum(len(fuzzer.findings) for fuzzer in fuzzers)
    troubles = sum(len(fuzzer.troubles) for fuzzer in fuzzers)
    idle = sum(1 for fuzzer in fuzzers if not fuzzer.record["turns"])
    state = "interrupted: a rerun goes on" if interrupted else "complete"
    lines.append(f"{findings} findings, {troubles} troubles, {idle} without a turn, in {seconds / 3600:.2f} h; {state}")
    return "\n".join(lines)


def attribute(text):
    """For XML, which has no place for control characters, whatever stands before them."""
    return html.escape(re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]", "?", text), quote=True)


def junit(fuzzers):
    cases = []
    for fuzzer in fuzzers:
        inner = ""
        for finding in fuzzer.findings:
            message = attribute(finding["key"] + ": " + finding["words"])
            inner += f'<failure message="{message}"/>'
        for trouble in fuzzer.troubles:
            inner += f'<error message="{attribute(trouble)}"/>'
        if not fuzzer.record["turns"]:
            inner = '<skipped message="it had no turn"/>'
        seconds = fuzzer.record["seconds"]
        cases.append(f'  <testcase classname="fuzz" name="{fuzzer.name}" time="{seconds:.1f}">{inner}</testcase>')
    failures = sum(1 for fuzzer in fuzzers if fuzzer.findings)
    errors = sum(1 for fuzzer in fuzzers if fuzzer.troubles)
    skipped = sum(1 for fuzzer in fuzzers if not fuzzer.record["turns"])
    counts = f'tests="{len(fuzzers)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="fuzz" {counts}>\n'
    return head + "\n".join(cases) + "\n</testsuite>\n"


def curve(history, width=240, height=60):
    """Edges over processor time."""
    points = [[0, history[0][1], 0]] + history if history else []
    if not points:
        return ""
    longest = max(point[0] for point in points) or 1
    low, high = min(point[1] for point in points), max(point[1] for point in points)
    span = max(high - low, 1)
    xy = " ".join(f"{width * p[0] / longest:.1f},{height - 4 - (height - 8) * (p[1] - low) / span:.1f}" for p in points)
    line = f'<polyline points="{xy}" fill="none" stroke="#2060a0" stroke-width="2"/>'
    return f'<svg width="{width}" height="{height}" role="img" aria-label="{low} to {high} edges">{line}</svg>'


def page(fuzzers, text):
    rows = []
    for fuzzer in fuzzers:
        r = fuzzer.record
        words = [f"{f['key']}: {f['words']}" for f in fuzzer.findings] + fuzzer.troubles
        found = "<br>".join(map(html.escape, words))
        cells = [fuzzer.name, f"{r['executions']:,}", f"{r['seconds']:.0f}", str(r["edges"])]
        cells += [curve(r["history"]), found]
        rows.append("<tr><td>" + "</td><td>".join(cells) + "</td></tr>")
    titles = ["fuzzer", "executions", "processor seconds", "edges", "edges over processor time", "findings"]
    head = "<!doctype html><meta charset=utf-8><title>Fuzzing</title><style>body{font:14px sans-serif}"
    head += "td,th{padding:4px 12px;text-align:left;border-bottom:1px solid #ccc}</style><h1>Fuzzing</h1>"
    table = "<table><tr><th>" + "</th><th>".join(titles) + "</th></tr>" + "\n".join(rows) + "</table>"
    return head + table + "<p>" + html.escape(text.splitlines()[-1]) + "</p>\n"


def write(folder, fuzzers, seconds, interrupted):
    """Writes all four files; the text of the summary."""
    text = summary(fuzzers, seconds, interrupted)
    data = {"seconds": round(seconds, 1), "interrupted": interrupted, "fuzzers": {}}
    for fuzzer in fuzzers:
        data["fuzzers"][fuzzer.name] = dict(fuzzer.record, findings=fuzzer.findings, troubles=fuzzer.troubles)
    files = {"summary.txt": text + "\n", "junit.xml": junit(fuzzers), "index.html": page(fuzzers, text)}
    files["nightly.json"] = json.dumps(data, indent=1) + "\n"
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    return text + "\nnightly: reports are in " + folder
