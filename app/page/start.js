// First steps: what to do on an empty service, and what is going on once it is not empty.
import { address, download, send, upload } from "./api.js";
import { Badge, Loaded, Problem, Title } from "./elements.js";
import { go, link } from "./links.js";
import { useAction, useResource } from "./live.js";
import { html, useState } from "./preact.js";
import { UploadForm } from "./upload_form.js";
import { count, share } from "./words.js";

export function Start({ caller }) {
  const trains = caller.may("train");
  const datasets = useResource(trains ? address(["datasets"], { limit: 3 }) : null, { every: 10 });
  const jobs = useResource(trains ? address(["training-jobs"], { limit: 5 }) : null, { every: 5 });
  const models = useResource(caller.may("generate") ? address(["models"], { limit: 5 }) : null, { every: 10 });
  const empty = datasets.value?.items.length === 0 && models.value?.items.length === 0;
  if (empty) return html`<${FirstSteps} />`;
  return html`<${Title}>Synthetic photographs of defects</${Title}>
    <p class="lead">Flawsmith learns from a few photographs of defects, and makes as many more as you need.</p>
    <div class="cards">
      ${trains && html`<section><h2>Training</h2><${Loaded} of=${jobs}>${(value) => html`<${JobList} jobs=${value.items} />`}</${Loaded}>
        <p class="row"><a class="button primary" href="#/jobs/new">New training job</a><a href="#/jobs">All jobs</a></p></section>`}
      ${trains && html`<section><h2>Data sets</h2><${Loaded} of=${datasets}>${(value) => html`<ul class="plain">${value.items.map((each) => html`<li key=${each.id}>
          <a href=${link(["datasets", each.id])}>${each.name}</a> <span class="muted">${count(each.image_count, "photograph")}</span></li>`)}</ul>`}</${Loaded}>
        <p class="row"><a class="button" href="#/datasets">Add photographs</a></p></section>`}
      ${caller.may("generate") && html`<section><h2>Models</h2><${Loaded} of=${models}>${(value) => html`<ul class="plain">${value.items.map((each) => html`<li key=${each.name}>
          <a href=${link(["models", each.name])}>${each.name}</a> <span class="muted">${count(each.versions.length, "version")}</span></li>`)}
          ${value.items.length === 0 && html`<li class="muted">There is no model yet: a training job publishes one.</li>`}</ul>`}</${Loaded}>
        <p class="row"><a class="button primary" href="#/gallery">Generate images</a></p></section>`}
      ${!caller.may("generate") && html`<p>Your key permits the metrics of <a href="#/service">the service</a>.</p>`}
    </div>`;
}

const JobList = ({ jobs }) => html`<ul class="plain">${jobs.map((job) => html`<li key=${job.id}>
    <a href=${link(["jobs", job.id])}>${job.produced ?? job.model}</a> <${Badge} state=${job.state} />
    ${job.state === "running" && html`<span class="muted">${Math.round(100 * share(job))} %</span>`}</li>`)}
  ${jobs.length === 0 && html`<li class="muted">No job has been submitted yet.</li>`}</ul>`;

function FirstSteps() {
  const [share, setShare] = useState(null);
  const demo = useAction(async () => {
    const archive = await (await send(address(["demo-set.zip"]))).blob();
    const form = new FormData();
    form.append("name", "demo");
    form.append("archive", archive, "demo-set.zip");
    const dataset = await upload(address(["datasets"]), form, setShare);
    go(["jobs", "new"], { dataset: dataset.name });
  });
  return html`<${Title}>Start with photographs of defects</${Title}>
    <p class="lead">Flawsmith learns from a few photographs of defects, and makes as many more as you need. This service is empty so far.</p>
    <ol class="steps">
      <li><h2>Add photographs</h2><p>Some twenty of each type of defect are enough to begin with.</p>
        <${UploadForm} />
        <p class="row"><span>Nothing at hand?</span>
          <button type="button" aria-disabled=${demo.busy} onClick=${demo.run}>Try it with the demo’s set</button>
          <button type="button" onClick=${() => download(address(["demo-set.zip"]), "demo-set.zip")}>Download it</button></p>
        ${demo.busy && html`<p role="status">${share === 1 ? "300 rendered pictures of brushed steel are read …" : "They are rendered and uploaded …"}</p>`}
        <${Problem} problem=${demo.problem} /></li>
      <li><h2>Train a model</h2><p class="muted">A few minutes on two CPU cores show that it works. You watch it learn.</p></li>
      <li><h2>Generate images</h2><p class="muted">Each has an address that gives the same picture for ever.</p></li>
    </ol>`;
}
