"use strict";
// A document as far as the scripts of our pages ask for one: read from our own well-formed HTML, with the selectors,
// properties and events that these scripts use. What else they come to use is an error here, not silence.

const VOID = new Set(["area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"]);
const RAW = new Set(["script", "style"]);
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function unescape(text) {
  return text.replace(/&(#x[0-9a-f]+|#[0-9]+|[a-z]+);/gi, (whole, name) => {
    if (name[0] !== "#") return ENTITIES[name] ?? whole;
    return String.fromCodePoint(name[1] === "x" ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10));
  });
}

class Target {
  listeners = {};
  addEventListener(type, run) { (this.listeners[type] ||= []).push(run); }
  dispatch(type, event = {}) { for (const run of this.listeners[type] ?? []) run({ type, target: this, ...event }); }
}

class Text {
  constructor(text) { this.text = text; }
  get textContent() { return this.text; }
}

class Element extends Target {
  parent = null;
  childNodes = [];
  constructor(tag, attributes = {}) {
    super();
    this.tag = tag;
    this.attributes = attributes;
    this.value = attributes.value ?? "";
  }
  get tagName() { return this.tag.toUpperCase(); }
  get id() { return this.attributes.id ?? ""; }
  get children() { return this.childNodes.filter((n) => n instanceof Element); }
  get defaultValue() { return this.attributes.value ?? ""; }
  get hidden() { return "hidden" in this.attributes; }
  set hidden(on) { this.toggle("hidden", on); }
  get open() { return "open" in this.attributes; }
  set open(on) { this.toggle("open", on); }
  get textContent() { return this.childNodes.map((n) => n.textContent).join(""); }
  set textContent(text) { this.replaceChildren(...(text === "" ? [] : [new Text(String(text))])); }
  get classList() {
    const names = () => (this.attributes.class ?? "").split(/\s+/).filter(Boolean);
    const set = (list) => { this.attributes.class = list.join(" "); };
    return {
      contains: (name) => names().includes(name),
      add: (name) => set([...names().filter((n) => n !== name), name]),
      remove: (name) => set(names().filter((n) => n !== name)),
    };
  }
  get tBodies() { return this.children.filter((e) => e.tag === "tbody"); }
  get rows() { return this.children.filter((e) => e.tag === "tr"); }
  get cells() { return this.children.filter((e) => e.tag === "td" || e.tag === "th"); }
  toggle(name, on) { if (on) this.attributes[name] = ""; else delete this.attributes[name]; }
  getAttribute(name) { return this.attributes[name] ?? null; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  hasAttribute(name) { return name in this.attributes; }
  appendChild(node) {
    if (node.parent) node.parent.childNodes = node.parent.childNodes.filter((n) => n !== node);
    node.parent = this;
    this.childNodes.push(node);
    return node;
  }
  append(...nodes) { for (const node of nodes) this.appendChild(node); }
  replaceChildren(...nodes) {
    for (const child of this.childNodes) child.parent = null;
    this.childNodes = [];
    this.append(...nodes);
  }
  contains(other) { return other === this || (other?.parent ? this.contains(other.parent) : false); }
  matches(selector) { return selector.split(",").some((one) => chain(this, one.trim().split(/\s+/))); }
  closest(selector) { return this.matches(selector) ? this : this.parent?.closest?.(selector) ?? null; }
  querySelectorAll(selector) {
    const found = [];
    for (const child of this.children) {
      if (child.matches(selector)) found.push(child);
      found.push(...child.querySelectorAll(selector));
    }
    return found;
  }
  querySelector(selector) { return this.querySelectorAll(selector)[0] ?? null; }
  click() { this.dispatch("click"); }
  focus() { root(this).activeElement = this; }
  select() { this.selected = true; }
  scrollIntoView() { this.inView = true; }
  showModal() { this.open = true; }
}

function root(element) { return element.parent ? root(element.parent) : element; }

const PART = /([a-z][a-z0-9]*)|#([\w-]+)|\.([\w-]+)|\[([\w-]+)(?:=["']?([^\]"']*)["']?)?\]|:not\(([^)]*)\)/gy;

function fits(element, compound) {
  let at = 0;
  while (at < compound.length) {
    PART.lastIndex = at;
    const m = PART.exec(compound);
    if (!m) throw new Error("a selector that this document does not know: " + compound);
    at = PART.lastIndex;
    if (m[1] && element.tag !== m[1]) return false;
    if (m[2] && element.id !== m[2]) return false;
    if (m[3] && !element.classList.contains(m[3])) return false;
    if (m[4] && !element.hasAttribute(m[4])) return false;
    if (m[5] !== undefined && element.getAttribute(m[4]) !== m[5]) return false;
    if (m[6] && fits(element, m[6])) return false;
  }
  return true;
}

function chain(element, compounds) {
  if (!fits(element, compounds[compounds.length - 1])) return false;
  if (compounds.length === 1) return true;
  for (let up = element.parent; up; up = up.parent) {
    if (up instanceof Element && chain(up, compounds.slice(0, -1))) return true;
  }
  return false;
}

class Document extends Element {
  hidden_ = false;
  constructor() { super("#document"); this.activeElement = null; }
  get hidden() { return this.hidden_; }
  set hidden(on) { this.hidden_ = on; }
  get body() { return this.querySelector("body"); }
  getElementById(id) { return this.querySelectorAll("[id]").find((e) => e.id === id) ?? null; }
  createElement(tag) { return new Element(tag); }
}

function parse(html) {
  const document = new Document();
  let open = document;
  const value = `"[^"]*"|'[^']*'|[^\\s>]+`;
  const begin = `<([a-z][a-z0-9]*)((?:\\s+[\\w:-]+(?:\\s*=\\s*(?:${value}))?)*)\\s*(\\/?)>`;
  const token = new RegExp(`<!--[\\s\\S]*?-->|<[!?][^>]*>|<\\/([a-z0-9]+)\\s*>|${begin}|[^<]+`, "gi");
  for (let m; (m = token.exec(html)) !== null;) {
    const [whole, closed, begun, attributes, itself] = m;
    if (closed) {
      if (open.tag !== closed.toLowerCase()) throw new Error(`</${closed}> ends <${open.tag}>`);
      open = open.parent;
    } else if (begun) {
      const element = new Element(begun.toLowerCase());
      for (const a of (attributes ?? "").matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)) {
        element.attributes[a[1]] = unescape(a[2] ?? a[3] ?? a[4] ?? "");
      }
      element.value = element.defaultValue;
      open.appendChild(element);
      if (RAW.has(element.tag) && !itself) {
        const end = html.indexOf(`</${element.tag}>`, token.lastIndex);
        element.appendChild(new Text(html.slice(token.lastIndex, end)));
        token.lastIndex = end + element.tag.length + 3;
      } else if (!itself && !VOID.has(element.tag)) {
        open = element;
      }
    } else if (whole[0] !== "<") {
      open.appendChild(new Text(unescape(whole)));
    }
  }
  if (open !== document) throw new Error(`<${open.tag}> has no end`);
  for (const list of document.querySelectorAll("select")) {
    const options = list.querySelectorAll("option");
    const chosen = options.find((o) => o.hasAttribute("selected")) ?? options[0];
    list.value = chosen ? chosen.getAttribute("value") ?? chosen.textContent : "";
  }
  return document;
}

module.exports = { Target, parse };
