// The cluster as this page knows it, kept current by one broker's server-sent events. Their ids are offsets of the
// metadata log, the same on every broker: when the broker that this page looks at dies, the next one goes on from there.

import { partitionProblem } from "/format.js";

const state = {
  cluster: null, // what /api/v1/cluster said, without brokers and topics
  brokers: new Map(),
  topics: new Map(),
  events: [], // newest last
  controller: null,
  term: 0,
  offset: -1,
  home: null, // the broker that the page came from
  base: "", // whom we talk to; "" is where the page came from
  link: "connecting", // connecting, live, lost
  refusal: null, // what the broker says that will not answer this page
  traffic: new Map(), // broker id -> its newest rates
  history: [], // {time, in, out, messages} of the whole cluster, once a second
  moved: new Map(), // "topic/partition" -> when its leader changed, for a moment of colour
};
const EVENTS_KEPT = 500;
const HISTORY_KEPT = 180;
const SILENCE_MS = 3000; // traffic comes every second: a broker that says nothing is paused or cut off

const listeners = new Set();
let drawn = false;
function changed() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    listeners.forEach((f) => f());
  });
}
export function subscribe(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}
export { state };

// Where a broker's page is, as this browser reaches it.
export function baseOf(broker) {
  if (!broker || !broker.http) return null;
  if (broker.id === state.home) return ""; // where the page came from is certain to be reachable
  const port = broker.http.slice(broker.http.lastIndexOf(":") + 1);
  const host = broker.http.slice(0, broker.http.lastIndexOf(":"));
  return `${location.protocol}//${host === "" ? location.hostname : host}:${port}`;
}
function candidates() {
  const known = [...state.brokers.values()].filter((b) => !b.fenced).map(baseOf);
  const fenced = [...state.brokers.values()].filter((b) => b.fenced).map(baseOf);
  return [...new Set([...known, "", ...fenced].filter((b) => b !== null))];
}

export async function ask(path, { base = state.base, timeout = 4000 } = {}) {
  const give = new AbortController();
  const timer = setTimeout(() => give.abort(), timeout);
  try {
    const answer = await fetch(base + path, { signal: give.signal, cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.error ?? `status ${answer.status}`), { status: answer.status });
    return body;
  } finally {
    clearTimeout(timer);
  }
}
// The same of every broker that can be reached; those that cannot are left out.
export async function askAll(path) {
  const bases = [...state.brokers.values()].filter((b) => !b.fenced).map(baseOf).filter((b) => b !== null);
  const answers = await Promise.allSettled([...new Set(bases)].map((base) => ask(path, { base, timeout: 2500 })));
  return answers.filter((a) => a.status === "fulfilled").map((a) => a.value);
}

function takeSnapshot(snapshot) {
  const { brokers, topics, events, ...rest } = snapshot;
  // A broker that began from a snapshot itself knows less of what was before than this page has seen.
  const isSame = state.cluster?.cluster_id === snapshot.cluster_id;
  const seen = isSame ? state.events.filter((e) => e.offset <= snapshot.offset) : [];
  const news = isSame ? events.filter((e) => e.offset > state.offset) : events;
  state.cluster = rest;
  if (state.base === "") state.home = snapshot.self;
  state.brokers = new Map(brokers.map((b) => [b.id, b]));
  state.topics = new Map(topics.map((t) => [t.name, { ...t, partitions: new Map(t.partitions.map((p) => [p.p, p])) }]));
  state.events = [...seen, ...news].slice(-EVENTS_KEPT);
  state.controller = snapshot.controller;
  state.term = snapshot.term;
  state.offset = snapshot.offset;
}

function takeChange(change) {
  if (change.offset <= state.offset) return; // seen already
  state.offset = change.offset;
  for (const b of change.brokers ?? []) state.brokers.set(b.id, b);
  for (const id of change.gone_brokers ?? []) state.brokers.delete(id);
  for (const name of change.gone_topics ?? []) state.topics.delete(name);
  if (change.partition_count !== undefined) state.cluster.partitions = change.partition_count;
  const known = state.topics.size;
  for (const p of change.partitions ?? []) {
    if (!state.topics.has(p.topic)) {
      state.topics.set(p.topic, { name: p.topic, internal: p.topic.startsWith("__"), count: 0, partitions: new Map() });
    }
    const topic = state.topics.get(p.topic);
    const before = topic.partitions.get(p.p);
    if (before && before.leader !== p.leader) {
      const key = `${p.topic}/${p.p}`;
      state.moved.set(key, Date.now());
      setTimeout(() => state.moved.delete(key) && changed(), 2500);
    }
    if (state.cluster?.problems_only && !partitionProblem(p)) topic.partitions.delete(p.p);
    else topic.partitions.set(p.p, p);
    topic.count = Math.max(topic.count, p.p + 1); // not those that are drawn: these may be the ones with a problem only
  }
  for (const e of change.events ?? []) state.events.push({ ...e, offset: change.offset, time: change.time || Date.now() });
  if (state.events.length > EVENTS_KEPT) state.events.splice(0, state.events.length - EVENTS_KEPT);
  // New ones stand at the end until then; thousands of topics are not sorted for every change of a leader.
  if (state.topics.size > known) state.topics = new Map([...state.topics.entries()].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const begun = Date.now();
let lastTick = 0;
function takeTraffic(rates) {
  if (rates.broker === undefined) return;
  state.traffic.set(rates.broker, { ...rates, seen: Date.now() });
  for (const [id, r] of state.traffic) if (Date.now() - r.seen > 5000) state.traffic.delete(id);
  if (Date.now() - lastTick < 900 || Date.now() - begun < 2500) return; // the sum is over all brokers: they come one by one
  lastTick = Date.now();
  const sum = (what) => [...state.traffic.values()].reduce((s, r) => s + (r[what] ?? 0), 0);
  state.history.push({ time: Date.now() / 1000, in: sum("in"), out: sum("out"), messages: sum("messages") });
  if (state.history.length > HISTORY_KEPT) state.history.shift();
}

// One broker at a time, until it dies or falls silent ("lost"), or cannot go on from where we are ("reset").
function followOne(base) {
  return new Promise((resolve) => {
    const source = new EventSource(`${base}/api/v1/events?after=${state.offset}`);
    let heard = Date.now();
    let watch = null;
    const end = (why) => {
      clearInterval(watch);
      source.close();
      resolve(why);
    };
    watch = setInterval(() => Date.now() - heard > SILENCE_MS && end("lost"), 500);
    const on = (name, take) =>
      source.addEventListener(name, (event) => {
        heard = Date.now();
        state.link = "live";
        take(JSON.parse(event.data));
        changed();
      });
    on("change", takeChange);
    on("traffic", takeTraffic);
    on("controller", (c) => {
      // Another cluster has come to this address (a demonstration begun anew): its offsets are not ours to go on from.
      if (c.cluster_id && c.cluster_id !== state.cluster.cluster_id) return end("reset");
      state.controller = c.controller;
      state.term = c.term;
    });
    on("reset", () => end("reset"));
    source.onerror = () => end("lost");
  });
}

// The broker that this page listens to.
export function current() {
  return [...state.brokers.values()].find((b) => baseOf(b) === state.base);
}

async function watchOthers() {
  for (;;) {
    const others = [...state.brokers.values()].filter((b) => !b.fenced).map(baseOf).filter((b) => b !== null && b !== state.base);
    await Promise.allSettled(others.map((base) => ask("/api/v1/traffic", { base, timeout: 1500 }).then(takeTraffic)));
    changed();
    await new Promise((r) => setTimeout(r, 1000));
  }
}

export async function run() {
  watchOthers();
  let base = "";
  let snapshot = true;
  for (let failures = 0; ; ) {
    let why = "lost";
    try {
      state.base = base;
      if (snapshot) takeSnapshot(await ask("/api/v1/cluster", { base, timeout: 2500 }));
      snapshot = false;
      changed();
      why = await followOne(base);
    } catch (e) {
      state.refusal = e.status === 403 ? e.message : null; // the next one, then
    }
    if (why === "reset") {
      snapshot = true;
      continue;
    }
    failures = state.link === "live" ? 1 : failures + 1;
    state.link = "lost";
    changed();
    const all = candidates();
    base = all[(Math.max(0, all.indexOf(base)) + 1) % all.length] ?? "";
    if (failures > all.length) await new Promise((r) => setTimeout(r, 500));
  }
}
