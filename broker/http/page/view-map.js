// The live map: what each broker leads and follows, who is in sync, how much flows, and what has just happened.
import { html, useState } from "/vendor/htm-preact.js";
import { baseOf, current, state } from "/live.js";
import { bytes, count, hue, partitionProblem, rate } from "/format.js";
import { TrafficChart } from "/chart.js";
import { EventList } from "/views.js";

// What a broker has of each topic: [{topic, squares: [{p, role}]}]
function holdings(id, internal) {
  const out = [];
  for (const topic of state.topics.values()) {
    if (topic.internal && !internal) continue;
    const squares = [];
    for (const p of topic.partitions.values()) {
      if (!p.replicas.includes(id)) continue;
      const role = p.leader === id ? "leads" : p.isr.includes(id) ? "in-sync" : "behind";
      squares.push({ p, role, moved: role === "leads" && state.moved.has(`${topic.name}/${p.p}`) });
    }
    if (squares.length > 0) out.push({ topic, squares });
  }
  return out;
}

const SQUARES_DRAWN = 300; // of a topic on a broker: more say no more, and make a browser slow

// Of a broker's topics with a problem, as many as have about that many squares; the others are counted.
function drawn(held) {
  let squares = 0;
  const enough = held.findIndex((h) => (squares += h.squares.length) >= SQUARES_DRAWN);
  return enough < 0 ? held : held.slice(0, enough + 1);
}

function Squares({ topic, squares, id }) {
  const leads = squares.filter((s) => s.role === "leads").length;
  const behind = squares.filter((s) => s.role === "behind").length;
  const label = `${topic.name}: leads ${leads} of ${squares.length} here${behind > 0 ? `, ${behind} behind` : ""}`;
  return html`<a class="holding" href=${`#/topic/${encodeURIComponent(topic.name)}`} aria-label=${label} style=${{ "--hue": hue(topic.name) }}>
    <span class="name">${topic.name}</span>
    <span class="squares" aria-hidden="true">
      ${squares.slice(0, SQUARES_DRAWN).map(
        ({ p, role, moved }) =>
          html`<i key=${p.p} class=${`${role}${moved ? " moved" : ""}`} data-partition=${`${topic.name}-${p.p}`} title=${`${topic.name}-${p.p}: ${role === "leads" ? `broker ${id} leads` : role === "in-sync" ? "in sync" : "behind"} · epoch ${p.epoch}`}></i>`,
      )}
    </span>
    <span class="tally">${leads}/${squares.length}</span>
  </a>`;
}

function Broker({ broker, internal, most }) {
  const held = holdings(broker.id, internal);
  const all = [...state.topics.values()].flatMap((t) => [...t.partitions.values()]).filter((p) => p.replicas.includes(broker.id));
  // Where only partitions with a problem are known, the broker itself says what it has.
  const few = state.cluster.problems_only;
  const leads = few ? (broker.fenced ? 0 : state.traffic.get(broker.id)?.leads) : all.filter((p) => p.leader === broker.id).length;
  const replicas = few ? state.traffic.get(broker.id)?.replicas : all.length;
  const behind = all.filter((p) => !p.isr.includes(broker.id)).length;
  const traffic = broker.fenced ? undefined : state.traffic.get(broker.id);
  const isController = state.controller === broker.id;
  const status = broker.fenced ? "fenced" : broker.leaving ? "leaving" : "in service";
  const share = (n) => `${most > 0 ? Math.max(n > 0 ? 2 : 0, (100 * (n ?? 0)) / most) : 0}%`;
  const base = baseOf(broker);
  const shown = few ? drawn(held) : held;
  return html`<section class=${`card broker ${broker.fenced ? "down" : ""}`} data-broker=${broker.id} aria-label=${`Broker ${broker.id}`}>
    <div class="head">
      <h2>Broker ${broker.id}</h2>
      ${isController && html`<span class="pill controller">controller</span>`}
      <span class=${`pill ${broker.fenced ? "bad" : broker.leaving ? "warn" : "good"}`}>${status}</span>
      ${current()?.id === broker.id && html`<span class="pill here" title="this page is served by it">this page</span>`}
    </div>
    <div class="address">${broker.listeners?.[0]?.address ?? ""}${broker.rack ? html` · rack ${broker.rack}` : ""}${base !== null && base !== "" && !broker.fenced && current()?.id !== broker.id ? html` · <a href=${base}>its page</a>` : ""}</div>
    <dl class="figures">
      <div><dt>leads</dt><dd>${count(leads)}</dd></div>
      <div><dt>replicas</dt><dd>${count(replicas)}</dd></div>
      <div class=${behind > 0 ? "alarm" : ""}><dt>behind</dt><dd>${count(behind)}</dd></div>
    </dl>
    <div class="flow"><span>in</span><div class="bar in"><i style=${{ width: share(traffic?.in) }}></i></div><b>${rate(traffic?.in)}</b></div>
    <div class="flow"><span>out</span><div class="bar out"><i style=${{ width: share(traffic?.out) }}></i></div><b>${rate(traffic?.out)}</b></div>
    <div class="holdings">${shown.map((h) => html`<${Squares} key=${h.topic.name} ...${h} id=${broker.id} />`)}</div>
    ${shown.length < held.length && html`<p class="dim">and ${count(held.length - shown.length)} topics more with a problem</p>`}
    ${held.length === 0 && html`<p class="dim">${few ? "none with a problem" : html`no replicas${internal ? "" : " of topics of yours"}`}</p>`}
  </section>`;
}

export function MapView() {
  const [internal, setInternal] = useState(false);
  const brokers = [...state.brokers.values()].sort((a, b) => a.id - b.id);
  const rates = [...state.traffic.values()];
  const most = Math.max(0, ...rates.map((r) => Math.max(r.in ?? 0, r.out ?? 0)));
  const topics = [...state.topics.values()];
  const partitions = topics.flatMap((t) => [...t.partitions.values()]);
  const sum = (what) => rates.reduce((s, r) => s + (r[what] ?? 0), 0);
  return html`<div class="map">
    <h1 class="visually-hidden">Cluster</h1>
    <dl class="card totals">
      <div><dt>brokers</dt><dd>${brokers.filter((b) => !b.fenced).length}<small>/${brokers.length}</small></dd></div>
      <div><dt>controller</dt><dd>${state.controller ?? "none"}<small> term ${state.term}</small></dd></div>
      <div><dt>topics</dt><dd>${count(topics.filter((t) => !t.internal).length)}</dd></div>
      <div><dt>partitions</dt><dd>${count(state.cluster.partitions)}</dd></div>
      <div class=${partitions.some(partitionProblem) ? "alarm" : ""}><dt>under-replicated</dt><dd>${count(partitions.filter(partitionProblem).length)}</dd></div>
      <div><dt>records in</dt><dd>${count(sum("messages"))}<small>/s</small></dd></div>
    </dl>
    <div class="brokers">${brokers.map((b) => html`<${Broker} key=${b.id} broker=${b} internal=${internal} most=${most} />`)}</div>
    <div class="legend">
      <span><i class="leads"></i>leads</span><span><i class="in-sync"></i>follows, in sync</span><span><i class="behind"></i>behind</span>
      <label><input type="checkbox" checked=${internal} onChange=${(e) => setInternal(e.target.checked)} /> internal topics</label>
      ${state.cluster.problems_only && html`<span>many partitions: only those with a problem are drawn</span>`}
    </div>
    <div class="below">
      <section class="card"><h2>Traffic <small><i class="key in"></i>${bytes(sum("in"))}/s in <i class="key out"></i>${bytes(sum("out"))}/s out</small></h2>
        ${state.history.length < 2 ? html`<p class="chart empty">A curve begins in a moment.</p>` : html`<${TrafficChart} />`}</section>
      <section class="card"><h2>What happened <a class="more" href="#/events">all events</a></h2><${EventList} events=${state.events.slice(-7).reverse()} /></section>
    </div>
  </div>`;
}
