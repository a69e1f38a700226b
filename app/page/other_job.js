// One job of another kind than training: progress, result, and its archive where it makes one.
import { DownloadButton, Loaded, Title } from "./elements.js";
import { JobControls, JobProgress } from "./job.js";
import { KINDS } from "./job_kinds.js";
import { link } from "./links.js";
import { html } from "./preact.js";
import { Remarks } from "./remarks.js";
import { useWatchedJob } from "./watched_job.js";
import { bytes, figure, label } from "./words.js";

export function OtherJob({ kind, id, caller }) {
  const known = KINDS[kind];
  const watched = useWatchedJob(kind, id);
  if (!known) return html`<${Title}>There is no such kind of job</${Title}>`;
  return html`<${Loaded} of=${watched}>${(job) => html`
    <${Title}>${known.one} ${job.version ?? ""}</${Title}>
    ${job.error && html`<div class="problem" role="alert"><p>${job.error}</p></div>`}
    <${JobProgress} job=${job} />
    ${known.archive && job.result && html`<p><${DownloadButton} parts=${[kind, id, "archive"]} name="${id}.zip">Download the archive (${bytes(job.result.bytes)})</${DownloadButton}></p>`}
    ${kind === "reports" && job.state === "succeeded" && html`<p><a class="button primary" href=${versionLink(job.version)}>Open the report of ${job.version}</a></p>`}
    ${job.produced && html`<p><a class="button primary" href=${versionLink(job.produced)}>Open ${job.produced}</a></p>`}
    <${Remarks} parts=${[kind, id]} of=${job} list=${["other", kind]} caller=${caller} onChanged=${watched.reload} />
    <${JobControls} path=${kind} job=${job} onChanged=${watched.reload} caller=${caller} list=${["other", kind]} />
    ${job.result && html`<h2>Result</h2><${Value} value=${job.result} />`}
    <details><summary>Settings</summary><${Value} value=${job.config} /></details>`}</${Loaded}>`;
}

function versionLink(reference) {
  const [model, version] = reference.split("@");
  return link(["models", model, version]);
}

// Any JSON, readable: objects as lists of terms, everything else as text.
function Value({ value }) {
  if (value === null || typeof value !== "object") return figure(value);
  if (Array.isArray(value)) {
    if (value.every((each) => each === null || typeof each !== "object")) return value.map(figure).join(", ");
    return html`<ol class="small">${value.map((each) => html`<li><${Value} value=${each} /></li>`)}</ol>`;
  }
  const entries = Object.entries(value);
  return entries.length ? html`<dl class="small">${entries.map(([name, each]) => html`<dt>${label(name)}</dt><dd class="break"><${Value} value=${each} /></dd>`)}</dl>` : "none";
}
