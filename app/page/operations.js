// The service itself: whether it is ready, its queues, its workers, and the images that are ready.
import { address, connection, getJson, send } from "./api.js";
import { Badge, Notes, Table, Title } from "./elements.js";
import { html, useEffect, useState } from "./preact.js";
import { bytes } from "./words.js";

const SECONDS = 5;

export function Operations({ caller }) {
  const [readiness, setReadiness] = useState(null);
  const [metrics, setMetrics] = useState(null);
  const [workers, setWorkers] = useState([]);
  useEffect(() => {
    let timer = null, over = false;
    async function look() {
      const ready = await readinessOf();
      const figures = caller.may("metrics") ? await send(address(["metrics"])).then((answer) => answer.text()).then(parse).catch(() => null) : null;
      const live = figures ? await getJson(address(["metrics", "targets"])).catch(() => null) : null;
      if (over) return;
      if (live) setWorkers(live);
      if (ready) setReadiness(ready);
      if (figures) setMetrics(figures);
      timer = setTimeout(look, SECONDS * 1000);
    }
    look();
    return () => { over = true; clearTimeout(timer); };
  }, []);
  return html`<${Title}>Service</${Title}>
    ${readiness && html`<p role="status">${readiness.status === "ready" ? html`<${Badge} state="good" /> Every part of the service is up.` : html`<${Badge} state="warning" /> The service is not ready. These parts are down:`}</p>
      <${Notes} texts=${[...readiness.missing, ...readiness.warnings]} />`}
    ${metrics && html`<${Figures} metrics=${metrics} workers=${workers} />`}
    ${!caller.may("metrics") && html`<p class="muted">Queues, workers and the pool of ready images need a key of scope ‘admin’ or ‘metrics’.</p>`}
    <p><a href=${address(["docs"])}>The API’s documentation</a></p>`;
}

// The body of /readyz, which is an answer with 503 as well.
async function readinessOf() {
  try {
    const response = await fetch(address(["readyz"]));
    connection.report(false);
    const found = await response.json();
    return Array.isArray(found.missing) ? found : null;
  } catch {
    connection.report(true);
    return null;
  }
}

// Prometheus' text format: {name: [{labels, value}]}.
function parse(text) {
  const found = {};
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match || line.startsWith("#")) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value.replace(/\\(.)/g, "$1")]));
    (found[match[1]] ??= []).push({ labels, value: Number(match[3]) });
  }
  return found;
}

function sum(samples) {
  return samples.reduce((total, each) => total + each.value, 0);
}

function Figures({ metrics, workers }) {
  const of = (name) => metrics[`flawsmith_${name}`] ?? [];
  const queues = [...new Set([...of("queue_messages"), ...of("workers")].map((each) => each.labels.queue))];
  const at = (name, queue) => of(name).find((each) => each.labels.queue === queue)?.value ?? 0;
  const live = (queue) => sum(of("workers").filter((each) => each.labels.queue === queue && each.labels.state !== "lost"));
  const states = [...new Set(of("jobs").map((each) => each.labels.state))];
  const inState = (state) => sum(of("jobs").filter((each) => each.labels.state === state));
  const version = ({ labels }) => labels.version ? `${labels.model}@${labels.version}` : labels.model;
  const waiting = of("waiting_images")[0]?.value ?? 0;
  const failing = of("failing_sampling_workers");
  const memory = metrics.process_resident_memory_bytes?.[0]?.value;
  return html`<h2>Queues and workers</h2>
    <${Table} caption="Queues" head=${["Queue", "Waiting messages", "Live workers"]}>${queues.map((queue) => html`<tr key=${queue}><th scope="row">${queue}</th><td>${at("queue_messages", queue)}</td><td>${live(queue)}</td></tr>`)}</${Table}>
    ${workers.length > 0 && html`<ul class="plain small">${workers.map((each) => html`<li key=${each.labels.worker}><b>${each.labels.worker}</b> (${each.labels.queue}), metrics at ${each.targets.join(", ")}</li>`)}</ul>`}
    <p>${waiting} images are waited for.${memory ? ` The API takes ${bytes(memory)} of memory.` : ""}</p>
    ${failing.length > 0 && html`<div class="warning"><${Notes} texts=${failing.map((each) => `${each.value} workers fail to sample ${version(each)}`)} /></div>`}
    <h2>Jobs</h2>
    <${Table} caption="Jobs by state" head=${["State", "Jobs"]}>${states.map((state) => html`<tr key=${state}><th scope="row">${state}</th><td>${inState(state)}</td></tr>`)}</${Table}>
    <h2>Stock</h2>
    ${of("pool_images").length ? html`<${Table} caption="Images that are ready" head=${["Version", "Ready images"]}>${of("pool_images").map((each) => html`<tr key=${version(each)}><th scope="row">${version(each)}</th><td>${each.value}</td></tr>`)}</${Table}>` : html`<p class="muted">No images are ready ahead of a request.</p>`}`;
}
