// One data set: the contact sheet, what was understood of the upload, what was refused and why, and its versions.
import { address, change } from "./api.js";
import { CarefulButton, Loaded, Notes, Picture, Table, Title } from "./elements.js";
import { go, link } from "./links.js";
import { useResource } from "./live.js";
import { useBodySchema } from "./openapi.js";
import { html } from "./preact.js";
import { ADD, Rejected, UploadForm } from "./upload_form.js";
import { count, moment } from "./words.js";

export function Dataset({ id, caller }) {
  const resource = useResource(address(["datasets", id]));
  const grows = useBodySchema(ADD, "multipart/form-data").value;
  const versions = useResource(address(["datasets", id, "versions"], { limit: 20 }));
  return html`<${Loaded} of=${resource}>${(dataset) => html`
    <${Title}>${dataset.name}</${Title}>
    <p>${count(dataset.image_count, "photograph")}, ${sizes(dataset)}, added ${moment(dataset.created_at)}.</p>
    <p class="row">
      <a class="button primary" href=${link(["jobs", "new"], { dataset: dataset.name })}>Train on it</a>
      <a class="button" href=${link(["other", "compositions"], { defects: dataset.name })}>Compose with its defects</a>
      ${caller.may("admin") && html`<${CarefulButton} question="Delete this data set for ever?" onConfirm=${async () => {
        await change("DELETE", address(["datasets", dataset.id]));
        go(["datasets"]);
      }}>Delete</${CarefulButton}>`}
    </p>
    ${dataset.warnings.length > 0 && html`<section class="warning"><h2>Warnings</h2><${Notes} texts=${dataset.warnings} /></section>`}
    ${dataset.rejected.length > 0 && html`<section><h2>${count(dataset.rejected.length, "file was", "files were")} refused</h2><${Rejected} files=${dataset.rejected} /></section>`}
    <h2>Contact sheet</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Contact sheet"><${Picture} url=${address(["datasets", dataset.id, "preview.png"])} alt="Contact sheet of ${dataset.name}: a row for each of ${Object.keys(dataset.classes).join(", ")}" className="sheet" /></div>
    <h2>Defect types</h2>
    <${Table} caption="Defect types" head=${["Type", "Photographs", "Different ones", "Annotated defects"]}>
      ${Object.entries(dataset.classes).map(([type, number]) => html`<tr key=${type}><th scope="row">${type}</th><td>${number}</td>
        <td>${dataset.distinct[type] ?? ""}</td><td>${dataset.defects[type] ?? ""}</td></tr>`)}
    </${Table}>
    ${dataset.layout && html`<h2>What was understood</h2><${Understood} layout=${dataset.layout} />`}
    ${dataset.parent && html`<${Added} dataset=${dataset} />`}
    ${grows && html`<details><summary>Add photographs to it</summary><p>They make a new data set, which continues this one.</p><${UploadForm} onto=${dataset.id} /></details>`}
    <h2>Versions trained on it</h2>
    <${Loaded} of=${versions}>${(value) => value.items.length
      ? html`<ul>${value.items.map((each) => html`<li key=${each.version}><a href=${link(["models", each.model, String(each.version)])}>${each.model}@${each.version}</a></li>`)}</ul>`
      : html`<p class="muted">None so far.</p>`}</${Loaded}>`}</${Loaded}>`;
}

// What a data set that continues another one got of its upload.
function Added({ dataset: { parent, added } }) {
  const near = added?.near_duplicates ?? [];
  const brought = added && [count(added.photographs, "more photograph"), added.clean > 0 && count(added.clean, "clean one")].filter(Boolean).join(" and ");
  return html`<h2>What was added</h2>
    <p>It continues <a href=${link(["datasets", parent])}>${parent}</a>${brought && ` with ${brought}`}.${added?.copies > 0 && ` ${added.copies} of the upload ${added.copies === 1 ? "was" : "were"} there already.`}</p>
    ${near.length > 0 && html`<p>These are nearly the same as one that was there; training keeps both on the same side of its holdout:</p>
      <ul class="notes">${near.map((each) => html`<li><b>${each.file}</b>: ${each.of}</li>`)}
        ${added.near_duplicate_count > near.length && html`<li>… and ${added.near_duplicate_count - near.length} more</li>`}</ul>`}`;
}

function Understood({ layout }) {
  const splits = Object.entries(layout.splits).map(([name, number]) => `${name} ${number}`).join(", ");
  return html`<dl>
    <dt>Layout</dt><dd>${layout.kind}</dd>
    <dt>Trained on</dt><dd>${count(layout.photographs, "photograph")}</dd>
    <dt>Clean</dt><dd>${count(layout.clean, "photograph")}</dd>
    <dt>Masks and boxes</dt><dd>${layout.masks} and ${layout.boxes}</dd>
    ${splits && html`<dt>Splits</dt><dd>${splits}</dd>`}
  </dl><${Notes} texts=${layout.notes} />`;
}

function sizes({ size, mode }) {
  const [small, large] = [size.min, size.max].map((each) => each.join(" × "));
  return `${mode === "L" ? "gray" : "colour"}, ${small === large ? small : `${small} to ${large}`} pixels`;
}
