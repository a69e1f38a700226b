// Two training jobs side by side: progress, health, samples, and their curves in one chart.
import { Chart } from "./curves.js";
import { Badge, Field, Loaded, Notes, Title } from "./elements.js";
import { link } from "./links.js";
import { html, useState } from "./preact.js";
import { JobProgress } from "./job.js";
import { SampleSlider } from "./sample_slider.js";
import { useTrainingJob } from "./watched_job.js";
import { label } from "./words.js";

export function Comparison({ first, second }) {
  const both = [useTrainingJob(first), useTrainingJob(second)];
  return html`<${Title}>Two jobs side by side</${Title}>
    <${SharedCurves} jobs=${both} />
    <div class="two">${both.map((watched, at) => html`<section key=${at}><${Loaded} of=${watched}>${(job) => html`
      <h2><a href=${link(["jobs", job.id])}>${job.produced ?? job.model}</a></h2>
      <p class="small muted">${job.id}, ${job.preset}, ${job.config.resolution} px</p>
      <${JobProgress} job=${job} />
      <p>Health: <${Badge} state=${job.health.state} />${job.verdict && html` Verdict: <${Badge} state=${job.verdict.state} />`}</p>
      <${Notes} texts=${[...job.health.reasons, ...(job.verdict ? [job.verdict.sentence] : [])]} />
      <${SampleSlider} job=${job.id} steps=${watched.steps} model=${job.model} />
      <${Differences} job=${job} other=${both[1 - at].value} />`}</${Loaded}></section>`)}</div>`;
}

function SharedCurves({ jobs }) {
  const [chosen, setChosen] = useState(null);
  const shown = jobs.filter((each) => each.curves?.steps.length && each.value);
  const names = [...new Set(shown.flatMap((each) => Object.keys(each.curves.series)))];
  if (!names.length) return null;
  const name = names.includes(chosen) ? chosen : names.find((each) => each === "defect_distance") ?? names[0];
  const lines = shown.filter((each) => each.curves.series[name]).map((each) => ({ name: each.value.id, steps: each.curves.steps, values: each.curves.series[name] }));
  return html`<figure><figcaption><${Field} label="Curve">${(field) => html`<select ...${field} value=${name} onChange=${(event) => setChosen(event.target.value)}>
    ${names.map((each) => html`<option value=${each}>${label(each)}</option>`)}</select>`}</${Field}></figcaption><${Chart} lines=${lines} /></figure>`;
}

function Differences({ job, other }) {
  if (!other) return null;
  const all = Object.keys({ ...job.config, ...other.config });
  const different = all.filter((name) => JSON.stringify(job.config[name]) !== JSON.stringify(other.config[name]));
  if (!different.length) return html`<p class="muted">Its settings are those of the other job.</p>`;
  return html`<h3>What is set differently</h3><dl class="small">${different.map((name) => html`<dt>${label(name)}</dt><dd>${JSON.stringify(job.config[name]) ?? "not set"}</dd>`)}</dl>`;
}
