// Opens a report in Chromium as a reader would, and says what is wrong:
//   node browser.mjs target/node CHROMIUM PAGE real|hostile|large [SCREENSHOTS]
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const [place, executablePath, file, kind, screenshots] = process.argv.slice(2);
const require = createRequire(resolve(place, "browser.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const address = "file://" + resolve(file);

const faults = [];
const expect = (right, what) => { if (!right) faults.push(what); };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

const open = async (options = {}, hash = "") => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.on("console", message => { if (["error", "warning"].includes(message.type())) faults.push("console: " + message.text()); });
  page.on("pageerror", error => faults.push("error: " + error.message));
  page.on("dialog", dialog => { faults.push("dialog: " + dialog.message()); dialog.dismiss(); });
  page.on("request", request => { if (!request.url().startsWith(address)) faults.push("request: " + request.url()); });
  page.on("framenavigated", frame => { if (!frame.url().startsWith(address)) faults.push("went to " + frame.url()); });
  page.on("popup", () => faults.push("opened a window"));
  await page.goto(address + hash);
  return page;
};
// The page changes its panels when the browser tells it of the new address, which is behind what is waiting by then.
const settled = page => page.evaluate(() => new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)))));
const shown = async page => (await settled(page), page.$$eval(".panel", panels => panels.filter(p => !p.hidden).map(p => p.id).join()));
const hash = page => page.evaluate(() => location.hash);
const text = (page, selector) => page.$eval(selector, node => node.textContent);
const clip = page => page.evaluate(() => navigator.clipboard.readText());

const judge = async (page, where) => {
  // axe is run from outside the page's own policy.
  await page.evaluate(axe + "; undefined");
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const v of violations) if (["serious", "critical", "moderate"].includes(v.impact)) faults.push("axe, " + where + ": " + v.id + " at " + v.nodes.slice(0, 3).map(n => n.target.join(" ")).join("; "));
};

const TABS = ["differences", "exchanges", "routes", "latency", "noise", "ruled-out", "anomalies", "run"];

const everyTab = async options => {
  const page = await open(options);
  for (const [n, tab] of TABS.entries()) {
    await page.click(`.tabs a[href="#${tab}"]`);
    expect(await shown(page) === tab && await hash(page) === "#" + tab, "the tab " + tab);
    expect(await page.$eval(`.tabs a[href="#${tab}"]`, a => a.getAttribute("aria-current")) === "true", tab + " is not marked");
    await judge(page, tab + " " + JSON.stringify(options));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wide <= 0, `${tab} is ${wide} pixels too wide in ${JSON.stringify(options)}`);
    await page.keyboard.press(String(((n + 1) % TABS.length) + 1));
    expect(await shown(page) === TABS[(n + 1) % TABS.length], "the key " + (n + 2));
  }
  await page.context().close();
};

const filters = async () => {
  const page = await open({}, "#exchanges");
  const count = () => page.$$eval("#items button", all => all.length);
  const whole = await count();
  await page.selectOption("#v", "different");
  const different = await count();
  expect(different > 0 && different < whole, "the verdict filters");
  expect((await hash(page)).includes("v=different"), "the verdict is in the address");
  const status = await page.$eval("#s", s => s.options[1].value);
  await page.selectOption("#s", status);
  expect((await hash(page)).includes("s="), "the status is in the address");
  await page.fill("#q", "no such text anywhere");
  await page.waitForFunction(() => document.querySelectorAll("#items button").length === 0);
  expect((await text(page, "#detail")).includes("No exchange fits"), "nothing fits, and it is said");
  await page.fill("#q", "");
  await page.waitForFunction(() => document.querySelectorAll("#items button").length > 0);
  const kept = await hash(page);
  // A view can be linked: another reader sees the same.
  const other = await open({}, kept);
  expect(await other.$eval("#v", v => v.value) === "different" && await other.$eval("#s", s => s.value) === status, "the filters come back from " + kept);
  expect(await other.$$eval("#items button", all => all.length) === await count(), "the list comes back");
  const key = await other.$eval("#items li:last-child button", b => b.dataset.key);
  await other.click("#items li:last-child button");
  const linked = await open({}, await hash(other));
  expect(await linked.$eval("#items [aria-current]", b => b.dataset.key) === key, "the exchange comes back");
  expect((await text(linked, "#detail")).includes(key.split(".")[0]), "the exchange is shown");
  for (const p of [page, other, linked]) await p.context().close();
};

const differences = async () => {
  const page = await open();
  const cards = () => page.$$eval("#cards > .card", all => all.filter(card => !card.hidden).length);
  const whole = await cards();
  expect(whole > 1, "there are cards");
  await page.selectOption("#d-layer", "status");
  expect(await cards() < whole && (await hash(page)).includes("layer=status"), "the part filters");
  await page.selectOption("#d-layer", "");
  await page.fill("#d-q", "price");
  await page.waitForFunction(n => [...document.querySelectorAll("#cards > .card")].filter(card => !card.hidden).length < n, whole);
  expect((await hash(page)).includes("q=price"), "the search is in the address");
  const again = await open({}, await hash(page));
  expect(await again.$eval("#d-q", q => q.value) === "price", "the search comes back");
  await again.click("#cards > .card:not([hidden]) summary");
  await again.click("#cards > .card:not([hidden]) button.copy");
  await again.waitForFunction(() => document.querySelector("#said").textContent.includes("copied"));
  const rule = await clip(again);
  expect(rule.startsWith("[[rule]]\n") && rule.includes("path = ") && rule.includes("ignore = "), "the rule is copied: " + rule);
  // From the difference to all exchanges that show it.
  await again.click("#cards > .card:not([hidden]) a.all");
  expect(await shown(again) === "exchanges" && (await hash(again)).includes("d="), "all of a difference");
  const only = await again.$$eval("#items button", all => all.length);
  await again.click("#all");
  expect(await again.$$eval("#items button", all => all.length) > only, "and all again");
  const id = await page.$eval("#cards > .card:not([hidden])", card => card.id.slice(2));
  const linked = await open({}, "#differences&d=" + id);
  expect(await linked.evaluate(() => document.activeElement.id) === "d-" + id, "a difference can be linked");
  for (const p of [page, again, linked]) await p.context().close();
};

const keyboard = async () => {
  const page = await open();
  const active = () => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);
  await page.keyboard.press("Tab");
  expect(await active() === "skip", "the first stop is the skip link, not " + await active());
  await page.keyboard.press("Enter");
  await page.keyboard.press("j");
  const first = await active();
  await page.keyboard.press("j");
  expect(first.startsWith("d-") && await active() !== first, "j goes on");
  await page.keyboard.press("k");
  expect(await active() === first, "k goes back");
  await page.keyboard.press("Enter");
  expect(await shown(page) === "exchanges" && (await hash(page)).includes("x="), "Enter opens the exchange");
  const before = await hash(page);
  await page.keyboard.press("j");
  expect(await hash(page) !== before, "j takes the next exchange");
  await page.keyboard.press("c");
  await page.waitForFunction(() => document.querySelector("#said").textContent.includes("copied"));
  expect((await clip(page)).startsWith("curl "), "c copies the curl line");
  await page.keyboard.press("/");
  expect(await active() === "q", "/ searches");
  await page.keyboard.type("2j");
  expect(await shown(page) === "exchanges" && await page.$eval("#q", q => q.value) === "2j", "keys are text in a field");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  expect(await page.$eval("#keys", d => d.open), "? lists the keys");
  await judge(page, "the list of keys");
  await page.uncheck("#keys-on");
  await page.keyboard.press("Escape");
  await page.keyboard.press("3");
  expect(await shown(page) === "exchanges", "keys can be switched off");
  await page.evaluate(() => { location.hash = "#exchanges"; });
  await page.focus("#items button");
  await page.keyboard.press("ArrowDown");
  await page.context().close();
};

const themes = async () => {
  const ground = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await open({ colorScheme: "light" }), dark = await open({ colorScheme: "dark" });
  const [bright, dim] = [await ground(light), await ground(dark)];
  expect(bright !== dim, "the system's theme is followed");
  await light.click("#theme");
  expect(await ground(light) === dim, "the button turns it dark");
  await light.reload();
  expect(await ground(light) === dim, "and it stays so");
  await dark.keyboard.press("t");
  expect(await ground(dark) === bright, "t turns it light");
  for (const p of [light, dark]) await p.context().close();
};

const bodies = async () => {
  const page = await open({}, "#exchanges&v=different&q=price");
  expect(await page.$$eval("#detail mark", all => all.length) > 0, "words are marked");
  const raw = await page.$("#detail button[aria-pressed=false]");
  expect(raw, "there is a raw view");
  if (raw) {
    await raw.click();
    expect(await page.$eval("#detail button[aria-pressed=true]", b => b.textContent) === "Raw", "the raw view is shown");
    await judge(page, "raw bodies");
  }
  await page.emulateMedia({ media: "print" });
  const visible = await page.$$eval(".panel", panels => panels.filter(p => p.offsetHeight > 0).length);
  expect(visible === TABS.length, "all parts are printed");
  await page.context().close();
};

const printing = async () => {
  const page = await open({ colorScheme: "dark" });
  await page.evaluate(() => { document.documentElement.dataset.theme = "dark"; });
  // Chromium tells the page before it prints.
  const pdf = await page.pdf();
  expect(pdf.length > 10000, "a print of " + pdf.length + " bytes");
  expect((await text(page, "#detail")).includes("Request as sent"), "an exchange is printed in full");
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const colours = await page.evaluate(() => ["body", ".card", "#detail"].map(at => getComputedStyle(document.querySelector(at))).map(s => s.color + " on " + s.backgroundColor));
  expect(colours[0] === "rgb(0, 0, 0) on rgb(255, 255, 255)" && colours[1].endsWith("on rgb(255, 255, 255)"), "paper is white: " + colours);
  await judge(page, "print from the dark theme");
  await page.context().close();
};

const noScript = async () => {
  const page = await open({ javaScriptEnabled: false });
  const visible = await page.$$(".panel");
  expect(visible.length === TABS.length && await visible[2].isVisible(), "without the script all parts are there");
  await page.context().close();
};

const photographs = async () => {
  const photograph = async (name, options, hash, scroll) => {
    const page = await open(options, hash);
    if (scroll) await page.evaluate(id => document.getElementById(id).scrollIntoView(), scroll);
    await page.screenshot({ path: resolve(screenshots, name + ".png") });
    await page.context().close();
  };
  const desktop = { viewport: { width: 1180, height: 860 }, colorScheme: "light" };
  const phone = { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true, hasTouch: true };
  await photograph("report", desktop, "");
  await photograph("exchange", { ...desktop, colorScheme: "dark" }, "#exchanges&v=different&q=price", "exchanges");
  await photograph("latency", { ...desktop, colorScheme: "dark" }, "#latency", "latency");
  await photograph("phone", phone, "");
  await photograph("phone-exchange", phone, "#exchanges&v=different&q=price", "detail");
};

const large = async () => {
  const started = Date.now();
  const page = await open({}, "#exchanges");
  const opened = Date.now() - started;
  const filtered = await page.evaluate(async () => {
    const at = performance.now();
    for (const hash of ["#exchanges&q=zzz", "#exchanges&q=a", "#exchanges&v=different", "#differences", "#exchanges"]) {
      location.hash = hash;
      await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    }
    return performance.now() - at;
  });
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  expect(nodes < 40000, "the page has " + nodes + " nodes");
  console.error(`opened in ${opened} ms, five views in ${filtered.toFixed(0)} ms, ${nodes} nodes`);
  await page.context().close();
};

// Every exchange of a hostile report is looked at, in every form, and nothing of it runs.
const hostile = async () => {
  const page = await open({}, "#exchanges");
  await page.evaluate(() => { window.pwned = 0; window.alert = () => { window.pwned++; }; });
  const keys = await page.$$eval("#items button", all => all.map(b => b.dataset.key));
  expect(keys.length >= 60, "only " + keys.length + " exchanges");
  for (const key of keys) {
    await page.evaluate(key => { location.hash = "#exchanges&x=" + key; }, key);
    const raw = await page.$("#detail button[aria-pressed=false]");
    if (raw) await raw.click();
    const foreign = await page.$$eval("#detail script, #detail img, #detail a, #detail iframe, #detail svg, #detail [onclick], #detail form, #detail style", all => all.length);
    expect(foreign === 0, key + " has become markup");
  }
  for (const tab of TABS) await page.click(`.tabs a[href="#${tab}"]`);
  expect(await page.evaluate(() => window.pwned) === 0, "a script ran");
  const outside = await page.$$eval("main img, main iframe, main object, main embed, main [onclick], main [onerror], main a:not([href^='#'])", all => all.length);
  expect(outside === 0, outside + " foreign elements in the page");
  await judge(page, "hostile");
  await page.context().close();
};

// A page in which everything occurs: each part is there, filters, folds and adds up.
const full = async () => {
  const page = await open();
  // Coverage: the parts of each bar make its count, their widths its share, and the causes the part.
  const number = text => Number(text.replaceAll(",", ""));
  const levels = await page.$$eval(".level", all => all.map(level => ({
    count: level.querySelector(".name b").textContent,
    widths: [...level.querySelectorAll("rect")].map(r => Number(r.getAttribute("width"))),
    parts: [...level.querySelectorAll(".legend li")].map(li => [li.querySelector("b").textContent, li.querySelector("small")?.textContent ?? ""]),
  })));
  const whole = number(levels.find(level => level.count)?.count ?? "0");
  const rows = Math.max(...levels.map(level => number(level.count)), whole > 1000 ? 0 : whole);
  expect(levels.length === 4 && rows > 0, "there are bars");
  for (const level of levels) {
    const count = number(level.count);
    expect(level.parts.reduce((sum, [n]) => sum + number(n), 0) === count, "the parts of " + level.count + " add up: " + JSON.stringify(level.parts));
    const width = level.widths.reduce((sum, w) => sum + w, 0);
    expect(Math.abs(width - 1000 * count / rows) < 8, "the bar of " + level.count + " is " + width + " wide");
    for (const [n, causes] of level.parts) if (causes) expect([...causes.matchAll(/(?:^|, )(\d[\d,]*) /g)].reduce((sum, m) => sum + number(m[1]), 0) === number(n), "the causes of " + n + ": " + causes);
  }
  expect(levels.flatMap(level => level.parts).filter(([, causes]) => causes).length >= 3, "skipped, failed and not comparable have causes");
  // Each tab has what it is for.
  for (const [at, what] of [["#ruled-out .card", "ruled out"], ["#anomalies tbody tr", "anomalies"], [".against", "the comparison"], ["#differences .later", "what has gone"]])
    expect(await page.$(at), what + " is there");
  for (const label of ["Distribution of latencies, v1 upwards and v2 downwards", "Distribution of latencies on this route", "Verdicts over the time of the capture", "How late requests were sent"])
    expect(await page.$(`svg.plot[aria-label="${label}"] rect`), "the plot: " + label);
  expect(/rules of differences\s*sha256:[0-9a-f]{64}/.test(await text(page, "#run")), "the rules are named with their digest");
  expect((await text(page, "#run")).includes("digest of capture"), "the capture is named with its digest");
  // Routes: count, statuses, share, quantiles.
  const cells = await page.$$eval("#routes tbody tr", all => all.map(tr => [...tr.children].map(cell => cell.innerText ?? cell.textContent)).map(cells => cells.map(text => text.trim())));
  const status = cells.find(cells => cells[0].startsWith("GET /status"));
  expect(status && status[1] === "2" && /^2 \(100 %\)/.test(status[2]) && /200 → 500\s*×2/.test(status[3]), "the route's cells: " + JSON.stringify(status));
  expect(status && status.slice(4, 7).every(cell => /ms/.test(cell)), "the route's times: " + JSON.stringify(status));
  // Anomalies lead to their exchanges, save those of connections and of exchanges that the page does not hold.
  const anomalies = await page.$$eval("#anomalies tbody tr a", all => all.length);
  let found = 0;
  for (let n = 0; n < anomalies; n++) {
    await page.click('.tabs a[href="#anomalies"]');
    await page.waitForSelector("#anomalies:not([hidden])");
    await page.click(`#anomalies tbody tr:nth-child(${n + 1}) a`);
    await page.waitForSelector("#exchanges:not([hidden])");
    found += await page.$$eval("#items button", all => all.length);
  }
  expect(found > 0, "an anomaly's exchanges are found");
  // Filters by route and destination.
  for (const [id, key] of [["#r", "r"], ["#to", "to"]]) {
    await page.evaluate(() => { location.hash = "#exchanges"; });
    await page.waitForFunction(() => document.querySelector("#q").value === "");
    const all = await page.$$eval("#items button", all => all.length);
    await page.selectOption(id, { index: 1 });
    const some = await page.$$eval("#items button", all => all.length);
    expect(some > 0 && some < all && (await hash(page)).includes(key + "="), "the filter " + key + ": " + some + " of " + all);
  }
  // By class and standing.
  for (const [id, key, option] of [["#d-class", "class", "unverified"], ["#d-standing", "standing", "known"]]) {
    await page.evaluate(() => { location.hash = "#differences"; });
    await page.selectOption(id, option);
    const fits = await page.$$eval("#cards > .card:not([hidden])", (all, key) => all.map(card => card.dataset[key]), key);
    expect(fits.length > 0 && fits.every(value => value === option) && (await hash(page)).includes(key + "=" + option), "the filter " + key + ": " + fits);
  }
  // Keys on cards and in the list.
  await page.evaluate(() => { location.hash = "#differences&layer=body"; });
  await page.waitForFunction(() => document.querySelector("#d-layer").value === "body");
  await page.keyboard.press("j");
  await page.keyboard.press("c");
  await page.waitForFunction(() => document.querySelector("#said").textContent.includes("copied"));
  expect((await clip(page)).startsWith("[[rule]]\n"), "c copies the rule of a card");
  await page.keyboard.press("/");
  expect(await page.evaluate(() => document.activeElement.id) === "d-q", "/ searches among differences");
  await page.evaluate(() => { location.hash = "#exchanges"; });
  await page.focus("#items button");
  await page.keyboard.press("ArrowDown");
  expect(await page.$eval("#items li:nth-child(2) button", b => b === document.activeElement && b.getAttribute("aria-current") === "true"), "ArrowDown takes the next exchange");
  await page.keyboard.press("ArrowUp");
  expect(await page.$eval("#items li:first-child button", b => b === document.activeElement), "and ArrowUp the one before");
  // Equal parts are folded.
  await page.evaluate(() => { location.hash = "#exchanges&v=different&q=%2Flong"; });
  await page.waitForSelector("#detail .fold button");
  const lines = await page.$$eval("#detail .body tbody tr", all => all.length);
  await page.click("#detail .body .fold button");
  expect(await page.$$eval("#detail .body tbody tr", all => all.length) > lines, "a fold opens");
  await page.context().close();
  await everyTab({ colorScheme: "light" });
};

if (kind === "full") await full();
else if (kind === "small") await everyTab({ colorScheme: "dark" });
else if (kind === "hostile") await hostile();
else if (kind === "large") await large();
else {
  await everyTab({ colorScheme: "light" });
  await everyTab({ colorScheme: "dark", viewport: { width: 390, height: 844 } });
  for (const part of [filters, differences, keyboard, themes, bodies, printing, noScript]) {
    try { await part(); } catch (error) { faults.push(part.name + ": " + error.message); }
  }
  if (screenshots) await photographs();
}
await browser.close();
console.log(JSON.stringify(faults));
