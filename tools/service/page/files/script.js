"use strict";
// Keys and freshness. Every page is whole without this.
(() => {
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const rows = () => [...document.querySelectorAll(".findings tbody tr")];
  const home = document.currentScript.getAttribute("src").replace(/script\.js$/, "");
  let here = -1;

  const busy = () => {
    const at = document.activeElement;
    const typed = [...main.querySelectorAll("input:not([type=hidden])")].some((i) => i.value !== i.defaultValue);
    return typed || (at && main.contains(at) && (at.matches("input, select, textarea, button, summary") || at.closest("svg"))) ||
      !getSelection().isCollapsed || document.querySelector("dialog[open], main details[open]");
  };

  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    if (all[here]) all[here].classList.remove("here");
    here = Math.min(Math.max(here + step, 0), all.length - 1);
    all[here].classList.add("here");
    const link = all[here].querySelector("a");
    if (link) link.focus({ preventScroll: true });
    all[here].scrollIntoView({ block: "nearest" });
  };

  const help = () => {
    let d = document.querySelector("dialog");
    if (!d) {
      d = document.createElement("dialog");
      d.setAttribute("aria-label", "Keys");
      const list = document.createElement("dl");
      for (const [key, what] of [["/", "search"], ["j k", "next, previous finding"], ["Enter", "open it"],
        ["g", "all findings"], ["?", "this list"], ["Esc", "close"]]) {
        const dt = document.createElement("dt");
        const k = document.createElement("kbd");
        k.textContent = key;
        dt.append(k);
        const dd = document.createElement("dd");
        dd.textContent = what;
        list.append(dt, dd);
      }
      d.append(list);
      document.body.append(d);
    }
    d.showModal();
  };

  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, select, textarea")) return;
    const search = document.getElementById("search");
    if (e.key === "/" && search) { e.preventDefault(); search.focus(); search.select(); }
    else if (e.key === "j") go(1);
    else if (e.key === "k") go(-1);
    else if (e.key === "g") location.href = home;
    else if (e.key === "?") help();
  });

  // The link that had the focus, and the row that keys go on from, are found again by their address.
  const replace = (fresh) => {
    const address = (link) => link && link.getAttribute("href");
    const focused = main.contains(document.activeElement) ? address(document.activeElement) : null;
    const at = rows()[here] ? address(rows()[here].querySelector("a")) : null;
    main.replaceChildren(...fresh.childNodes);
    here = at ? rows().findIndex((row) => address(row.querySelector("a")) === at) : -1;
    if (rows()[here]) rows()[here].classList.add("here");
    const again = focused && [...main.querySelectorAll("a")].find((link) => address(link) === focused);
    if (again) again.focus({ preventScroll: true });
  };

  let wanted = false;
  let running = false;
  const refresh = async () => {
    if (running || !wanted || document.hidden || busy()) return;
    running = true;
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
        if (fresh && !busy()) replace(fresh);
      }
    } catch { wanted = true; }
    setTimeout(() => { running = false; refresh(); }, 2000);
  };

  // Only the tab that is seen listens: browsers give one host six connections.
  let events = null;
  const listen = () => {
    if (document.hidden) {
      if (events) events.close();
      events = null;
      return;
    }
    if (events) return;
    events = new EventSource(home + "api/v1/events");
    events.addEventListener("hello", () => { live.hidden = false; });
    events.addEventListener("change", () => { wanted = true; refresh(); });
    events.addEventListener("error", () => { live.hidden = true; });
  };
  document.addEventListener("visibilitychange", () => {
    wanted = true;
    listen();
    refresh();
  });
  listen();
})();
