// The pages in Chromium: `node page_check.js URL TOKEN FOLDER [PAGE...]`. Fails on an error of the console, a page that
// is wider than the window, or a serious complaint of axe-core. Writes a picture of each page into FOLDER.
"use strict";
const fs = require("fs");
const path = require("path");
const { chromium } = require("playwright-core");

const [base, token, folder, ...chosen] = process.argv.slice(2);
const pages = chosen.length ? chosen : ["/", "/?state=all&order=count", "/?search=nothing-is-called-so", "/finding/1",
  "/finding/2", "/builds", "/processes", "/process/1", "/process/1?snapshot=6&against=2", "/process/1?zoom=3", "/process/2", "/coverage",
  "/coverage/1", "/coverage/2?watched=yes", "/coverage/3?watched=all", "/steering", "/status", "/sign-in"];
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
let failures = 0;

const fail = (...what) => {
  failures++;
  console.log("FAIL", ...what);
};

// The field has the focus: nobody needs a mouse, or the key Tab, to sign in.
const signIn = async (page) => {
  await page.goto(base + "/sign-in");
  await page.keyboard.type(token);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
};

const look = async (browser, scheme, width, where) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, bypassCSP: true });
  const page = await context.newPage();
  const name = `${scheme}-${width}${where.replace(/\W+/g, "_")}`;
  await signIn(page);
  page.on("console", (m) => { if (m.type() === "error") fail(name, m.text()); });
  page.on("pageerror", (e) => fail(name, e.message));
  const begin = Date.now();
  await page.goto(base + where, { waitUntil: "domcontentloaded" });
  const ready = Date.now() - begin;
  await page.waitForTimeout(200);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 1) fail(name, "is", wide, "px wider than the window");
  await page.screenshot({ path: path.join(folder, name + ".png"), fullPage: true });
  await page.evaluate(axe);
  for (const v of (await page.evaluate(() => axe.run())).violations) {
    if (v.impact === "serious" || v.impact === "critical") fail(name, v.id, v.nodes[0].html.slice(0, 150));
  }
  await context.close();
  return ready;
};

// The finding that the keys have chosen keeps the focus while the list is made anew.
const keys = async (browser) => {
  const page = await (await browser.newContext()).newPage();
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("href"));
  await signIn(page);
  await page.goto(base + "/");
  for (const key of ["j", "j", "k", "j"]) await page.keyboard.press(key);
  const chosenOne = await focused();
  const rows = await page.evaluate(() => document.querySelectorAll(".findings tbody tr").length);
  const headers = { Authorization: `Bearer ${token}` };
  await page.request.post(base + "/api/v1/findings/20/ignore", { headers, form: { text: "a test plants it" } });
  await page.waitForFunction((n) => document.querySelectorAll(".findings tbody tr").length < n, rows);
  if (await focused() !== chosenOne) fail("keys: the focus was at", chosenOne, "and is at", await focused());
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  if (!page.url().endsWith(chosenOne)) fail("keys: Enter leads to", page.url());
  await page.request.post(base + "/api/v1/findings/20/reopen", { headers });
};

(async () => {
  const executablePath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((f) => fs.existsSync(f));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  if (!chosen.length) await keys(browser);
  let slowest = 0;
  for (const scheme of ["light", "dark"]) {
    for (const width of [1400, 768, 400]) {
      for (const where of pages) slowest = Math.max(slowest, await look(browser, scheme, width, where));
    }
  }
  await browser.close();
  console.log(`${pages.length * 6} pages, the slowest ready in ${slowest} ms, ${failures} failures`);
  process.exit(failures ? 1 : 0);
})();
