// look.js BASE SHOTS [many]: looks at a cluster's page with a real browser, step by step. Says what it has seen as JSON lines on
// standard output, and goes on when it is told so on standard input: the test between them kills brokers.
// With "many" it looks at the map of a cluster that has more partitions than are drawn. Screenshots go to the folder SHOTS. $CHROMIUM is the browser.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const [base, shots, mode] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => console.log(JSON.stringify(what));
const hear = async () => (await lines.next()).value;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const trouble = []; // what the browser complains about
let killing = false; // then requests to the dead broker fail, and that is no trouble
// Whatever is done to this machine's networks meanwhile breaks connections of every browser on it: what a page makes of
// that is looked at, not that it happens.
const is_of_this_machine = (text) => text.includes("ERR_NETWORK_CHANGED");
async function open(options, { before = () => {}, path = "", prepare = async () => {} } = {}) {
  const context = await browser.newContext(options);
  await context.addInitScript(before);
  await prepare(context);
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("pageerror", (e) => trouble.push(`error: ${e.message}`));
  page.on("console", (m) => m.type() === "error" && !killing && !is_of_this_machine(m.text()) && trouble.push(`console: ${m.text()}`));
  page.on("response", (r) => r.status() >= 400 && !killing && trouble.push(`${r.status()} ${r.url()}`));
  await page.goto(base + path);
  await page.locator("[data-broker]").first().waitFor().catch(async (e) => {
    throw new Error(`${e.message}\nthe page says: ${await page.locator("body").innerText()}\nthe browser complains: ${trouble.join("; ")}`);
  });
  return page;
}

const desktop = { viewport: { width: 1280, height: 900 }, colorScheme: "light" };
const phone = { viewport: { width: 360, height: 780 }, colorScheme: "dark", hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const shot = (page, name, options = {}) => page.screenshot({ path: `${shots}/${name}.png`, ...options });
const heading = (page) => page.locator("main h1").first().innerText();

// 0. More partitions than are drawn: brokers say what they have, and what is drawn has a problem.
if (mode === "many") {
  const page = await open(desktop);
  const number = (text) => Number(text.replaceAll(",", ""));
  const brokers = async () => {
    const seen = await page.evaluate(() =>
      [...document.querySelectorAll("[data-broker]")].map((b) => ({ id: b.dataset.broker, figures: [...b.querySelectorAll(".figures dd")].map((d) => d.innerText), squares: b.querySelectorAll(".squares i").length })));
    return Object.fromEntries(seen.map(({ id, figures, squares }) => [id, { leads: number(figures[0]), replicas: number(figures[1]), squares }]));
  };
  await page.waitForFunction(() => [...document.querySelectorAll("[data-broker] .figures dd")].every((d) => d.innerText !== "–"));
  const total = page.locator(".totals div", { hasText: "partitions" }).locator("dd");
  // What a broker leads it tells once a second.
  const told_of = (partitions) => page.waitForFunction((n) => {
    const led = [...document.querySelectorAll("[data-broker]")].map((b) => Number(b.querySelector(".figures dd").innerText.replaceAll(",", "")));
    return led.reduce((sum, of_one) => sum + of_one) === n;
  }, partitions);
  await told_of(10000);
  // It is still one to be used: a view comes when its key is pressed, while everything goes on.
  const turned = [];
  for (const key of ["2", "1"]) {
    const begun = Date.now();
    await page.keyboard.press(key);
    await page.locator(`nav a:nth-child(${key})[aria-current=page]`).waitFor();
    await page.locator(key === "2" ? "tbody tr" : "[data-broker]").first().waitFor();
    turned.push(Date.now() - begun);
  }
  say({ step: "whole", brokers: await brokers(), partitions: number(await total.innerText()), turned });
  for (const step of ["grown", "fallen"]) {
    const text = await hear();
    await total.filter({ hasText: text }).waitFor();
    await told_of(number(text));
    say({ step });
  }
  await hear();
  killing = true;
  await page.waitForFunction(() => document.querySelector('[data-broker="3"]').classList.contains("down") && document.querySelectorAll('[data-broker="3"] .squares i').length > 0);
  await shot(page, "desktop-light-many", { fullPage: true });
  say({ step: "killed", brokers: await brokers(), trouble });
  await browser.close();
  process.exit(0);
}

// 1. Every view, by keyboard, on a desk in light.
const page = await open(desktop);
await page.locator(".link.live").waitFor();
await page.waitForFunction(() => document.querySelectorAll(".flow .bar.in i").length >= 3);
const curve = (page) => page.locator(".chart canvas").waitFor({ state: "attached" }); // drawn once there is one
await curve(page);
await shot(page, "desktop-light-map", { fullPage: true });
const headings = {};
// Rows of the view's table, cell by cell, as they are written (not as style makes them look).
const rows = () => page.evaluate(() => [...document.querySelectorAll("main tbody tr")].map((r) => [...r.cells].map((c) => c.textContent.trim())));
const tables = {};
for (const key of ["2", "3", "4", "5", "6", "7", "1"]) {
  await page.keyboard.press(key);
  await page.locator(`nav a:nth-child(${key})[aria-current=page]`).waitFor();
  headings[key] = await heading(page);
  if (key === "3") await page.locator("main [role=status]").waitFor(); // of the first partition, which may be empty
  if (key === "4") await page.getByRole("button", { name: "billing" }).waitFor();
  if (key === "6") await page.locator("table.configs tbody tr").first().waitFor();
  if (key === "7") await page.locator("tbody tr").nth(2).waitFor();
  if ("467".includes(key)) tables[key] = await rows();
  if (key !== "1") await shot(page, `desktop-light-${["", "", "topics", "messages", "groups", "events", "settings", "quorum"][key]}`);
}
// Help with the keys has the focus until it is closed, and gives it back.
await page.getByRole("button", { name: "Keys" }).focus();
await page.keyboard.press("?");
await page.getByRole("dialog", { name: "Keys" }).waitFor();
const dialog = { within: [] };
for (let i = 0; i < 4; ++i) {
  dialog.within.push(await page.evaluate(() => !document.activeElement.closest("header, nav, main")));
  await page.keyboard.press("Tab");
}
await page.keyboard.press("Escape");
await page.locator("dialog").waitFor({ state: "detached" });
dialog.back = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
// An address that was mistyped, and a browser that keeps nothing.
const forgetful = await open(desktop, { before: () => Object.defineProperty(window, "localStorage", { get: () => { throw new Error("refused"); } }), path: "/#/map/100%" });
await forgetful.close();
// A file of the page is lost on the way, and then the page itself; it comes all the same, and to the view that was asked for.
killing = true;
const lost = [];
const unlucky = await open(desktop, {
  path: "/#/map/x",
  prepare: (context) => context.route((url) => url.pathname === "/live.js" || url.pathname === "/", (route) => {
    const asked = new URL(route.request().url()).pathname;
    // The page itself only once it is asked for again.
    const is_lost = !lost.includes(asked) && (asked === "/live.js" || lost.length > 0);
    if (!is_lost) return route.continue();
    lost.push(asked);
    return route.abort("connectionreset");
  }),
});
const found_again = new URL(unlucky.url()).hash;
await unlucky.close();
killing = false;
// The keyboard reaches the content and the topics on the map.
await page.goto(`${base}/#/topics`);
await page.locator("nav a:nth-child(2)[aria-current=page]").waitFor(); // or the key means another view's filter
await page.keyboard.press("/");
const focused = await page.evaluate(() => document.activeElement.matches("[data-filter]"));
await page.keyboard.type("orders");
await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
say({ step: "views", headings, tables, focused, dialog, lost, found_again, landmarks: await page.evaluate(() => ["header", "nav[aria-label]", "main"].every((s) => document.querySelector(s))) });

// 2. One topic, and its records: by offset, by time, by key, as JSON.
await page.locator("tbody th a").click();
await page.locator("td.squares .replica.leads").first().waitFor();
await shot(page, "desktop-light-topic");
await page.goto(`${base}/#/messages/orders/0`);
await page.locator("table.records tbody tr").first().waitFor();
await page.getByLabel("From").selectOption("start");
await page.getByRole("button", { name: "Show" }).click();
await page.waitForFunction(() => document.querySelector("table.records tbody button")?.textContent.replace(/\D/g, "") === "0");
// From an offset, and from a time: what is shown then begins at what the test expects, or this waits in vain.
const from = async (what, input, value, first) => {
  await page.getByLabel("From").selectOption(what);
  await page.locator(`form.controls input[type=${input}]`).fill(value);
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForFunction((n) => document.querySelector("table.records tbody button")?.textContent.replace(/\D/g, "") === n, first);
  return (await page.locator("table.records tbody button").allTextContents()).map((text) => Number(text.replace(/\D/g, "")));
};
const by_offset = await from("offset", "number", "120", "120");
const hour_ago = await page.evaluate(() => {
  const then = new Date(Date.now() - 3600e3);
  return new Date(then - then.getTimezoneOffset() * 60e3).toISOString().slice(0, 16); // of this browser's clock, as people type it
});
const by_time = await from("time", "datetime-local", hour_ago, "100");
await shot(page, "desktop-light-records-by-time");
await page.getByLabel("From").selectOption("start");
await page.getByLabel("Key contains").fill("key-7");
await page.getByRole("button", { name: "Show" }).click();
await page.waitForFunction(() => {
  const rows = [...document.querySelectorAll("table.records tbody tr")]; // none while they are asked for
  return rows.length > 0 && rows.every((r) => r.cells[2].innerText.includes("key-7"));
});
const keys = await page.locator("table.records tbody tr td:nth-child(3)").allInnerTexts();
await page.locator("table.records tbody button").first().click();
const pretty = await page.locator("tr.detail pre").innerText();
await shot(page, "desktop-light-record");
await page.getByLabel("Partition").focus();
await page.getByLabel("Partition").selectOption("1");
await page.waitForFunction(() => location.hash.endsWith("/1") && document.querySelector("tr.detail") === null);
const chosen = await page.evaluate(() => document.activeElement.tagName);
say({ step: "messages", keys: [...new Set(keys)], pretty, focused: chosen, by_offset, by_time });

// 3. In the dark, and on a phone.
const dark = await open({ ...desktop, colorScheme: "dark" });
await curve(dark);
await shot(dark, "desktop-dark-map", { fullPage: true });
await dark.close();
const small = await open(phone);
const widths = {};
// Each view with what it shows in the end: a width without that says nothing.
const views = { map: ".chart canvas", topics: "tbody tr", messages: "main [role=status]", groups: "tbody tr", events: ".timeline li", config: "table.configs tbody tr", quorum: "tbody tr" };
for (const [key, [name, content]] of Object.entries(views).entries()) {
  await small.goto(`${base}/#/${name}`);
  await small.locator(`nav a:nth-child(${key + 1})[aria-current=page]`).waitFor();
  await small.locator(content).first().waitFor({ state: "attached" });
  widths[name] = await small.evaluate(() => document.documentElement.scrollWidth);
  await shot(small, `phone-dark-${name}`);
}
await small.close();
const bright = await open({ ...phone, colorScheme: "light" });
await curve(bright);
await shot(bright, "phone-light-map", { fullPage: true });
await bright.close();
say({ step: "small", widths });

// 4. The broker that this page looks at is killed: leaders move, and the page moves on.
await page.goto(`${base}/#/map`);
await page.locator(".link.live").waitFor();
// What the page draws is noted when it draws it, by the page's own clock.
await page.evaluate(() => {
  window.seen = [];
  new MutationObserver(() => {
    const leaders = {};
    for (const square of document.querySelectorAll(".squares i.leads")) {
      leaders[square.dataset.partition] = Number(square.closest("[data-broker]").dataset.broker);
    }
    const text = JSON.stringify(leaders);
    if (text !== window.seen.at(-1)?.text) window.seen.push({ at: Date.now(), text });
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
});
const link = await page.locator(".link").innerText();
const leadersNow = () => page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".squares i.leads")].map((s) => [s.dataset.partition, Number(s.closest("[data-broker]").dataset.broker)])));
await page.locator(".squares i.leads").first().waitFor({ state: "attached" });
const before = await leadersNow();
say({ step: "before", link, leaders: before });
const [victim, at] = (await hear()).split(" ").map(Number);
killing = true;
await page.waitForFunction((id) => !document.querySelector(`[data-broker="${id}"] .squares i.leads`) && document.querySelector(`[data-broker="${id}"]`).classList.contains("down"), victim);
// Not what it drew before there was a map, where nobody leads anything.
const moved = await page.evaluate((id) => window.seen.find((s) => s.text !== "{}" && !Object.values(JSON.parse(s.text)).includes(id))?.at, victim);
await shot(page, "desktop-light-killed", { fullPage: true });
await page.waitForFunction(() => document.querySelector(".link.live"));
await page.waitForFunction((n) => document.querySelectorAll(".squares i.leads").length === n, Object.keys(before).length); // it draws anew what the other broker tells
say({ step: "killed", moved: moved - at, link: await page.locator(".link").innerText(), leaders: await leadersNow(), health: await page.locator("header .pill").innerText() });
await page.keyboard.press("5");
await page.getByText(`broker ${victim} is fenced`).first().waitFor();
await shot(page, "desktop-light-events-killed");
const events = await page.locator(".timeline .what").allInnerTexts();
const offsets = (await page.locator(".timeline .offset").allInnerTexts()).map(Number);
say({ step: "events", events: events.slice(0, 60), offsets });

// 5. It comes back, and so does health.
await hear();
await page.keyboard.press("1");
await page.locator("header .pill.good").waitFor({ timeout: 60000 });
say({ step: "healed", trouble });
await browser.close();
process.exit(0);
