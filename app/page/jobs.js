// All training jobs: by state, in pages, and two of them to compare.
import { address } from "./api.js";
import { Badge, Field, Loaded, Pager, Table, Title } from "./elements.js";
import { go, link } from "./links.js";
import { usePages } from "./live.js";
import { html, useState } from "./preact.js";
import { Tags, useNarrowed } from "./remarks.js";
import { duration, figure, moment, share, steps } from "./words.js";

const STATES = ["queued", "running", "succeeded", "failed", "cancelled"];

export function Jobs(asked) {
  const [state, setState] = useState("");
  const [chosen, setChosen] = useState([]);
  const narrowed = useNarrowed(asked, () => pages.first());
  const pages = usePages((cursor) => address(["training-jobs"], { state, ...narrowed.query, limit: 50, cursor }), 3);
  const toggle = (id) => setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen.slice(-1), id]);
  return html`<${Title}>Training</${Title}>
    <div class="row">
      <a class="button primary" href="#/jobs/new">New training job</a>
      <${Field} label="State">${(field) => html`<select ...${field} value=${state} onChange=${(event) => { setState(event.target.value); pages.first(); }}>
        <option value="">all</option>${STATES.map((each) => html`<option value=${each}>${each}</option>`)}</select>`}</${Field}>
      ${narrowed.fields}
      <button type="button" aria-disabled=${chosen.length !== 2} onClick=${() => chosen.length === 2 && go(["jobs", "compare"], { first: chosen[0], second: chosen[1] })}>Compare two</button>
      <span class="muted" role="status">${chosen.length === 1 ? "Choose one more to compare." : ""}</span>
    </div>
    <${Loaded} of=${pages}>${() => html`<${Table} caption="Training jobs" head=${["Compare", "Job", "State", "Progress", "Images/s", "Time left", "Health", "Verdict", "Submitted"]}>
      ${pages.items.map((job) => html`<${Row} key=${job.id} job=${job} chosen=${chosen.includes(job.id)} onToggle=${() => toggle(job.id)} />`)}
      ${pages.items.length === 0 && html`<tr><td colspan="9" class="muted">There is no ${narrowed.query.tag || narrowed.query.search ? "such " : ""}${state} job.</td></tr>`}
    </${Table}><${Pager} pages=${pages} />`}</${Loaded}>`;
}

function Row({ job, chosen, onToggle }) {
  const { progress } = job;
  return html`<tr>
    <td><input type="checkbox" aria-label="Compare ${job.id}" checked=${chosen} onChange=${onToggle} /></td>
    <th scope="row"><a href=${link(["jobs", job.id])}>${job.produced ?? job.model}</a><br /><span class="small muted">${job.id}</span> <${Tags} tags=${job.tags} list=${["jobs"]} /></th>
    <td><${Badge} state=${job.state} /></td>
    <td>${Math.round(100 * share(job))} %<br /><span class="small muted">${steps(job)}</span></td>
    <td>${progress.images_per_second ? figure(progress.images_per_second) : ""}</td>
    <td>${job.state === "running" ? duration(progress.eta_seconds) : ""}</td>
    <td>${job.state !== "queued" && html`<${Badge} state=${job.health.state} />`}</td>
    <td>${job.verdict && html`<${Badge} state=${job.verdict.state} />`}</td>
    <td class="small">${moment(job.created_at)}</td>
  </tr>`;
}
