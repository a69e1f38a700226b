// Uploads photographs as a data set, or onto one: the name, how to read the upload, progress, and what the service says of it.
import { address, upload } from "./api.js";
import { DropZone, partsOf, proposedName } from "./drop_zone.js";
import { Field, Problem } from "./elements.js";
import { useAction } from "./live.js";
import { go } from "./links.js";
import { useBodySchema } from "./openapi.js";
import { html, useRef, useState } from "./preact.js";
import { SchemaFields } from "./schema_form.js";
import { bytes, count } from "./words.js";

export const ADD = "/datasets/{dataset_id}/photographs";
const OWN = ["name", "archive", "images"];

// `onto`: the data set that is continued by a new one with its photographs and these.
export function UploadForm({ onto }) {
  const [files, setFiles] = useState(null);
  const [name, setName] = useState("");
  const [options, setOptions] = useState({});
  const [sent, setSent] = useState(null);
  const abort = useRef();
  const described = useBodySchema(onto ? ADD : "/datasets", "multipart/form-data").value;
  const action = useAction(async () => {
    const form = new FormData();
    if (name.trim()) form.append("name", name.trim());
    for (const [field, value] of Object.entries(options)) if (value !== null && value !== "") form.append(field, String(value));
    for (const part of await partsOf(files)) form.append(...part);
    abort.current = new AbortController();
    const dataset = await upload(address(onto ? ["datasets", onto, "photographs"] : ["datasets"]), form, setSent, abort.current.signal);
    go(["datasets", dataset.id]);
  });
  function take(given) {
    setFiles(given);
    setName(onto ? "" : proposedName(given));
    action.clear();
  }
  const { problem } = action;
  return html`<div>
    <${DropZone} onFiles=${take} />
    ${files && html`<form class="panel" onSubmit=${(event) => { event.preventDefault(); action.run(); }}>
      <p role="status">${count(files.length, "file")}, ${bytes(files.reduce((sum, each) => sum + each.file.size, 0))}</p>
      <${Field} label="Name of the data set" hint="Letters, digits, '_', '.' and '-'.${onto ? " Empty: the service names it." : ""}" problem=${problem?.of?.("/name")}>
        ${(field) => html`<input ...${field} required=${!onto} maxlength="64" value=${name} onInput=${(event) => setName(event.target.value)} />`}
      </${Field}>
      <details open=${problem?.status === 409 || problem?.status === 422}><summary>How to read the upload</summary>
        ${described && html`<${SchemaFields} schema=${described.schema} root=${described.root} names=${Object.keys(described.schema.properties).filter((each) => !OWN.includes(each))} value=${options} onChange=${setOptions} problem=${problem} />`}
      </details>
      <${Problem} problem=${problem}><${Rejected} files=${problem?.problem?.rejected} /></${Problem}>
      ${action.busy && html`<${Sending} share=${sent} onStop=${() => abort.current?.abort()} />`}
      <button class="primary" aria-disabled=${action.busy}>Upload</button>
    </form>`}
  </div>`;
}

function Sending({ share, onStop }) {
  const read = share === 1;
  return html`<p class="row"><progress max="1" value=${read ? undefined : share} aria-label="Upload"></progress>
    <span role="status">${read ? "Every photograph is read and checked …" : "Uploading …"}</span>
    ${!read && html`<span>${Math.round(100 * (share ?? 0))} %</span>`}
    <button type="button" onClick=${onStop}>Stop</button></p>`;
}

export function Rejected({ files }) {
  if (!files?.length) return null;
  return html`<ul class="notes">${files.slice(0, 200).map((each) => html`<li><b>${each.file}</b>: ${each.reason}</li>`)}
    ${files.length > 200 && html`<li>… and ${files.length - 200} more</li>`}</ul>`;
}
