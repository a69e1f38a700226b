// All models.
import { address } from "./api.js";
import { Field, Loaded, Pager, Table, Title } from "./elements.js";
import { link } from "./links.js";
import { usePages } from "./live.js";
import { html, useState } from "./preact.js";
import { moment } from "./words.js";

export function Models() {
  const pages = usePages((cursor) => address(["models"], { limit: 100, cursor }), 10);
  const [wanted, setWanted] = useState("");
  const shown = (pages.items ?? []).filter((each) => each.name.toLowerCase().includes(wanted.toLowerCase()));
  return html`<${Title}>Models</${Title}>
    <${Field} label="Filter this page by name">${(field) => html`<input ...${field} type="search" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />`}</${Field}>
    <${Loaded} of=${pages}>${() => html`<${Table} caption="Models" head=${["Model", "The name means", "Versions", "Aliases", "Since", "Images"]}>
      ${shown.map((model) => html`<tr key=${model.name}>
        <th scope="row"><a href=${link(["models", model.name])}>${model.name}</a></th>
        <td>${model.serves ? `${model.name}@${model.serves}` : html`<span class="muted">no version: all are failing</span>`}</td>
        <td>${model.versions.length}</td>
        <td>${Object.entries(model.aliases).map(([alias, version]) => `${alias} → ${version}`).join(", ")}</td>
        <td class="small">${moment(model.created_at)}</td>
        <td><a href=${link(["gallery"], { model: model.serves ? model.name : `${model.name}@${model.versions[0]}` })}>Generate<span class="unseen"> images of ${model.name}</span></a></td></tr>`)}
      ${shown.length === 0 && html`<tr><td colspan="6" class="muted">There is no ${wanted ? "such " : ""}model${pages.items.length ? " on this page" : " yet: a training job publishes one"}.</td></tr>`}
    </${Table}><${Pager} pages=${pages} />`}</${Loaded}>`;
}
