// All data sets, and the upload of a new one.
import { address } from "./api.js";
import { Loaded, Pager, Table, Title } from "./elements.js";
import { link } from "./links.js";
import { usePages } from "./live.js";
import { html } from "./preact.js";
import { UploadForm } from "./upload_form.js";
import { moment } from "./words.js";

export function Datasets() {
  const pages = usePages((cursor) => address(["datasets"], { limit: 50, cursor }), 10);
  return html`<${Title}>Data sets</${Title}>
    <${UploadForm} />
    <h2>What is there</h2>
    <${Loaded} of=${pages}>${() => html`<${Table} caption="Data sets" head=${["Name", "Photographs", "Defect types", "Warnings", "Added"]}>
      ${pages.items.map((each) => html`<tr key=${each.id}>
        <th scope="row"><a href=${link(["datasets", each.id])}>${each.name}</a></th>
        <td>${each.image_count}</td><td>${Object.keys(each.classes).join(", ")}</td>
        <td>${each.warnings.length || ""}</td><td>${moment(each.created_at)}</td></tr>`)}
      ${pages.items.length === 0 && html`<tr><td colspan="5" class="muted">There is no data set yet.</td></tr>`}
    </${Table}><${Pager} pages=${pages} />`}</${Loaded}>`;
}
