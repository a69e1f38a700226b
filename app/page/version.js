// One version: its verdict and card, the report, evaluations, labels, downloads, and what may be done with it.
import { address, change } from "./api.js";
import { Badge, CarefulButton, DownloadButton, Loaded, Problem, Title, Verdict } from "./elements.js";
import { go, link } from "./links.js";
import { useAction, useResource } from "./live.js";
import { MaskPainter } from "./mask_painter.js";
import { AliasForm } from "./model.js";
import { html } from "./preact.js";
import { Remarks } from "./remarks.js";
import { Report } from "./report.js";
import { figure, label, moment } from "./words.js";

export function Version({ name, version, caller }) {
  const parts = ["models", name, "versions", version];
  const resource = useResource(address(parts));
  const model = useResource(address(["models", name]));
  const ref = `${name}@${version}`;
  const aliases = Object.entries(model.value?.aliases ?? {}).filter(([, each]) => String(each) === version).map(([alias]) => alias);
  return html`<${Loaded} of=${resource}>${(card) => html`
    <${Title}>${ref}</${Title}>
    ${card.verdict ? html`<${Verdict} verdict=${card.verdict} />` : html`<p class="muted">An earlier release published it, without a verdict.</p>`}
    <p class="row">
      <a class="button primary" href=${link(["gallery"], { model: ref })}>Generate images</a>
      <${DownloadButton} parts=${[...parts, "weights.safetensors"]} name="${name}-${version}.safetensors">Download the generator</${DownloadButton}>
      ${caller.may("train") && html`<${DownloadButton} parts=${[...parts, "bundle"]} name="${name}-${version}.bundle.zip">Download the whole version</${DownloadButton}>
        <a class="button" href=${link(["other", "exports"], { model: ref })}>Export images</a>
        <a class="button" href=${link(["jobs", "new"], { model: name, init_from: ref })}>Train further</a>`}
    </p>
    <${Remarks} parts=${parts} of=${card} list=${["models"]} caller=${caller} onChanged=${resource.reload} />
    ${aliases.length > 0 && html`<p>Aliases: <b>${aliases.join(", ")}</b></p>`}
    ${caller.may("admin") && html`<${AliasForm} key=${ref} model=${name} versions=${[Number(version)]} onChanged=${() => { model.reload(); resource.reload(); }} />`}
    ${card.overrides.length > 0 && html`<h2>Overrides</h2><ul>${card.overrides.map((each) => html`<li>${moment(each.at)}, ${each.alias}: ${each.why}</li>`)}</ul>`}
    ${caller.may("train") && html`<h2>Report</h2><${Report} parts=${parts} name=${ref} />`}
    ${caller.may("train") && html`<h2>Does it help a classifier?</h2><${Evaluations} parts=${parts} reference=${ref} />
      <h2>Masks and boxes</h2><${Labels} card=${card} parts=${parts} />`}
    <h2>Card</h2><${Card} card=${card} caller=${caller} />
    ${caller.may("admin") && html`<p><${CarefulButton} question="Delete ${ref} for ever?" onConfirm=${async () => {
      await change("DELETE", address(parts));
      go(["models", name]);
    }}>Delete this version</${CarefulButton}></p>`}`}</${Loaded}>`;
}

function Evaluations({ parts, reference }) {
  const list = useResource(address([...parts, "evaluations"], { limit: 10 }));
  return html`<${Loaded} of=${list}>${(value) => html`<ul class="plain">${value.items.map((each) => html`<li key=${each.id}>
      <a href=${link(["other", "evaluations", each.id])}>${each.id}</a> <${Badge} state=${each.result?.verdict ?? each.state} /></li>`)}</ul>
    ${value.items.length === 0 && html`<p class="muted">It was not evaluated so far.</p>`}`}</${Loaded}>
    <p><a class="button" href=${link(["other", "evaluations"], { version: reference })}>Evaluate</a></p>`;
}

function Labels({ card, parts }) {
  const teach = useAction(async () => {
    const job = await change("POST", address([...parts, "labels"]), {});
    go(["other", "labellings", job.id]);
  });
  if (card.labels) {
    return html`<p>Its images come with ${card.labels === "mask" ? "masks and boxes" : "boxes"}.
      ${card.labelling?.agreement !== null && card.labelling?.agreement !== undefined && ` They agree with annotations that were held out by ${figure(card.labelling.agreement)} (mean intersection over union).`}</p>`;
  }
  return html`<p>Its images come without labels. It can learn them, as the next version with the same pixels: from the annotations of its photographs, or from masks that you paint.</p>
    <p><button type="button" aria-disabled=${teach.busy} onClick=${teach.run}>Learn from annotations</button></p><${Problem} problem=${teach.problem} />
    <${MaskPainter} parts=${parts} reference="${card.model}@${card.version}" />`;
}

function Card({ card, caller }) {
  const attributes = Object.keys(card.attributes);
  return html`<dl>
    <dt>Defect types</dt><dd>${card.classes.join(", ")}</dd>
    <dt>Images</dt><dd>${card.resolution} px, ${card.mode === "L" ? "gray" : "colour"}</dd>
    <dt>Preset</dt><dd>${card.preset}</dd>
    <dt>Trained by</dt><dd>${caller.may("train") ? html`<a href=${link(["jobs", card.training_job])}>${card.training_job}</a>` : card.training_job}, step ${card.step ?? "unknown"}</dd>
    ${card.parent && html`<dt>Parent</dt><dd>${card.parent}</dd>`}
    ${attributes.length > 0 && html`<dt>Attributes</dt><dd>${attributes.join(", ")}</dd>`}
    <dt>Precision</dt><dd>${card.precision}</dd>
    <dt>Published</dt><dd>${moment(card.created_at)}</dd>
    <dt>SHA-256 of the weights</dt><dd class="small break">${card.weights_sha256}</dd>
  </dl><details><summary>Settings of the training</summary><dl class="small">${Object.entries(card.config).map(([name, value]) => html`<dt>${label(name)}</dt><dd>${value !== null && typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>`)}</dl></details>`;
}
