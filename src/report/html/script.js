"use strict";
// Everything shown here is put in as text nodes; nothing from the data is ever parsed as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // What counts against v2 comes first; within a verdict, the order of the run.
  const rank = ["different", "failed", "not_comparable", "noise", "match", "skipped"];
  data.sort((a, b) => rank.indexOf(a.verdict) - rank.indexOf(b.verdict));
  const byId = id => document.getElementById(id);
  const el = (tag, className, ...kids) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...kids.filter(kid => kid !== null && kid !== undefined).map(kid => kid instanceof Node ? kid : String(kid)));
    return node;
  };
  document.documentElement.classList.add("js");

  // Theme: the system's, until the button says otherwise.
  const theme = byId("theme");
  theme.hidden = false;
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme:dark)").matches ? "dark" : "light")) === "dark";
  const named = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", "Switch to the " + theme.textContent.toLowerCase() + " theme"); };
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; named(); });
  named();

  // The place in the page is in the address: #routes, #x=ID, #exchanges&q=TEXT&v=VERDICT.
  const panels = [...document.querySelectorAll(".panel")];
  const tabs = [...document.querySelectorAll(".tabs a")];
  const place = () => {
    const words = location.hash.slice(1).split("&");
    const values = new URLSearchParams(words.filter(word => word.includes("=")).join("&"));
    const panel = panels.find(p => p.id === words[0]) ? words[0] : values.has("x") || values.has("q") || values.has("v") ? "exchanges" : "differences";
    return { panel, x: values.get("x") || "", q: values.get("q") || "", v: values.get("v") || "" };
  };
  const go = change => {
    const to = { ...place(), ...change };
    const words = [to.panel];
    for (const key of ["x", "q", "v"]) if (to[key] && to.panel === "exchanges") words.push(key + "=" + encodeURIComponent(to[key]));
    history.replaceState(null, "", "#" + words.join("&"));
    show();
  };

  const q = byId("q"), v = byId("v"), list = byId("list"), detail = byId("detail");
  byId("filters").hidden = false;
  byId("filters").addEventListener("submit", event => event.preventDefault());
  for (const verdict of [...new Set(data.map(x => x.verdict))].sort()) {
    const option = el("option", "", verdict.replace("_", " "));
    option.value = verdict;
    v.append(option);
  }
  let waiting = 0;
  q.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => go({ q: q.value, x: "" }), 120); });
  v.addEventListener("change", () => go({ v: v.value, x: "" }));

  const haystacks = new Map();
  const haystack = x => {
    if (!haystacks.has(x)) haystacks.set(x, JSON.stringify(x).toLowerCase());
    return haystacks.get(x);
  };

  let listed = null, items = [];
  const MOST = 500;
  const relist = (query, verdict) => {
    const key = query + "\n" + verdict;
    if (key === listed) return;
    listed = key;
    const needle = JSON.stringify(query.toLowerCase()).slice(1, -1);
    items = data.filter(x => (!verdict || x.verdict === verdict) && (!query || haystack(x).includes(needle)));
    byId("shown").textContent = items.length === data.length ? data.length + " exchanges" : items.length + " of " + data.length + (items.length > MOST ? ", the first " + MOST + " listed" : "");
    list.replaceChildren(...items.slice(0, MOST).map(x => {
      const button = el("button", "",
        el("span", "t", x.method + " " + x.target),
        el("span", "s", el("span", "dot x-" + x.verdict, x.verdict.replace("_", " ")), el("span", "", (x.v1_status ?? "–") + " → " + (x.v2_status ?? "–")), el("span", "", x.differences.length ? x.differences.length + " diff." : "")));
      button.type = "button";
      button.dataset.id = x.id;
      button.addEventListener("click", () => { go({ panel: "exchanges", x: x.id }); if (matchMedia("(max-width:820px)").matches) detail.scrollIntoView(); });
      return el("li", "", button);
    }));
  };
  list.addEventListener("keydown", event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const now = document.activeElement && document.activeElement.closest("li");
    const next = step && now && (step > 0 ? now.nextElementSibling : now.previousElementSibling);
    if (next) { event.preventDefault(); next.firstChild.focus(); next.firstChild.click(); }
  });

  // What two lines have in common at both ends is left plain; what is between is marked.
  const marked = (line, other) => {
    if (line === null) return [];
    if (other === null) return [line];
    let a = 0, b = 0;
    const most = Math.min(line.length, other.length);
    while (a < most && line[a] === other[a]) a++;
    while (b < most - a && line[line.length - 1 - b] === other[other.length - 1 - b]) b++;
    const middle = line.slice(a, line.length - b);
    return [line.slice(0, a), middle ? el("mark", "", middle) : "", line.slice(line.length - b)];
  };
  const row = pair => {
    if (typeof pair === "string") return el("tr", "", el("td", "", pair), el("td", "", pair));
    const [left, right] = pair;
    return el("tr", "d", el("td", left === null ? "none" : "", ...marked(left, right)), el("td", right === null ? "none" : "", ...marked(right, left)));
  };
  const CONTEXT = 4;
  const sideBySide = (pairs, label) => {
    const body = el("tbody");
    let run = [];
    const flush = last => {
      const keepHead = body.children.length ? CONTEXT : 0, keepTail = last ? 0 : CONTEXT;
      const folded = run.length - keepHead - keepTail;
      if (folded < 6 || pairs.every(p => typeof p === "string")) { body.append(...run.map(row)); run = []; return; }
      const hidden = run.slice(keepHead, run.length - keepTail);
      const button = el("button", "", hidden.length + " equal lines");
      button.type = "button";
      const cell = el("td", "", button);
      cell.colSpan = 2;
      const fold = el("tr", "fold", cell);
      button.addEventListener("click", () => fold.replaceWith(...hidden.map(row)));
      body.append(...run.slice(0, keepHead).map(row), fold, ...run.slice(run.length - keepTail).map(row));
      run = [];
    };
    for (const pair of pairs) {
      if (typeof pair === "string") run.push(pair);
      else { flush(false); body.append(row(pair)); }
    }
    flush(true);
    const heads = ["v1, as captured", "v2, as answered"].map(text => { const th = el("th", "", text); th.scope = "col"; return th; });
    const box = el("div", "lines", el("table", "", el("thead", "", el("tr", "", ...heads)), body));
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", label);
    return box;
  };
  const value = (side, text) => el("div", side, el("span", "side", side), text === null ? el("em", "", "absent") : el("code", "", text));
  const ms = n => n === null ? "–" : (n >= 100 ? n.toFixed(0) : n.toFixed(2)) + " ms";

  let detailed = null;
  const describe = x => {
    if (x === detailed) return;
    detailed = x;
    if (!x) { detail.replaceChildren(el("p", "empty", data.length ? "Choose an exchange." : "No exchange is shown in full.")); return; }
    const parts = [
      el("h3", "", x.method + " " + x.target),
      el("p", "meta", el("b", "dot x-" + x.verdict, x.verdict.replace("_", " ")), " · ", x.host, " · ", x.role, " to ", x.destination, x.rule ? " by " + x.rule : "", x.by ? ", sent by " + x.by : "", " · v1 ", ms(x.v1_ms), ", v2 ", ms(x.v2_ms)),
      el("p", "meta", x.id, " · ", x.time, " · from ", x.client, x.late_ms !== null && x.late_ms >= 1 ? " · sent " + ms(x.late_ms) + " late" : ""),
    ];
    if (x.why) parts.push(el("p", "meta", el("b", "", x.why)));
    if (x.differences.length) parts.push(el("ul", "diffs", ...x.differences.map(d => el("li", "",
      el("span", "class k-" + d.class, d.class), " ", d.layer, " ", el("code", "", d.path), " ", el("span", "kind", d.kind.replaceAll("_", " ")),
      el("div", "values", value("v1", d.v1), value("v2", d.v2))))));
    const differs = pairs => pairs.some(pair => typeof pair !== "string");
    const sides = [["Bodies", x.bodies], ["Heads", x.heads]].filter(([, pairs]) => pairs.length);
    if (x.bodies.length && !differs(x.bodies) && differs(x.heads)) sides.reverse();
    for (const [name, pairs] of sides) parts.push(el("h4", "", name, " ", el("small", "", differs(pairs) ? "" : "the same")), sideBySide(pairs, name + " side by side"));
    parts.push(el("h4", "", x.verdict === "skipped" ? "Request as captured" : "Request as sent"), el("pre", "", x.request.join("\n")));
    detail.replaceChildren(...parts);
  };

  const show = () => {
    const at = place();
    for (const panel of panels) panel.hidden = panel.id !== at.panel;
    for (const tab of tabs) {
      if (tab.hash === "#" + at.panel) tab.setAttribute("aria-current", "true"); else tab.removeAttribute("aria-current");
    }
    if (at.panel !== "exchanges") return;
    if (q.value !== at.q) q.value = at.q;
    v.value = at.v;
    relist(at.q, at.v);
    const x = data.find(x => x.id === at.x) || items[0] || null;
    describe(x);
    if (at.x && !data.some(x => x.id === at.x)) detail.prepend(el("p", "note", "Exchange " + at.x + " is not among those shown in full; see exchanges.csv."));
    for (const button of list.querySelectorAll("button")) {
      if (x && button.dataset.id === x.id) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
    }
  };
  addEventListener("hashchange", () => { show(); if (place().x) byId("exchanges").scrollIntoView(); });
  show();
})();
