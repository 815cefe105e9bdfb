// The message browser: records of one partition from an offset, a time, the start or the end, with a filter for keys.
import { html, useEffect, useRef, useState } from "/vendor/htm-preact.js";
import { ask, baseOf, state } from "/live.js";
import { bytes, count, laidOut, moment } from "/format.js";

function shown(field) {
  if (field === null || field === undefined) return html`<span class="dim">null</span>`;
  const text = field.text ?? field.hex.replace(/(..)/g, "$1 ");
  return html`<span class=${field.text === undefined ? "hex" : ""}>${text}${field.cut ? "…" : ""}</span>`;
}

function pretty(field) {
  if (field?.text === undefined) return field?.hex ?? "null";
  return laidOut(field.text) ?? field.text;
}

function Record({ record }) {
  const [open, setOpen] = useState(false);
  return html`<tr class=${open ? 'open' : ''}>
      <td class="n"><button class="expand" aria-expanded=${open} aria-label=${`Record ${record.offset}`} onClick=${
      () => setOpen(!open)}><span class="chevron">›</span> ${record.offset}</button></td>
      <td class="time">${moment(record.time)}</td>
      <td class="cell">${shown(record.key)}</td>
      <td class="cell value">${shown(record.value)}</td>
    </tr>
    ${
      open &&
      html`<tr class="detail"><td colspan="4">
      <p class="dim">key ${record.key ? bytes(record.key.size) : 'null'}, value ${
          record.value ? bytes(record.value.size) : 'null'}${record.value?.cut ? ', cut' : ''}</p>
      ${
          record.headers &&
          html`<dl class="headers">${
              record.headers.map((h) => html`<div><dt>${h.name}</dt><dd>${shown(h.value)}</dd></div>`)}${
              record.header_count &&
              html`<div><dt>…</dt><dd>${record.header_count - record.headers.length} more</dd></div>`}</dl>`}
      <pre tabindex="0">${pretty(record.value)}</pre>
    </td></tr>`}`;
}

// Where there are many partitions this page knows only those with a problem, and asks.
async function leaderOf(topic, partition) {
  const known = state.topics.get(topic)?.partitions.get(partition);
  if (known) return known.leader;
  const { partitions } = await ask(`/api/v1/topic?name=${encodeURIComponent(topic)}`);
  return partitions.find((p) => p.p === partition)?.leader;
}

export function MessagesView({ route }) {
  const topics = [...state.topics.values()].filter((t) => !t.internal).map((t) => t.name);
  const topic = route[1] || topics[0] || "";
  const partition = Number(route[2] ?? 0);
  const [from, setFrom] = useState("end");
  const [offset, setOffset] = useState("");
  const [time, setTime] = useState("");
  const [key, setKey] = useState("");
  const [page, setPage] = useState(null);
  const [error, setError] = useState(null);

  const asked = useRef(0);
  const load = async (where) => {
    if (!topic) return;
    const turn = ++asked.current; // an answer that comes after a later question is not shown
    const query = new URLSearchParams({ topic, partition, count: 50, ...(key ? { key } : {}), ...where });
    try {
      let answer;
      try {
        answer = await ask(`/api/v1/messages?${query}`);
      } catch (e) {
        // This broker has no replica of it; the leader has.
        const leader = e.status === 421 ? state.brokers.get(await leaderOf(topic, partition)) : undefined;
        const base = baseOf(leader);
        if (base === null) throw e;
        answer = await ask(`/api/v1/messages?${query}`, { base });
      }
      if (turn !== asked.current) return;
      setPage(answer);
      setError(null);
    } catch (e) {
      if (turn === asked.current) setError(e.message);
    }
  };
  const where = () => {
    if (from === "offset" && offset !== "") return { from: offset };
    if (from === "time" && time !== "") return { time: new Date(time).getTime() };
    return { from: from === "start" ? "start" : "end" };
  };
  useEffect(() => {
    setPage(null);
    load(where());
  }, [topic, partition]);
  const go = (t, p) => (location.hash = `#/messages/${encodeURIComponent(t)}/${p}`);
  const partitions = Array.from({ length: state.topics.get(topic)?.count ?? 0 }, (_, p) => p);
  return html`<section class="card">
    <h1>Messages</h1>
    <form class="controls" onSubmit=${(e) => (e.preventDefault(), load(where()))}>
      <label>Topic <select value=${topic} onChange=${(e) => go(e.target.value, 0)}>${(topics.includes(topic) || !topic ? topics : [topic, ...topics]).map((t) => html`<option value=${t} selected=${t === topic}>${t}</option>`)}</select></label>
      <label>Partition <select value=${partition} onChange=${(e) => go(topic, e.target.value)}>${partitions.map((p) => html`<option value=${p} selected=${p === partition}>${p}</option>`)}</select></label>
      <label>From <select value=${from} onChange=${(e) => setFrom(e.target.value)}>
        <option value="end">the newest</option><option value="start">the oldest</option><option value="offset">offset</option><option value="time">time</option></select></label>
      ${from === "offset" && html`<label>Offset <input type="number" min="0" value=${offset} onInput=${(e) => setOffset(e.target.value)} /></label>`}
      ${from === "time" && html`<label>Time <input type="datetime-local" step="1" value=${time} onInput=${(e) => setTime(e.target.value)} /></label>`}
      <label>Key contains <input data-filter type="search" value=${key} onInput=${(e) => setKey(e.target.value)} /></label>
      <button class="primary">Show</button>
    </form>
    ${error && html`<p class="problem" role="alert">${error}</p>`}
    ${page && html`
      <p class="dim" role="status">${page.end > page.start ? `${count(page.records.length)} records; the partition holds offsets ${count(page.start)} to ${count(page.end - 1)}` : "The partition is empty."}</p>
      <div class="scroll" hidden=${page.records.length === 0}><table class="records">
        <thead><tr><th scope="col" class="n">Offset</th><th scope="col">Time</th><th scope="col">Key</th><th scope="col">Value</th></tr></thead>
        <tbody>${page.records.map((r) => html`<${Record} key=${r.offset} record=${r} />`)}</tbody>
      </table></div>
      ${page.records.length === 0 && page.end > page.start && html`<p class="empty">${key ? "No record here has that in its key." : "Nothing here."}</p>`}
      <div class="pager">
        <button disabled=${page.from <= page.start} onClick=${() => load({ from: Math.max(page.start, page.from - 50) })}>Older</button>
        <button disabled=${!page.more} onClick=${() => load({ from: page.next })}>Newer</button>
        <button onClick=${() => load({ from: "end" })}>Newest</button>
      </div>`}
    ${!topic && html`<p class="empty">There are no topics yet.</p>`}
  </section>`;
}
