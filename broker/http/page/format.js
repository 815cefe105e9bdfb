// Numbers and times for people, and what is wrong with a cluster in a few words.

export function bytes(n) {
  if (n === undefined || n === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; ++i) n /= 1024;
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}
export const rate = (n) => (n === undefined ? "–" : `${bytes(n)}/s`);
export function count(n) {
  return n === undefined || n === null ? "–" : n.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
export function duration(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  if (seconds < 1) return seconds === 0 ? "0 s" : `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
export function clock(ms) {
  if (!ms) return "before start";
  return new Date(ms).toLocaleTimeString("en-GB");
}
export function moment(ms) {
  if (ms === undefined || ms === null || ms < 0) return "–";
  const at = new Date(ms);
  return `${at.toLocaleDateString("en-CA")} ${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function partitionProblem(p) {
  if (p.leader === null) return "no leader";
  if (p.isr.length < p.replicas.length) return "not all in sync";
  return null;
}
export function problems(state) {
  let leaderless = 0;
  let behind = 0;
  for (const topic of state.topics.values()) {
    for (const p of topic.partitions.values()) {
      if (p.leader === null) ++leaderless;
      else if (p.isr.length < p.replicas.length) ++behind;
    }
  }
  const fenced = [...state.brokers.values()].filter((b) => b.fenced).map((b) => b.id);
  const out = [];
  if (state.controller === null) out.push("no controller");
  if (leaderless > 0) out.push(`${leaderless} without leader`);
  if (fenced.length > 0) out.push(`broker ${fenced.join(", ")} fenced`);
  if (behind > 0) out.push(`${behind} under-replicated`);
  return out;
}

// Rows of a table that are drawn at once: thousands of them, drawn anew with every change, make a browser slow.
export const ROWS_DRAWN = 500;

// A colour for each topic that stays the same on every broker and after every reload.
export function hue(name) {
  let h = 2166136261;
  for (let i = 0; i < name.length; ++i) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
  return ((h >>> 0) * 137.508) % 360;
}

// JSON laid out for reading, every number as it was written: through JSON.parse 9007199254740993 would become another.
// Null: it is no JSON.
export function laidOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[[\]{},:]|[^\s[\]{},:"]+/g);
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, i) => {
    const closes = token === "}" || token === "]";
    const isEmpty = closes && (tokens[i - 1] === "{" || tokens[i - 1] === "[");
    if (closes) --depth;
    if (closes && !isEmpty) out += line();
    out += token === ":" ? ": " : token;
    if (token === "{" || token === "[") {
      ++depth;
      if (tokens[i + 1] !== "}" && tokens[i + 1] !== "]") out += line();
    }
    if (token === ",") out += line();
  });
  return out;
}
