"use strict";
// The script of the service's pages: keys, and pages that are brought up to date. `node service_page_test.js SCRIPT`.
const assert = require("node:assert");
const fs = require("node:fs");
const test = require("node:test");
const vm = require("node:vm");
const { Target, parse } = require("./dom.js");

const [script] = process.argv.slice(2);

const list = (...names) => `<table class="findings"><tbody>${names
  .map((n) => `<tr><td><a href="/findings/${n}">${n}</a></td></tr>`).join("")}</tbody></table>`;
const html = (inside) => `<html><body><span id="live" hidden></span><input id="search" value=""><main id="main">${
  inside}</main></body></html>`;

function page(inside, { answers = [], hidden = false, base = "" } = {}) {
  const document = parse(html(inside));
  document.currentScript = parse(`<script src="${base}/script.js"></script>`).querySelector("script");
  document.hidden = hidden;
  const window = new Target();
  const location = { href: "http://here/" };
  const p = { document, location, sources: [], asked: [], timers: [], selected: false };
  class EventSource extends Target {
    constructor(address) { super(); this.address = address; p.sources.push(this); }
    close() { this.closed = true; }
  }
  vm.runInNewContext(fs.readFileSync(script, "utf8"), {
    document, location, EventSource,
    DOMParser: class { parseFromString(text) { return parse(text); } },
    addEventListener: (type, run) => window.addEventListener(type, run),
    getSelection: () => ({ isCollapsed: !p.selected }),
    setTimeout: (run, after) => p.timers.push([run, after]),
    fetch: async (address) => {
      p.asked.push(address);
      const answer = answers.shift();
      if (answer === undefined) throw new Error("no network");
      return { ok: answer !== null, text: async () => html(answer ?? "") };
    },
  });
  const settled = () => new Promise((done) => setImmediate(done));
  return Object.assign(p, {
    main: document.getElementById("main"),
    live: document.getElementById("live"),
    search: document.getElementById("search"),
    here: () => document.querySelectorAll("tr.here").map((r) => r.textContent),
    key(name, event = {}) {
      let prevented = false;
      const preventDefault = () => { prevented = true; };
      window.dispatch("keydown", { key: name, target: document.body, preventDefault, ...event });
      return prevented;
    },
    async change() { p.sources.at(-1).dispatch("change"); await settled(); },
    async wait() { for (const [run] of p.timers.splice(0)) run(); await settled(); },
    async show(on) { document.hidden = !on; document.dispatch("visibilitychange"); await settled(); },
  });
}

test("j and k go from finding to finding and stop at the ends", () => {
  const p = page(list("one", "two", "three"));
  const seen = [];
  for (const key of ["j", "j", "j", "j", "k", "k", "k", "j"]) {
    p.key(key);
    seen.push(p.here().join());
    assert.equal(p.document.activeElement.textContent, seen.at(-1));
  }
  assert.deepEqual(seen, ["one", "two", "three", "three", "two", "one", "one", "two"]);
  assert.equal(page("<p>nothing</p>").key("j"), false);
});

test("/ goes to the search, g to all findings, ? to the list of keys", () => {
  const p = page(list("one"));
  assert.equal(p.key("/"), true);
  assert.equal(p.document.activeElement, p.search);
  assert.equal(p.search.selected, true);
  p.key("g");
  assert.equal(p.location.href, "/");
  p.key("?");
  p.key("?");
  const dialogs = p.document.querySelectorAll("dialog");
  assert.equal(dialogs.length, 1);
  assert.equal(dialogs[0].open, true);
  for (const key of ["/", "j k", "Enter", "g", "?", "Esc"]) {
    assert.ok(dialogs[0].querySelectorAll("kbd").some((k) => k.textContent === key), key);
  }
});

test("behind a proxy that has the pages below a path, g and the events are there", () => {
  const p = page(list("one"), { base: "/tools/ringfence" });
  p.key("g");
  assert.equal(p.location.href, "/tools/ringfence/");
  assert.equal(p.sources[0].address, "/tools/ringfence/api/v1/events");
});

test("keys that are typed, or that the browser has, are none of the page's", () => {
  const p = page(list("one"));
  for (const event of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { target: p.search }]) {
    p.key("j", event);
    p.key("g", event);
    assert.deepEqual([...p.here()], []);
    assert.equal(p.location.href, "http://here/");
  }
});

test("a change brings the page up to date, with the row and the link that one was at", async () => {
  const p = page(list("one", "two"), { answers: [list("zero", "one", "two"), list("zero", "one")] });
  assert.equal(p.sources[0].address, "/api/v1/events");
  p.key("j");
  p.key("j");
  await p.change();
  assert.deepEqual(p.asked, ["http://here/"]);
  assert.deepEqual(p.main.querySelectorAll("a").map((a) => a.textContent), ["zero", "one", "two"]);
  assert.deepEqual([...p.here()], ["two"]);
  assert.equal(p.document.activeElement.textContent, "two");
  assert.ok(p.main.contains(p.document.activeElement));
  p.key("k");
  assert.deepEqual([...p.here()], ["one"]);
  p.key("j");
  await p.change();
  assert.equal(p.asked.length, 1, "at most one request in two seconds");
  assert.equal(p.timers[0][1], 2000);
  await p.wait();
  assert.equal(p.asked.length, 2);
  assert.deepEqual([...p.here()], []); // "two" is no more
});

test("a page that one works with is left alone", async () => {
  const field = '<input id="note" value="">';
  const busy = {
    "text that is selected": (p) => { p.selected = true; },
    "a field that was written in": (p) => { p.document.getElementById("note").value = "x"; },
    "a field that has the focus": (p) => { p.document.getElementById("note").focus(); },
    "an open part": (p) => { p.document.getElementById("part").open = true; },
    "the list of keys": (p) => { p.key("?"); },
  };
  for (const [what, make] of Object.entries(busy)) {
    const p = page(`${field}<details id="part"></details>`, { answers: ["<p>new</p>"] });
    make(p);
    await p.change();
    assert.deepEqual(p.asked, [], what);
  }
  const idle = page(`${field}<details id="part"></details>`, { answers: ["<p>new</p>"] });
  await idle.change();
  assert.equal(idle.main.textContent, "new");
});

test("an answer that fails leaves the page, and is asked for again after a broken connection", async () => {
  const refused = page("<p>old</p>", { answers: [null, "<p>new</p>"] });
  await refused.change();
  assert.equal(refused.main.textContent, "old");
  await refused.wait();
  assert.equal(refused.asked.length, 1);
  const broken = page("<p>old</p>", { answers: [undefined, "<p>new</p>"] });
  await broken.change();
  assert.equal(broken.main.textContent, "old");
  await broken.wait();
  assert.equal(broken.main.textContent, "new");
});

test("the sign of life is there while the service is", () => {
  const p = page("");
  assert.equal(p.live.hidden, true);
  p.sources[0].dispatch("hello");
  assert.equal(p.live.hidden, false);
  p.sources[0].dispatch("error");
  assert.equal(p.live.hidden, true);
});

test("a hidden tab does not listen, and asks when it is seen again", async () => {
  const p = page("<p>old</p>", { hidden: true, answers: ["<p>new</p>"] });
  assert.equal(p.sources.length, 0);
  await p.show(true);
  assert.equal(p.sources.length, 1);
  assert.equal(p.main.textContent, "new");
  await p.show(true);
  assert.equal(p.sources.length, 1);
  await p.show(false);
  assert.equal(p.sources[0].closed, true);
  await p.show(true);
  assert.equal(p.sources.length, 2);
});
