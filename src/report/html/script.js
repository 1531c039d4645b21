"use strict";
// Everything shown here is put in as text nodes; nothing from the data is ever parsed as markup.
(() => {
  const byId = id => document.getElementById(id);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const el = (tag, className, ...kids) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...kids.filter(kid => kid !== null && kid !== undefined).map(kid => kid instanceof Node ? kid : String(kid)));
    return node;
  };
  const root = document.documentElement;
  root.classList.add("js");

  // A browser may refuse to keep anything for a file; then each visit starts afresh.
  const kept = { get(key) { try { return localStorage.getItem("shadowcap-" + key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem("shadowcap-" + key, value); } catch { /* not kept */ } } };
  const say = text => { byId("said").textContent = ""; setTimeout(() => { byId("said").textContent = text; }, 30); };

  // Theme: the system's, until the button says otherwise.
  byId("tools").hidden = false;
  const theme = byId("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme:dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", theme.textContent + " theme"); };
  const turn = () => { root.dataset.theme = isDark() ? "light" : "dark"; kept.set("theme", root.dataset.theme); name(); };
  if (["light", "dark"].includes(kept.get("theme"))) root.dataset.theme = kept.get("theme");
  theme.addEventListener("click", turn);
  name();

  // The exchanges: a line of each in the index, all of it in a script element that is parsed when looked at.
  const rank = ["different", "failed", "not_comparable", "noise", "match", "skipped"];
  const details = all("script.x");
  const index = JSON.parse(byId("index").textContent);
  index.forEach((x, n) => { x.n = n; x.status = (x.v1_status ?? "–") + " → " + (x.v2_status ?? "–"); });
  // What counts against v2 comes first; within a verdict, the order of the run.
  index.sort((a, b) => rank.indexOf(a.verdict) - rank.indexOf(b.verdict) || a.n - b.n);
  const byKey = new Map(index.map(x => [x.key, x]));
  const haystacks = [];
  const haystack = x => haystacks[x.n] ??= (JSON.stringify(x) + details[x.n].textContent).toLowerCase();
  // The text as it stands within the data, where some characters are escapes.
  const needle = text => JSON.stringify(text.toLowerCase()).slice(1, -1)
    .replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026");

  // The place in the page is in the address: #routes, #exchanges&q=TEXT&v=VERDICT&x=KEY.
  const panels = all(".panel"), tabs = all(".tabs a");
  const KEYS = { exchanges: ["x", "q", "v", "s", "r", "to", "d"], differences: ["d", "q", "layer", "class", "standing"] };
  const place = () => {
    const [first, ...words] = location.hash.slice(1).split("&");
    const values = {};
    for (const word of first.includes("=") ? [first, ...words] : words) {
      const at = word.indexOf("=");
      if (at > 0) try { values[word.slice(0, at)] = decodeURIComponent(word.slice(at + 1)); } catch { /* not ours */ }
    }
    const panel = panels.some(p => p.id === first) ? first : "x" in values ? "exchanges" : "differences";
    return { panel, ...values };
  };
  const address = to => "#" + [to.panel, ...(KEYS[to.panel] || []).filter(key => to[key]).map(key => key + "=" + encodeURIComponent(to[key]))].join("&");
  const go = change => {
    const at = place();
    const to = change.panel && change.panel !== at.panel ? change : { ...at, ...change };
    history.replaceState(null, "", address(to));
    show();
  };

  const copy = async (text, what) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = el("textarea", "unseen");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(what + " is copied");
  };
  const flash = button => {
    const label = button.dataset.label ??= button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  };
  document.addEventListener("click", event => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    copy(button.parentNode.querySelector("pre").textContent, button.dataset.says);
    flash(button);
  });

  // Cards.
  const filters = ["layer", "class", "standing"].map(key => [key, byId("d-" + key)]).filter(([, select]) => select);
  const cards = all("#cards > .card");
  const cardTexts = [];
  byId("d-filters").hidden = cards.length < 2;
  const showCards = at => {
    if (byId("d-q").value !== (at.q || "")) byId("d-q").value = at.q || "";
    for (const [key, select] of filters) select.value = at[key] || "";
    const text = (at.q || "").toLowerCase();
    let n = 0;
    cards.forEach((card, i) => {
      const fits = filters.every(([key]) => !at[key] || card.dataset[key] === at[key]) && (!text || (cardTexts[i] ??= card.textContent.toLowerCase()).includes(text));
      card.hidden = !fits;
      n += fits;
    });
    byId("d-shown").textContent = n === cards.length ? n + " distinct" : n + " of " + cards.length;
    const card = at.d && byId("d-" + at.d);
    if (card && card !== document.activeElement) { card.focus({ preventScroll: true }); card.scrollIntoView({ block: "center" }); }
  };

  // The list of exchanges.
  const q = byId("q"), selects = { v: byId("v"), s: byId("s"), r: byId("r"), to: byId("to") };
  const of = { v: x => x.verdict, s: x => x.status, r: x => x.route, to: x => x.destination };
  const list = byId("items"), detail = byId("detail");
  byId("filters").hidden = false;
  for (const form of [byId("filters"), byId("d-filters")]) form.addEventListener("submit", event => event.preventDefault());
  for (const [key, select] of Object.entries(selects)) {
    for (const value of [...new Set(index.map(of[key]))].filter(Boolean).sort()) {
      const option = el("option", "", key === "v" ? value.replace("_", " ") : value);
      option.value = value;
      select.append(option);
    }
    select.addEventListener("change", () => go({ [key]: select.value, x: "" }));
  }
  byId("to-label").hidden = selects.to.length < 3;
  let waiting = 0;
  const later = work => { clearTimeout(waiting); waiting = setTimeout(work, 120); };
  q.addEventListener("input", () => later(() => go({ q: q.value, x: "" })));
  byId("d-q").addEventListener("input", () => later(() => go({ q: byId("d-q").value, d: "" })));
  for (const [key, select] of filters) select.addEventListener("change", () => go({ [key]: select.value, d: "" }));
  byId("all").addEventListener("click", () => go({ d: "", x: "" }));

  const MOST = 200;
  let listed = null, items = [], rows = 0;
  const item = x => {
    const button = el("button", "",
      el("span", "t", x.method + " " + x.target),
      el("span", "s", el("span", "dot x-" + x.verdict, x.verdict.replace("_", " ")), el("span", "", x.status), el("span", "", x.differences.length ? x.differences.length + " diff." : "")));
    button.type = "button";
    button.dataset.key = x.key;
    button.addEventListener("click", () => { choose(x.key); if (matchMedia("(max-width:820px)").matches) detail.scrollIntoView(); });
    return el("li", "", button);
  };
  const extend = upTo => {
    list.append(...items.slice(rows, upTo).map(item));
    rows = Math.max(rows, Math.min(upTo, items.length));
    byId("more").hidden = rows >= items.length;
    byId("more").textContent = items.length - rows + " more";
  };
  byId("more").addEventListener("click", () => extend(rows + MOST));
  const relist = at => {
    const key = JSON.stringify(["q", "v", "s", "r", "to", "d"].map(key => at[key] || ""));
    if (key === listed) return;
    listed = key;
    const text = at.q ? needle(at.q) : "";
    items = index.filter(x => Object.keys(of).every(key => !at[key] || of[key](x) === at[key]) && (!at.d || x.differences.includes(at.d)) && (!text || haystack(x).includes(text)));
    byId("shown").textContent = items.length === index.length ? index.length + " exchanges" : items.length + " of " + index.length;
    list.replaceChildren();
    rows = 0;
    extend(MOST);
  };
  const choose = key => go({ panel: "exchanges", x: key });

  // What two lines have in common stays plain; words that only one has are marked.
  const words = line => line.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) || [];
  const marked = (line, other) => {
    if (line === null) return [];
    if (other === null) return [line];
    const a = words(line), b = words(other);
    let head = 0, tail = 0;
    const most = Math.min(a.length, b.length);
    while (head < most && a[head] === b[head]) head++;
    while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const mid = a.slice(head, a.length - tail), against = b.slice(head, b.length - tail);
    return [a.slice(0, head).join(""), ...middle(mid, against), a.slice(a.length - tail).join("")];
  };
  // Longer stretches are marked as a whole: the table of what is common would grow with their product.
  const middle = (a, b) => {
    if (!a.length) return [];
    if (a.length * b.length > 40000 || !b.length) return [el("mark", "", a.join(""))];
    const width = b.length + 1, common = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    const out = [];
    let i = 0, j = 0, text = "", mark = false;
    const put = (word, isMarked) => { if (isMarked !== mark && text) { out.push(mark ? el("mark", "", text) : text); text = ""; } mark = isMarked; text += word; };
    while (i < a.length) {
      if (j < b.length && a[i] === b[j]) { put(a[i++], false); j++; }
      else if (j < b.length && common[i * width + j + 1] > common[(i + 1) * width + j]) j++;
      else put(a[i++], true);
    }
    if (text) out.push(mark ? el("mark", "", text) : text);
    return out;
  };
  const row = pair => {
    if (typeof pair === "string") return el("tr", "", el("td", "", pair), el("td", "", pair));
    const [left, right] = pair;
    return el("tr", "d", el("td", left === null ? "none" : "", ...marked(left, right)), el("td", right === null ? "none" : "", ...marked(right, left)));
  };
  const CONTEXT = 3;
  const sideBySide = (pairs, label) => {
    const body = el("tbody");
    let run = [];
    const differs = pairs.some(pair => typeof pair !== "string");
    const flush = last => {
      const keepHead = body.children.length ? CONTEXT : 0, keepTail = last ? 0 : CONTEXT;
      if (!differs || run.length - keepHead - keepTail < 4) { body.append(...run.map(row)); run = []; return; }
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
  const button = (text, work) => { const node = el("button", "", text); node.type = "button"; node.addEventListener("click", () => work(node)); return node; };

  const bodies = d => {
    const box = el("div", "body");
    const showing = raw => {
      const head = el("h4", "", "Bodies ");
      if (d.raw) for (const [text, isRaw] of [["Decoded", false], ["Raw", true]]) {
        const toggle = button(text, () => { showing(isRaw); box.querySelector("[aria-pressed=true]").focus(); });
        toggle.setAttribute("aria-pressed", String(raw === isRaw));
        head.append(toggle, " ");
      }
      const notes = el("p", "meta", "v1: " + d.notes[0] + " · v2: " + d.notes[1]);
      const pairs = raw ? d.raw : d.bodies;
      box.replaceChildren(head, notes, pairs.length ? sideBySide(pairs, "Bodies side by side") : el("p", "meta", "Both are empty."));
    };
    showing(false);
    return box;
  };

  let detailed;
  const describe = x => {
    if (x === detailed) return;
    detailed = x;
    if (!x) { detail.replaceChildren(el("p", "empty", index.length ? "No exchange fits." : "No exchange is shown in full.")); return; }
    const d = JSON.parse(details[x.n].textContent);
    const parts = [
      el("h3", "", x.method + " " + d.target),
      el("p", "meta", el("b", "dot x-" + x.verdict, x.verdict.replace("_", " ")), " · ", x.status, " · ", x.host, " · ", d.role, " to ", x.destination, d.rule ? " by " + d.rule + (d.matched ? " (" + d.matched + ")" : "") : "", d.reason ? ": " + d.reason : "", d.by ? ", sent by " + d.by : "", " · ", el("span", "whole", "v1 ", ms(x.v1_ms), ", v2 ", ms(x.v2_ms))),
      el("p", "meta", d.id, " · ", d.time, " · from ", d.client, d.late_ms !== null && d.late_ms >= 1 ? " · sent " + ms(d.late_ms) + " late" : "", d.anomalies.length ? " · " + d.anomalies.join(", ") : ""),
    ];
    if (d.why) parts.push(el("p", "meta", el("b", "", d.why)));
    if (d.differences.length) parts.push(el("ul", "diffs", ...d.differences.map(one => el("li", "",
      el("span", "class k-" + one.class, one.class), " ", one.layer, " ", el("code", "", one.path), " ", el("span", "kind", one.kind),
      el("div", "values", value("v1", one.v1), value("v2", one.v2))))));
    const differs = pairs => pairs.some(pair => typeof pair !== "string");
    const heads = [el("h4", "", "Heads ", el("small", "", differs(d.heads) ? "" : "the same")), sideBySide(d.heads, "Heads side by side")];
    const body = d.bodies.length || d.raw ? [bodies(d)] : [];
    if (d.heads.length) parts.push(...(!differs(d.bodies) && differs(d.heads) ? [...heads, ...body] : [...body, ...heads]));
    parts.push(el("h4", "", x.verdict === "skipped" ? "Request as captured" : "Request as sent"), el("pre", "", d.request.join("\n")));
    if (d.raw_request) parts.push(el("details", "raw", el("summary", "", "Its body, raw"), el("pre", "", d.raw_request.join("\n"))));
    if (d.curl) {
      const copies = el("button", "copy", "Copy curl line");
      copies.type = "button";
      copies.dataset.says = "The curl line";
      const secret = d.curl.includes("redacted:") ? el("p", "meta", "Secrets are redacted in it: put your own in place of redacted:… before you run it.") : null;
      parts.push(el("h4", "", "Again, by hand"), el("div", "curl", el("pre", "", d.curl), copies, secret));
    } else if (d.no_curl) parts.push(el("p", "meta", "No curl line: " + d.no_curl + "."));
    detail.replaceChildren(...parts);
  };

  const showExchanges = at => {
    if (q.value !== (at.q || "")) q.value = at.q || "";
    for (const [key, select] of Object.entries(selects)) select.value = at[key] || "";
    byId("only").hidden = !at.d;
    relist(at);
    const x = byKey.get(at.x) || (at.x ? null : items[0]);
    describe(x);
    if (at.x && !x) detail.replaceChildren(el("p", "note", "Exchange " + at.x + " is not among those shown in full; see exchanges.csv, or ask: shadowcap report RUN --show " + at.x));
    const where = items.indexOf(x);
    if (where >= rows) extend(where + MOST);
    for (const node of all("button", list)) {
      if (x && node.dataset.key === x.key) node.setAttribute("aria-current", "true"); else node.removeAttribute("aria-current");
    }
  };
  const show = () => {
    const at = place();
    for (const panel of panels) panel.hidden = panel.id !== at.panel;
    for (const tab of tabs) {
      if (tab.hash === "#" + at.panel) { tab.setAttribute("aria-current", "true"); tab.scrollIntoView({ block: "nearest", inline: "nearest" }); } else tab.removeAttribute("aria-current");
    }
    if (at.panel === "exchanges") showExchanges(at);
    if (at.panel === "differences") showCards(at);
  };
  // On paper all parts stand one behind the other, with an exchange in full.
  addEventListener("beforeprint", () => { if (!detailed) describe(items[0] || index[0]); });
  addEventListener("hashchange", () => { show(); const at = place(); if (at.x || at.d) byId(at.panel).scrollIntoView(); });

  // Keys.
  const keysOn = byId("keys-on"), keys = byId("keys");
  keysOn.checked = kept.get("keys") !== "off";
  keysOn.addEventListener("change", () => kept.set("keys", keysOn.checked ? "on" : "off"));
  byId("help").addEventListener("click", () => keys.showModal());
  const step = by => {
    const at = place();
    if (at.panel === "exchanges") {
      const now = items.indexOf(byKey.get(at.x) || items[0]);
      const next = items[Math.min(items.length - 1, Math.max(0, (at.x ? now : now) + by))];
      if (!next) return;
      choose(next.key);
      const shown = all("button", list).find(node => node.dataset.key === next.key);
      if (shown) shown.scrollIntoView({ block: "nearest" });
    } else {
      const shown = all(".panel:not([hidden]) .card:not([hidden])");
      const now = shown.indexOf(document.activeElement.closest(".card"));
      const next = shown[Math.min(shown.length - 1, Math.max(0, now + by))];
      if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
    }
  };
  const search = () => {
    if (place().panel !== "differences" || byId("d-filters").hidden) { if (place().panel !== "exchanges") go({ panel: "exchanges" }); q.focus(); q.select(); } else { byId("d-q").focus(); byId("d-q").select(); }
  };
  const copyHere = () => {
    const from = place().panel === "exchanges" ? detail : document.activeElement.closest(".card");
    const node = from && from.querySelector("button.copy");
    if (node) node.click();
  };
  const open = () => { const link = document.activeElement.matches(".card") && document.activeElement.querySelector(".examples a"); if (link) link.click(); return link; };
  document.addEventListener("keydown", event => {
    const at = event.target;
    if (event.key === "Escape" && at.matches("input[type=search]")) { at.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open || at.matches("input,select,textarea")) return;
    if (list.contains(at) && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      const now = at.closest("li"), next = event.key === "ArrowDown" ? now.nextElementSibling : now.previousElementSibling;
      if (next) { event.preventDefault(); next.firstChild.focus(); choose(next.firstChild.dataset.key); }
      return;
    }
    if (event.key === "Enter" && open()) { event.preventDefault(); return; }
    if (!keysOn.checked && event.key !== "?") return;
    const work = { j: () => step(1), k: () => step(-1), "/": search, t: turn, c: copyHere, "?": () => keys.showModal() }[event.key]
      || (tabs[event.key - 1] && (() => tabs[event.key - 1].click()));
    if (work) { event.preventDefault(); work(); }
  });
  show();
})();
