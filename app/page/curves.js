// Curves of a job over its steps, by uPlot; beside them the newest values in words, for those who cannot see them.
import { Field } from "./elements.js";
import { useMedia } from "./live.js";
import { html, useEffect, useRef, useState } from "./preact.js";
import uPlot from "./vendor/uplot.js";
import { figure, label } from "./words.js";

const HEIGHT = 220;
const COLOURS = ["--curve-1", "--curve-2", "--curve-3", "--curve-4"];

const isLoss = (name) => name.endsWith("_loss");
const newest = (values) => values.findLast((each) => each !== null);

// `curves`: {steps, series}, or several of them by name, to compare.
export function Curves({ curves }) {
  const signals = Object.keys(curves.series).filter((name) => !isLoss(name));
  const losses = Object.keys(curves.series).filter(isLoss);
  const preferred = ["defect_distance", "distance"].find((each) => signals.includes(each)) ?? signals[0];
  const [chosen, setChosen] = useState(null);
  const signal = signals.includes(chosen) ? chosen : preferred;
  if (!curves.steps.length) return html`<p class="muted">The curves begin with the first step.</p>`;
  return html`<div class="charts">
    <figure><figcaption>Losses</figcaption><${Chart} lines=${losses.map((name) => ({ name: label(name), steps: curves.steps, values: curves.series[name] }))} /></figure>
    ${signal && html`<figure><figcaption><${Field} label="Quality over time">${(field) => html`<select ...${field} value=${signal} onChange=${(event) => setChosen(event.target.value)}>
      ${signals.map((each) => html`<option value=${each}>${label(each)}</option>`)}</select>`}</${Field}></figcaption>
      <${Chart} lines=${[{ name: label(signal), steps: curves.steps, values: curves.series[signal] }]} /></figure>`}
  </div>`;
}

export function Chart({ lines }) {
  const place = useRef();
  const chart = useRef(null);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const shape = lines.map((each) => each.name).join("\n");
  useEffect(() => {
    const colour = (name) => resolvedColour(place.current, name);
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const options = {
      width: place.current.clientWidth, height: HEIGHT,
      legend: { show: false }, scales: { x: { time: false } }, axes: [axis, { ...axis, size: 60 }],
      cursor: { y: false },
      series: [{}, ...lines.map((each, at) => ({ label: String(at), stroke: colour(COLOURS[at % COLOURS.length]), width: 2, spanGaps: true, dash: at % 2 ? [6, 3] : undefined, points: { show: each.values.length < 3 } }))],
    };
    chart.current = new uPlot(options, joined(lines), place.current);
    const resized = new ResizeObserver(([{ contentRect }]) => chart.current?.setSize({ width: Math.floor(contentRect.width), height: HEIGHT }));
    resized.observe(place.current);
    return () => {
      resized.disconnect();
      chart.current.destroy();
      chart.current = null;
    };
  }, [shape, dark]);
  useEffect(() => chart.current?.setData(joined(lines)), [lines]);
  const said = lines.map((each) => `${each.name} ${figure(newest(each.values) ?? null)}`).join(", ");
  return html`<div class="chart" ref=${place} role="img" aria-label="Curve over the steps; newest values: ${said}"></div>
    <ul class="legend">${lines.map((each, at) => html`<li key=${each.name}><span class="swatch curve-${(at % COLOURS.length) + 1}" aria-hidden="true"></span>${each.name}: <b>${figure(newest(each.values) ?? null)}</b></li>`)}</ul>`;
}

// A canvas knows no custom properties and no light-dark().
function resolvedColour(element, name) {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

// uPlot wants one list of steps and a value or null of each line at each of them.
function joined(lines) {
  if (lines.every((each) => each.steps === lines[0].steps)) return [lines[0]?.steps ?? [], ...lines.map((each) => each.values)];
  return uPlot.join(lines.map((each) => [each.steps, each.values]));
}
