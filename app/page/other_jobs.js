// The jobs of one kind, such as exports, and the form that submits one, made from the service's own schema.
import { address, change } from "./api.js";
import { Badge, Loaded, Pager, Problem, Table, Title } from "./elements.js";
import { KINDS } from "./job_kinds.js";
import { go, link } from "./links.js";
import { useAction, usePages } from "./live.js";
import { useBodySchema } from "./openapi.js";
import { html, useState } from "./preact.js";
import { Tags, useNarrowed } from "./remarks.js";
import { SchemaFields } from "./schema_form.js";
import { moment, share } from "./words.js";

export function OtherJobs({ kind, ...given }) {
  const known = KINDS[kind];
  const narrowed = useNarrowed(given, () => pages.first());
  const pages = usePages((cursor) => (known ? address([kind], { ...narrowed.query, limit: 50, cursor }) : null), 4);
  if (!known) return html`<${Title}>There is no such kind of job</${Title}>`;
  const submits = known.submit && (!known.submit.includes("{") || given.version);
  return html`<${Title}>${known.title}</${Title}><p class="lead">${known.about}</p>
    <nav aria-label="Kinds of job"><ul class="tabs">${Object.entries(KINDS).map(([name, each]) => html`<li key=${name}><a href=${link(["other", name])} aria-current=${name === kind ? "page" : null}>${each.title}</a></li>`)}</ul></nav>
    ${submits && html`<${SubmitForm} key=${kind} kind=${kind} known=${known} given=${given} />`}
    <h2>What is there</h2><div class="row">${narrowed.fields}</div>
    <${Loaded} of=${pages}>${() => html`<${Table} caption=${known.title} head=${["Job", "Of", "State", "Progress", "Submitted"]}>
      ${pages.items.map((job) => html`<tr key=${job.id}><th scope="row"><a href=${link(["other", kind, job.id])}>${job.id}</a> <${Tags} tags=${job.tags} list=${["other", kind]} /></th><td>${subject(job)}</td>
        <td><${Badge} state=${job.state} /></td><td>${Math.round(100 * share(job))} %</td><td class="small">${moment(job.created_at)}</td></tr>`)}
      ${pages.items.length === 0 && html`<tr><td colspan="5" class="muted">${narrowed.query.tag || narrowed.query.search ? "None such." : "None so far."}</td></tr>`}
    </${Table}><${Pager} pages=${pages} />`}</${Loaded}>`;
}

export const subject = (job) => [job.version, job.composition, job.layout].filter(Boolean).join(", ");

function SubmitForm({ kind, known, given }) {
  const body = useBodySchema(known.submit);
  return html`<${Loaded} of=${body}>${(value) => value && html`<${Fields} kind=${kind} known=${known} given=${given} schema=${value.schema} root=${value.root} />`}</${Loaded}>`;
}

function Fields({ kind, known, given, schema, root }) {
  const names = Object.keys(schema.properties);
  const { version, ...proposed } = given;
  const [body, setBody] = useState(() => Object.fromEntries(Object.entries({ ...known.defaults, ...proposed }).filter(([name]) => names.includes(name))));
  const submit = useAction(async () => {
    const place = known.submit.includes("{") ? ["models", ...partsOf(version), kind] : [kind];
    const job = await change("POST", address(place), body);
    go(["other", kind, job.id]);
  });
  const first = known.first.filter((each) => names.includes(each));
  const fields = (shown) => html`<${SchemaFields} schema=${schema} root=${root} names=${shown} value=${body} onChange=${setBody} problem=${submit.problem} />`;
  return html`<form class="panel" onSubmit=${(event) => { event.preventDefault(); submit.run(); }}>
    <h2>New ${known.one.toLowerCase()}${version ? ` of ${version}` : ""}</h2>
    ${fields(first)}
    <details open=${submit.problem?.status === 422}><summary>More settings</summary>${fields(names.filter((each) => !first.includes(each)))}</details>
    <${Problem} problem=${submit.problem} />
    <button class="primary" aria-disabled=${submit.busy}>${submit.busy ? "Submitting …" : "Start"}</button>
  </form>`;
}

function partsOf(reference) {
  const [name, version] = reference.split("@");
  return [name, "versions", version];
}
