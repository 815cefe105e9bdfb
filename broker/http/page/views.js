// The views that are little more than a table: groups, events, settings, quorum.
import { html, useEffect, useState } from "/vendor/htm-preact.js";
import { ask, askAll, baseOf, current, state } from "/live.js";
import { clock, count, duration, moment } from "/format.js";

// Loads again and again while the view is open.
function usePolled(load, every, key = "") {
  const [value, setValue] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    let ended = false;
    const again = () => load().then((v) => !ended && (setValue(v), setError(null)), (e) => !ended && setError(e.message));
    again();
    const timer = setInterval(again, every);
    return () => ((ended = true), clearInterval(timer));
  }, [key, state.base]);
  return [value, error];
}

const KINDS = ["election", "isr", "fence", "broker", "topic", "config", "quorum"];

export function EventList({ events }) {
  if (events.length === 0) return html`<p class="empty">Nothing has happened yet.</p>`;
  return html`<ol class="timeline">${events.map(
    (e) => html`<li key=${`${e.offset} ${e.text}`} class=${`k-${e.kind}`}>
      <time>${clock(e.time)}</time><span class="kind">${e.kind}</span><span class="what">${e.text}${e.reason && html` <span class="why">${e.reason}</span>`}</span><span class="offset" title="offset in the metadata log">${e.offset}</span>
    </li>`,
  )}</ol>`;
}

export function EventsView() {
  const [off, setOff] = useState(new Set());
  const toggle = (kind) => {
    const next = new Set(off);
    if (!next.delete(kind)) next.add(kind);
    setOff(next);
  };
  const shown = state.events.filter((e) => !off.has(e.kind)).reverse();
  return html`<section class="card">
    <h1>Events <small>what the metadata log says, newest first</small></h1>
    <div class="controls chips" role="group" aria-label="Kinds of events">${KINDS.map(
      (k) => html`<button class=${`chip k-${k}`} aria-pressed=${!off.has(k)} onClick=${() => toggle(k)}>${k}</button>`,
    )}</div>
    <${EventList} events=${shown} />
  </section>`;
}

function Group({ group }) {
  const [open, setOpen] = useState(false);
  return html`<tr class=${open ? "open" : ""}>
      <th scope="row"><button class="expand" aria-expanded=${open} onClick=${() => setOpen(!open)}><span class="chevron">›</span> ${group.group}</button></th>
      <td><span class=${`pill ${group.state === "Stable" ? "good" : group.state === "Empty" ? "" : "warn"}`}>${group.state}</span></td>
      <td class="n">${group.members}</td><td class="n">${count(group.lag)}</td><td class="n">${duration(group.seconds)}</td><td class="n">${group.coordinator}</td>
    </tr>
    ${open && html`<tr class="detail"><td colspan="6"><table>
      <thead><tr><th scope="col">Topic</th><th scope="col" class="n">Partition</th><th scope="col" class="n">Committed</th><th scope="col" class="n">End</th><th scope="col" class="n">Lag</th><th scope="col" class="n">Lag in time</th></tr></thead>
      <tbody>${group.offsets.map((o) => html`<tr><td>${o.topic}</td><td class="n">${o.partition}</td><td class="n">${count(o.committed)}</td><td class="n">${count(o.end)}</td><td class="n">${count(o.lag)}</td><td class="n">${duration(o.seconds)}</td></tr>`)}</tbody>
    </table></td></tr>`}`;
}

export function GroupsView() {
  const [filter, setFilter] = useState("");
  const [answers, error] = usePolled(() => askAll("/api/v1/groups"), 2000);
  const all = (answers ?? []).flatMap((a) => a.groups).sort((a, b) => b.lag - a.lag || (a.group < b.group ? -1 : 1));
  const shown = all.filter((g) => g.group.includes(filter));
  return html`<section class="card">
    <h1>Consumer groups <small>${count(shown.length)}</small></h1>
    <div class="controls"><input data-filter type="search" placeholder="filter by name" aria-label="Filter groups" value=${filter} onInput=${(e) => setFilter(e.target.value)} /></div>
    ${error && html`<p class="problem" role="alert">${error}</p>`}
    <div class="scroll"><table>
      <thead><tr><th scope="col">Group</th><th scope="col">State</th><th scope="col" class="n">Members</th><th scope="col" class="n">Lag</th><th scope="col" class="n">Lag in time</th><th scope="col" class="n">Coordinator</th></tr></thead>
      <tbody>${shown.map((g) => html`<${Group} key=${g.group} group=${g} />`)}</tbody>
    </table></div>
    ${answers && shown.length === 0 && html`<p class="empty">${filter ? "No group has that in its name." : "There are no groups."}</p>`}
  </section>`;
}

export function ConfigTable({ configs }) {
  const [filter, setFilter] = useState("");
  const [all, setAll] = useState(false);
  const shown = configs.filter((c) => (all || filter || !c.default) && c.name.includes(filter));
  return html`
    <div class="controls">
      <input data-filter type="search" placeholder="filter by name" aria-label="Filter settings" value=${filter} onInput=${(e) => setFilter(e.target.value)} />
      <label><input type="checkbox" checked=${all} onChange=${(e) => setAll(e.target.checked)} /> defaults too</label>
    </div>
    <div class="scroll"><table class="configs">
      <thead><tr><th scope="col">Name</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
      <tbody>${shown.map((c) => html`<tr key=${c.name}><th scope="row" title=${c.doc}>${c.name}</th><td class="value">${c.sensitive ? "hidden" : (c.value ?? "not set")}</td><td><span class=${`pill ${c.default ? "" : "here"}`}>${c.source}</span></td></tr>`)}</tbody>
    </table></div>
    ${shown.length === 0 && html`<p class="empty">${filter ? "No setting has that in its name." : "Everything is at its default."}</p>`}`;
}

export function ConfigView() {
  const [id, setId] = useState(current()?.id);
  const brokers = [...state.brokers.values()].sort((a, b) => a.id - b.id);
  const base = id === undefined || id === current()?.id ? state.base : baseOf(state.brokers.get(id));
  const [answer, error] = usePolled(() => ask("/api/v1/configs", { base }), 5000, String(id));
  return html`<section class="card">
    <h1>Settings</h1>
    <div class="controls"><label>Broker <select onChange=${(e) => setId(Number(e.target.value))}>${brokers.map((b) => html`<option value=${b.id} selected=${b.id === id}>${b.id}</option>`)}</select></label></div>
    ${error && html`<p class="problem" role="alert">Broker ${id} does not answer: ${error}</p>`}
    ${answer && (id === undefined || answer.broker === id) && html`<${ConfigTable} configs=${answer.configs} />`}
  </section>`;
}

export function QuorumView() {
  const [answer, error] = usePolled(() => ask("/api/v1/quorum"), 1000);
  const ago = (ms) => (ms === null || ms < 0 ? "–" : `${duration(Math.max(0, (Date.now() - ms) / 1000))} ago`);
  return html`<section class="card">
    <h1>Metadata quorum</h1>
    ${error && html`<p class="problem" role="alert">${error}</p>`}
    ${answer && html`
      <dl class="totals">
        <div><dt>leader</dt><dd>${answer.leader ?? "none"}</dd></div>
        <div><dt>term</dt><dd>${answer.term}</dd></div>
        <div><dt>committed up to</dt><dd>${count(answer.high_watermark)}</dd></div>
        <div><dt>this page has seen</dt><dd>${count(state.offset + 1)}</dd></div>
      </dl>
      <div class="scroll"><table>
        <thead><tr><th scope="col">Broker</th><th scope="col">Role</th><th scope="col" class="n">Log end</th><th scope="col" class="n">Lag</th><th scope="col">Heard of</th><th scope="col">Address</th></tr></thead>
        <tbody>${answer.replicas.map((r) => html`<tr key=${r.id}><th scope="row">${r.id}</th>
          <td><span class=${`pill ${r.role === "leader" ? "controller" : r.role === "voter" ? "good" : ""}`}>${r.role}</span></td>
          <td class="n">${count(r.log_end)}</td><td class="n">${r.log_end === null ? "–" : count(Math.max(0, answer.high_watermark - r.log_end))}</td>
          <td title=${moment(r.last_fetch)}>${r.role === "leader" ? "–" : ago(r.last_fetch)}</td><td>${r.address ?? "–"}</td></tr>`)}</tbody>
      </table></div>`}
  </section>`;
}
