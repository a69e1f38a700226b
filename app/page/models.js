// All models.
import { address, upload } from "./api.js";
import { Field, Loaded, Pager, Problem, Table, Title } from "./elements.js";
import { go, link } from "./links.js";
import { useAction, usePages } from "./live.js";
import { html, useState } from "./preact.js";
import { Tags, useNarrowed } from "./remarks.js";
import { moment } from "./words.js";

export function Models({ caller, ...asked }) {
  const narrowed = useNarrowed(asked, () => pages.first());
  const { query } = narrowed;
  const pages = usePages((cursor) => address(["models"], { ...query, limit: 100, cursor }), 10);
  const shown = pages.items ?? [];
  return html`<${Title}>Models</${Title}>
    <div class="row">${narrowed.fields}</div>
    <${Loaded} of=${pages}>${() => html`<${Table} caption="Models" head=${["Model", "The name means", "Versions", "Aliases", "Tags", "Since", "Images"]}>
      ${shown.map((model) => html`<tr key=${model.name}>
        <th scope="row"><a href=${link(["models", model.name])}>${model.name}</a></th>
        <td>${model.serves ? `${model.name}@${model.serves}` : html`<span class="muted">no version: all are failing</span>`}</td>
        <td>${model.versions.length}</td>
        <td>${Object.entries(model.aliases).map(([alias, version]) => `${alias} → ${version}`).join(", ")}</td>
        <td><${Tags} tags=${model.tags} list=${["models"]} /></td>
        <td class="small">${moment(model.created_at)}</td>
        <td><a href=${link(["gallery"], { model: model.serves ? model.name : `${model.name}@${model.versions[0]}` })}>Generate<span class="unseen"> images of ${model.name}</span></a></td></tr>`)}
      ${shown.length === 0 && html`<tr><td colspan="7" class="muted">There is no ${query.tag || query.search ? "such model" : "model yet: a training job publishes one"}.</td></tr>`}
    </${Table}><${Pager} pages=${pages} />`}</${Loaded}>
    ${caller.may("admin") && html`<${ImportForm} />`}`;
}

// A version of another service, as its page downloads it.
function ImportForm() {
  const [file, setFile] = useState(null);
  const action = useAction(async () => {
    const form = new FormData();
    form.append("bundle", file);
    const card = await upload(address(["models", "import"]), form, () => {});
    go(["models", card.model, String(card.version)]);
  });
  return html`<details><summary>Import a version of another service</summary>
    <form class="panel" onSubmit=${(event) => { event.preventDefault(); action.run(); }}>
      <${Field} label="Bundle" hint="The file that ‘Download the whole version’ saved there. Name, number and images stay the same.">
        ${(field) => html`<input ...${field} type="file" required accept=".zip" onChange=${(event) => { setFile(event.target.files[0] ?? null); action.clear(); }} />`}
      </${Field}>
      <${Problem} problem=${action.problem} />
      <p class="row"><button class="primary" aria-disabled=${action.busy}>Import</button>
        ${action.busy && html`<span role="status">Uploading and checking …</span>`}</p>
    </form></details>`;
}
