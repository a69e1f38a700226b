// One training job, live: how far it is, whether it goes well, its curves and samples, and what it published.
import { address, change } from "./api.js";
import { Curves } from "./curves.js";
import { Badge, CarefulButton, DownloadButton, Loaded, Notes, Problem, Title, Verdict } from "./elements.js";
import { go, link } from "./links.js";
import { useAction } from "./live.js";
import { html } from "./preact.js";
import { Remarks } from "./remarks.js";
import { SampleSlider } from "./sample_slider.js";
import { useTrainingJob } from "./watched_job.js";
import { duration, ended, figure, label, moment, share, steps } from "./words.js";

export function Job({ id, caller }) {
  const watched = useTrainingJob(id);
  return html`<${Loaded} of=${watched}>${(job) => html`
    <${Title}>Training ${job.produced ?? job.model}</${Title}>
    <${Outcome} job=${job} />
    <${JobProgress} job=${job} />
    <${Remarks} parts=${["training-jobs", id]} of=${job} list=${["jobs"]} caller=${caller} onChanged=${watched.reload} />
    <${JobControls} path="training-jobs" job=${job} onChanged=${watched.reload} caller=${caller} list=${["jobs"]} />
    <section class=${{ good: "", warning: "warning", failing: "problem" }[job.health.state]} aria-label="Health"><h2>Health: <${Badge} state=${job.health.state} /></h2>
      ${job.health.reasons.length ? html`<${Notes} texts=${job.health.reasons} />` : html`<p class="muted">Nothing speaks against it so far.</p>`}</section>
    <h2>Samples</h2>
    <${SampleSlider} job=${job.id} steps=${watched.steps} model=${job.model} />
    <h2>Curves</h2>
    ${watched.curves && html`<${Curves} curves=${watched.curves} />
      <p><${DownloadButton} parts=${["training-jobs", id, "history"]} query=${{ format: "csv" }} name="${id}.csv">Download as CSV</${DownloadButton}></p>`}
    <details><summary>Settings and history</summary>
      <${Notes} texts=${job.notes} />
      <dl class="small"><dt>Id</dt><dd>${job.id}</dd><dt>Data set</dt><dd><a href=${link(["datasets", job.dataset])}>${job.dataset}</a></dd><dt>Preset</dt><dd>${job.preset}</dd>
        <dt>Worker</dt><dd>${job.worker ?? "none"}</dd>
        ${Object.entries(job.config).map(([name, value]) => html`<dt>${label(name)}</dt><dd>${value !== null && typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>`)}</dl>
      <ol class="small">${job.transitions.map((each) => html`<li>${moment(each.at)}: ${each.state} – ${each.reason}</li>`)}</ol>
    </details>`}</${Loaded}>`;
}

function Outcome({ job }) {
  if (job.error) return html`<div class="problem" role="alert"><p>${job.error}</p></div>`;
  if (!job.produced) return null;
  const [model, version] = job.produced.split("@");
  const { verdict } = job;
  return html`<section class="outcome"><h2>It published ${job.produced}</h2>
    ${verdict && html`<${Verdict} verdict=${verdict} />`}
    <p class="row"><a class="button primary" href=${link(["gallery"], { model: job.produced })}>Generate images</a>
      <a class="button" href=${link(["models", model, version])}>Version and report</a></p></section>`;
}

export function JobProgress({ job }) {
  const { progress } = job;
  const left = job.state === "running" && progress.eta_seconds !== null ? duration(progress.eta_seconds) : "";
  return html`<div class="progress">
    <p class="row"><span role="status"><${Badge} state=${job.state} /></span>
      <progress max="1" value=${share(job)} aria-label="Progress"></progress>
      <span>${steps(job)}</span></p>
    <ul class="figures">
      ${progress.images_per_second ? html`<li>${figure(progress.images_per_second)} images/s</li>` : null}
      ${left && html`<li>${left} left</li>`}
      ${Object.entries(job.losses ?? {}).map(([name, value]) => html`<li>${label(name)} ${figure(value)}</li>`)}
      ${job.attempts > 1 && html`<li>${job.attempts} attempts</li>`}
    </ul>
    ${job.state === "queued" && html`<p class="muted">It waits for a worker.</p>`}
  </div>`;
}

// Cancel, resume and delete, of a job of any kind. `list`: the view to go to once it is deleted.
export function JobControls({ path, job, onChanged, caller, list }) {
  const act = useAction(async (verb) => {
    await change("POST", address([path, job.id, verb]));
    onChanged();
  });
  const over = ended(job.state);
  return html`<p class="row">
    ${!over && html`<button type="button" onClick=${() => act.run("cancel")} aria-disabled=${act.busy}>Cancel</button>`}
    ${over && job.state !== "succeeded" && html`<button type="button" onClick=${() => act.run("resume")} aria-disabled=${act.busy}>Resume</button>`}
    ${over && caller.may("admin") && html`<${CarefulButton} question="Delete this job for ever? What it published stays." onConfirm=${async () => {
      await change("DELETE", address([path, job.id]));
      go(list);
    }}>Delete</${CarefulButton}>`}
  </p><${Problem} problem=${act.problem} />`;
}
