// Traffic of the whole cluster over the last minutes, by uPlot. Colours come from the style sheet.
import uPlot from "/vendor/uplot.js";
import { html, useEffect, useRef } from "/vendor/htm-preact.js";
import { state, subscribe } from "/live.js";
import { rate } from "/format.js";

const HEIGHT = 230;
const STEPS = []; // of the axis, in units that people read: 1, 2 or 5 times a power of 1024
for (let unit = 1; unit < 1024 ** 5; unit *= 1024) for (const n of [1, 2, 5, 10, 20, 50, 100, 200, 500]) STEPS.push(n * unit);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(width) {
  const axis = { stroke: () => colour("--dim"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const series = (label, name) => ({
    label,
    stroke: () => colour(name),
    width: 2,
    fill: () => colour(`${name}-soft`),
    points: { show: false },
    value: (_, v) => (v === null ? "–" : rate(v)),
  });
  return {
    width,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    cursor: { y: false },
    legend: { live: true },
    scales: { x: { range: (_, min, max) => [Math.min(min, max - 60), max] }, y: { range: (_, __, max) => [0, Math.max(1024, max * 1.15)] } },
    axes: [
      { ...axis, space: 70, values: (_, ticks) => ticks.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB")) },
      { ...axis, size: 76, space: 40, incrs: STEPS, values: (_, ticks) => ticks.map(rate) },
    ],
    series: [{ label: "time", value: (_, v) => (v === null ? "–" : new Date(v * 1000).toLocaleTimeString("en-GB")) }, series("in", "--in"), series("out", "--out")],
  };
}

export function TrafficChart() {
  const place = useRef(null);
  useEffect(() => {
    const data = () => [state.history.map((h) => h.time), state.history.map((h) => h.in), state.history.map((h) => h.out)];
    const plot = new uPlot(options(place.current.clientWidth), data(), place.current);
    const size = new ResizeObserver(() => plot.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    size.observe(place.current);
    let shown = 0;
    const stop = subscribe(() => {
      const last = state.history.at(-1)?.time ?? 0;
      if (last !== shown) plot.setData(data());
      shown = last;
    });
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => plot.redraw();
    dark.addEventListener("change", redraw);
    const theme = new MutationObserver(redraw);
    theme.observe(document.documentElement, { attributes: true });
    return () => (stop(), size.disconnect(), theme.disconnect(), dark.removeEventListener("change", redraw), plot.destroy());
  }, []);
  return html`<div class="chart" ref=${place} role="img" aria-label="Bytes in and out per second over the last minutes"></div>`;
}
