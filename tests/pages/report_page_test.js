"use strict";
// The script of a report's page, on pages that the command wrote: `node report_page_test.js RINGFENCE SCRIPT`.
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const test = require("node:test");
const vm = require("node:vm");
const { Target, parse } = require("./dom.js");

const [command, script] = process.argv.slice(2);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "pages-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true }));

const leak = (name, size, times = 1) => Array(times).fill(JSON.stringify({
  type: "finding", bug: "memory-leak", size, blocks: 1, detail: "nothing points to it",
  allocated: { frames: [{ pc: "0x1", function: name, file: name + ".c", line: 3 }] },
}));
const overflow = (name, times) => Array(times).fill(JSON.stringify({
  type: "finding", bug: "heap-buffer-overflow", size: 8, address: "0x10008", block: "0x10000",
  allocated: { frames: [{ pc: "0x2", function: name, file: name + ".c", line: 7 }] },
}));

function write(name, lines) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, lines.join("\n") + "\n");
  return file;
}

function page(lines, { known = [], hash = "" } = {}) {
  const options = ["report", "--quiet", "--exitcode=0", "--format=html", "--no-symbols"];
  if (known.length !== 0) {
    const baseline = path.join(folder, "known.txt");
    execFileSync(command, ["report", "--quiet", "--write-baseline", baseline, write("known.json", known)]);
    options.splice(1, 1, "--baseline", baseline); // --quiet leaves known findings out
  }
  const html = execFileSync(command, [...options, write("found.json", lines)], { encoding: "utf8", stdio: "pipe" });
  const document = parse(html);
  const window = new Target();
  const location = { hash };
  vm.runInNewContext(fs.readFileSync(script, "utf8"), { document, window, location });
  const at = (id) => document.getElementById(id);
  return {
    document, window, location, at,
    findings: () => document.querySelectorAll(".finding"),
    visible: () => document.querySelectorAll(".finding").filter((f) => !f.hidden).map(place),
    rows: () => document.querySelectorAll("#list tbody tr").filter((r) => !r.hidden).length,
    type(text) { at("search").value = text; at("search").dispatch("input"); },
    sort(key) { at("order").value = key; at("order").dispatch("change"); },
  };
}

const place = (finding) => /(\w+)\.c:\d/.exec(finding.getAttribute("data-place"))[1];

const mixed = [...leak("apple", 100), ...overflow("banana", 3), ...leak("cherry", 9), ...leak("banana", 20, 2)];

test("all findings are shown at first, with their number", () => {
  const p = page(mixed);
  assert.equal(p.at("tools").hidden, false);
  assert.equal(p.visible().length, 4);
  assert.equal(p.at("shown").textContent, "4 findings");
  assert.equal(page(leak("apple", 1)).at("shown").textContent, "1 finding");
});

test("a search shows the findings that have all of its words, and their rows", () => {
  const p = page(mixed);
  p.type("BANANA");
  assert.deepEqual([...p.visible()].sort(), ["banana", "banana"]);
  assert.equal(p.rows(), 2);
  assert.equal(p.at("shown").textContent, "2 of 4 findings shown");
  p.type("  banana   leak ");
  assert.deepEqual([...p.visible()], ["banana"]);
  assert.equal(p.at("shown").textContent, "1 of 4 findings shown");
  p.type("durian");
  assert.equal(p.rows(), 0);
  assert.equal(p.at("shown").textContent, "0 of 4 findings shown");
  p.type("");
  assert.equal(p.at("shown").textContent, "4 findings");
});

test("buttons of kinds show these kinds only, and again all", () => {
  const p = page(mixed);
  const buttons = p.document.querySelectorAll("[data-kind-filter]");
  const leaks = buttons.find((b) => b.getAttribute("data-kind-filter") === "memory-leak");
  const overflows = buttons.find((b) => b.getAttribute("data-kind-filter") === "heap-buffer-overflow");
  overflows.click();
  assert.equal(overflows.getAttribute("aria-pressed"), "true");
  assert.deepEqual([...p.visible()], ["banana"]);
  leaks.click();
  assert.equal(p.visible().length, 4);
  overflows.click();
  assert.equal(p.visible().length, 3);
  leaks.click();
  assert.equal(p.visible().length, 4);
});

test("known findings can be hidden", () => {
  const p = page(mixed, { known: leak("apple", 100) });
  assert.equal(p.visible().length, 4);
  p.at("hide-known").click();
  assert.equal(p.visible().includes("apple"), false);
  assert.equal(p.at("shown").textContent, "3 of 4 findings shown");
  p.at("hide-known").click();
  assert.equal(p.visible().length, 4);
});

test("findings and rows are ordered by times, size, kind and place", () => {
  const p = page(mixed);
  const numbers = (key) => p.findings().map((f) => Number(f.getAttribute("data-" + key)));
  const texts = (key) => p.findings().map((f) => f.getAttribute("data-" + key));
  const index = numbers("index");
  for (const key of ["times", "size"]) {
    p.sort(key);
    assert.deepEqual([...numbers(key)], [...numbers(key)].sort((a, b) => b - a), key);
  }
  for (const key of ["kind", "place"]) {
    p.sort(key);
    assert.deepEqual([...texts(key)], [...texts(key)].sort(), key);
  }
  const rows = p.document.querySelectorAll("#list tbody tr").map((r) => r.getAttribute("data-place"));
  assert.deepEqual([...rows], [...texts("place")]);
  p.sort("index");
  assert.deepEqual([...numbers("index")], [...index].sort((a, b) => a - b));
  p.sort("kind"); // equal ones keep their order
  const leaks = p.findings().filter((f) => f.getAttribute("data-kind") === "memory-leak");
  const order = leaks.map((f) => Number(f.getAttribute("data-index")));
  assert.deepEqual([...order], [...order].sort((a, b) => a - b));
});

test("all findings are opened and closed together; more than eight begin closed", () => {
  const p = page(mixed);
  p.at("close-all").click();
  assert.equal(p.findings().some((f) => f.open), false);
  p.at("open-all").click();
  assert.equal(p.findings().every((f) => f.open), true);
  const many = (count) => Array.from({ length: count }, (_, i) => leak("f" + i, i + 1)).flat();
  assert.equal(page(many(8)).findings().every((f) => f.open), true);
  assert.equal(page(many(9)).findings().some((f) => f.open), false);
});

test("the finding that an address names is open", () => {
  const many = Array.from({ length: 12 }, (_, i) => leak("f" + i, i + 1)).flat();
  const id = page(many).findings()[3].id;
  const p = page(many, { hash: "#" + id });
  assert.deepEqual([...p.findings().filter((f) => f.open).map((f) => f.id)], [id]);
  p.location.hash = "#" + p.findings()[5].id;
  p.window.dispatch("hashchange");
  assert.equal(p.findings()[5].open, true);
  p.location.hash = "#nothing";
  p.window.dispatch("hashchange");
  assert.equal(p.findings().filter((f) => f.open).length, 2);
});

test("print shows all findings open, and leaves them as they were", () => {
  const p = page(mixed);
  p.findings()[1].open = false;
  p.window.dispatch("beforeprint");
  assert.equal(p.findings().every((f) => f.open), true);
  p.window.dispatch("afterprint");
  assert.deepEqual([...p.findings().map((f) => f.open)], [true, false, true, true]);
});

test("tables of snapshots are sorted by a click on a column, by number or text", () => {
  const site = (name, blocks, bytes) => ({
    blocks, bytes, allocated: { frames: [{ pc: "0x" + name.length, function: name, file: name + ".c", line: 1 }] },
  });
  const sum = (sites, key) => sites.reduce((n, s) => n + s[key], 0);
  const snapshot = (...sites) =>
    JSON.stringify({ type: "snapshot", blocks: sum(sites, "blocks"), bytes: sum(sites, "bytes"), sites });
  const before = snapshot(site("apple", 19, 8), site("cherries", 2, 1100));
  const p = page([before, snapshot(site("apple", 20, 9), site("cherries", 3, 1200))]);
  const table = p.document.querySelectorAll("table.sortable").at(-1); // of what has changed between the two
  assert.match(table.textContent, /\+100\+1cherries cherries\.c:1/);
  const heads = table.querySelectorAll("thead th");
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    const cells = () => table.tBodies[0].rows.map((r) => {
      const text = r.cells[column].getAttribute("data-value") || r.cells[column].textContent;
      return isNaN(text) ? text : Number(text);
    });
    const sorted = (sign) => [...cells()].sort((a, b) => (a > b ? sign : a < b ? -sign : 0));
    button.click();
    const direction = head.getAttribute("aria-sort");
    assert.deepEqual([...cells()], sorted(direction === "ascending" ? 1 : -1), button.textContent);
    button.click();
    assert.notEqual(head.getAttribute("aria-sort"), direction);
    assert.deepEqual([...cells()], sorted(direction === "ascending" ? -1 : 1), button.textContent);
    assert.equal(heads.filter((h) => h.getAttribute("aria-sort") !== "none").length, 1);
  });
});
