(function () {
  "use strict";
  var findings = Array.prototype.slice.call(document.querySelectorAll(".finding"));
  var rows = Array.prototype.slice.call(document.querySelectorAll("#list tbody tr"));
  var tools = document.getElementById("tools");
  var search = document.getElementById("search");
  var order = document.getElementById("order");
  var shown = document.getElementById("shown");
  var kinds = Array.prototype.slice.call(document.querySelectorAll("[data-kind-filter]"));
  var known = document.getElementById("hide-known");

  function chosen() {
    return kinds.filter(function (b) { return b.getAttribute("aria-pressed") === "true"; })
      .map(function (b) { return b.getAttribute("data-kind-filter"); });
  }

  function matches(finding, words, wanted, hideKnown) {
    if (wanted.length > 0 ? wanted.indexOf(finding.getAttribute("data-kind")) === -1 : false) { return false; }
    if (hideKnown ? finding.classList.contains("known") : false) { return false; }
    var text = finding.textContent.toLowerCase();
    return words.every(function (word) { return text.indexOf(word) !== -1; });
  }

  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(function (word) { return word; });
    var wanted = chosen();
    var hideKnown = known ? known.getAttribute("aria-pressed") === "true" : false;
    var count = 0;
    findings.forEach(function (finding) {
      var visible = matches(finding, words, wanted, hideKnown);
      count += visible ? 1 : 0;
      finding.hidden = !visible;
      var row = document.getElementById("row-" + finding.id);
      if (row) { row.hidden = !visible; }
    });
    shown.textContent = count === findings.length ? count + (count === 1 ? " finding" : " findings")
      : count + " of " + findings.length + " findings shown";
  }

  function value(element, key) {
    var text = element.getAttribute("data-" + key);
    return key === "kind" ? text : key === "place" ? text : Number(text);
  }

  function compare(key, direction) {
    return function (a, b) {
      var left = value(a, key);
      var right = value(b, key);
      if (left === right) { return value(a, "index") - value(b, "index"); }
      return (left > right ? 1 : -1) * direction;
    };
  }

  function arrange() {
    var key = order.value;
    var down = key === "times" ? true : key === "size";
    [[findings, document.getElementById("findings")], [rows, document.querySelector("#list tbody")]].forEach(function (pair) {
      if (pair[1]) {
        pair[0].slice().sort(compare(key, down ? -1 : 1)).forEach(function (element) { pair[1].appendChild(element); });
      }
    });
  }

  function toggle(button) {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "true" ? "false" : "true");
    filter();
  }

  function openAll(open) {
    findings.forEach(function (finding) { finding.open = open; });
  }

  function openTarget() {
    var target = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (target ? target.tagName === "DETAILS" : false) { target.open = true; }
  }

  if (tools) {
    tools.hidden = false;
    search.addEventListener("input", filter);
    order.addEventListener("change", arrange);
    kinds.concat(known ? [known] : []).forEach(function (button) {
      button.addEventListener("click", function () { toggle(button); });
    });
    document.getElementById("open-all").addEventListener("click", function () { openAll(true); });
    document.getElementById("close-all").addEventListener("click", function () { openAll(false); });
    if (findings.length > 8) { openAll(false); }
    filter();
  }
  openTarget();
  window.addEventListener("hashchange", openTarget);

  var wasOpen = [];
  window.addEventListener("beforeprint", function () {
    wasOpen = findings.filter(function (finding) { return finding.open; });
    openAll(true);
  });
  window.addEventListener("afterprint", function () {
    findings.forEach(function (finding) { finding.open = wasOpen.indexOf(finding) !== -1; });
  });

  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    var heads = Array.prototype.slice.call(table.querySelectorAll("thead th"));
    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      if (!head.hasAttribute("aria-sort")) { head.setAttribute("aria-sort", "none"); }
      button.addEventListener("click", function () {
        var up = head.getAttribute("aria-sort") === "descending";
        heads.forEach(function (other) { other.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        var body = table.tBodies[0];
        Array.prototype.slice.call(body.rows).sort(function (a, b) {
          var left = a.cells[column].getAttribute("data-value") || a.cells[column].textContent;
          var right = b.cells[column].getAttribute("data-value") || b.cells[column].textContent;
          var difference = isNaN(left) ? (left > right ? 1 : left === right ? 0 : -1) : Number(left) - Number(right);
          return up ? difference : -difference;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  });
}());
