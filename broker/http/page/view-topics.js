// Topics, and one topic: its partitions with offsets and replicas, and its settings.
import { html, useEffect, useState } from "/vendor/htm-preact.js";
import { ask, state } from "/live.js";
import { bytes, count, hue, partitionProblem, rate, ROWS_DRAWN } from "/format.js";
import { ConfigTable } from "/views.js";

export function TopicsView() {
  const [filter, setFilter] = useState("");
  const [internal, setInternal] = useState(false);
  const rates = new Map();
  for (const broker of state.traffic.values()) {
    for (const [name, r] of Object.entries(broker.topics ?? {})) {
      const sum = rates.get(name) ?? { in: 0, out: 0, messages: 0 };
      rates.set(name, { in: sum.in + r.in, out: sum.out + r.out, messages: sum.messages + r.messages });
    }
  }
  const shown = [...state.topics.values()].filter((t) => (internal || !t.internal) && t.name.includes(filter));
  return html`<section class="card">
    <h1>Topics <small>${count(shown.length)}</small></h1>
    <div class="controls">
      <input data-filter type="search" placeholder="filter by name" aria-label="Filter topics" value=${filter} onInput=${(e) => setFilter(e.target.value)} />
      <label><input type="checkbox" checked=${internal} onChange=${(e) => setInternal(e.target.checked)} /> internal</label>
    </div>
    <div class="scroll"><table>
      <thead><tr><th scope="col">Topic</th><th scope="col" class="n">Partitions</th><th scope="col" class="n">Replicas</th><th scope="col">State</th><th scope="col" class="n">Records/s</th><th scope="col" class="n">In</th><th scope="col" class="n">Out</th></tr></thead>
      <tbody>${shown.slice(0, ROWS_DRAWN).map((t) => {
        const partitions = [...t.partitions.values()];
        const bad = partitions.filter(partitionProblem).length;
        const r = rates.get(t.name);
        return html`<tr key=${t.name}>
          <th scope="row"><a href=${`#/topic/${encodeURIComponent(t.name)}`}><i class="dot" style=${{ "--hue": hue(t.name) }}></i>${t.name}</a></th>
          <td class="n">${count(Math.max(t.count, partitions.length))}</td>
          <td class="n">${partitions[0]?.replicas.length ?? "–"}</td>
          <td>${bad > 0 ? html`<span class="pill bad">${bad} not in sync</span>` : html`<span class="pill good">in sync</span>`}</td>
          <td class="n">${count(r?.messages ?? 0)}</td><td class="n">${rate(r?.in ?? 0)}</td><td class="n">${rate(r?.out ?? 0)}</td>
        </tr>`;
      })}</tbody>
    </table></div>
    ${shown.length > ROWS_DRAWN && html`<p class="empty">and ${count(shown.length - ROWS_DRAWN)} more: the filter finds them</p>`}
    ${shown.length === 0 && html`<p class="empty">${filter ? "No topic has that in its name." : "There are no topics yet. The first produce makes one: echo hello | naru produce first"}</p>`}
  </section>`;
}

export function TopicView({ name }) {
  const [detail, setDetail] = useState(null);
  const [drawn, setDrawn] = useState(ROWS_DRAWN);
  const [error, setError] = useState(null);
  useEffect(() => {
    let ended = false;
    const load = () => ask(`/api/v1/topic?name=${encodeURIComponent(name)}`).then(
      (d) => !ended && (setDetail(d), setError(null)),
      (e) => !ended && setError(e.message),
    );
    load();
    const timer = setInterval(load, 2000);
    return () => ((ended = true), clearInterval(timer));
  }, [name]);
  const live = state.topics.get(name);
  const partitions = detail?.partitions.map((p) => ({ ...p, ...(live?.partitions.get(p.p) ?? {}) })) ?? [];
  const sum = (what) => partitions.reduce((s, p) => s + (p[what] ?? 0), 0);
  // What has a problem is among those that are drawn.
  const first = partitions.length > drawn ? [...partitions].sort((a, b) => !partitionProblem(a) - !partitionProblem(b)) : partitions;
  const mark = (p, id) => (p.leader === id ? "leads" : p.isr.includes(id) ? "in-sync" : "behind");
  return html`<section class="card">
      <h1><a class="back" href="#/topics" aria-label="All topics">‹</a><i class="dot" style=${{ "--hue": hue(name) }}></i>${name}
        <a class="button" href=${`#/messages/${encodeURIComponent(name)}/0`}>Look at its records</a></h1>
      ${error && html`<p class="problem" role="alert">${error}</p>`}
      ${detail && html`<p class="dim">${count(partitions.length)} partitions; on this broker ${count(sum("end") - sum("start"))} offsets in use, ${bytes(sum("size"))}. Id ${detail.id}</p>`}
      <div class="scroll"><table style=${{ "--hue": hue(name) }}>
        <thead><tr><th scope="col">Partition</th><th scope="col">Leader</th><th scope="col">Replicas</th><th scope="col" class="n">Epoch</th><th scope="col" class="n">First</th><th scope="col" class="n">End</th><th scope="col" class="n">Size</th><th scope="col"></th></tr></thead>
        <tbody>${first.slice(0, drawn).map((p) => html`<tr key=${p.p}>
          <th scope="row">${p.p}</th>
          <td>${p.leader ?? html`<span class="pill bad">none</span>`}</td>
          <td class="squares">${p.replicas.map((id) => html`<span class=${`replica ${mark(p, id)}`} title=${{ leads: "leads", "in-sync": "in sync", behind: "behind" }[mark(p, id)]}>${id}</span>`)}${partitionProblem(p) && html` <span class="dim">${partitionProblem(p)}</span>`}</td>
          <td class="n">${p.epoch}</td><td class="n">${count(p.start)}</td><td class="n">${count(p.end)}</td><td class="n">${bytes(p.size)}</td>
          <td><a href=${`#/messages/${encodeURIComponent(name)}/${p.p}`}>records</a></td>
        </tr>`)}</tbody>
      </table></div>
      ${partitions.length > drawn && html`<p class="empty"><button onClick=${() => setDrawn(drawn + ROWS_DRAWN)}>${count(partitions.length - drawn)} more</button></p>`}
    </section>
    ${detail && html`<section class="card"><h2>Settings</h2><${ConfigTable} configs=${detail.configs} /></section>`}`;
}
