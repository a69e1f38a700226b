// The quality report of a version: its measures beside photographs and photographs made worse, copies, and coverage.
import { address, change, session } from "./api.js";
import { DownloadButton, Problem, Table } from "./elements.js";
import { link } from "./links.js";
import { useAction, useResource } from "./live.js";
import { html } from "./preact.js";
import { figure, label, moment, percent } from "./words.js";

export function Report({ parts, name }) {
  const report = useResource(address([...parts, "report"]));
  const make = useAction(async () => {
    const job = await change("POST", address([...parts, "report"]));
    location.hash = link(["other", "reports", job.id]);
  });
  const again = html`<button type="button" aria-disabled=${make.busy} onClick=${make.run}>${report.value ? "Make it again" : "Make the report"}</button><${Problem} problem=${make.problem} />`;
  if (!report.value) {
    if (!report.problem) return html`<p class="muted">Loading …</p>`;
    return html`<p>${report.problem.status === 404 ? "There is no report yet." : report.problem.message}</p><p class="row">${again}</p>`;
  }
  const { value } = report;
  return html`<p class="row">
      ${!session.key && html`<a class="button" href=${address([...parts, "report.html"])} target="_blank" rel="noopener">Open the report</a>`}
      <${DownloadButton} parts=${[...parts, "report.html"]} name="${name.replace("@", "-")}-report.html">Download the report</${DownloadButton}>${again}
      <span class="muted">of ${moment(value.created_at)}</span></p>
    <${Measures} measures=${value.measures} leading=${value.leading} />
    <${Copies} copies=${value.copies} />
    ${value.two_sample && html`<h3>Told from photographs</h3><p>A classifier tells images from held-out photographs in ${percent(value.two_sample.accuracy)} of cases
      (95 % interval ${value.two_sample.interval.map(percent).join(" to ")}; 50 % is chance; n = ${value.two_sample.n}).</p>`}
    ${Object.entries(value.coverage).map(([property, shares]) => html`<${Coverage} key=${property} property=${property} shares=${shares} />`)}`;
}

function Measures({ measures, leading }) {
  return html`<h3>Measures</h3><p class="muted">On each scale lie photographs against photographs, and photographs made worse.</p>
    <${Table} caption="Measures" head=${["Measure", "Type", "Images", "Photographs", "Photographs made worse", "Better", "n"]}>
      ${measures.map((each) => html`<tr key=${`${each.name} ${each.type}`}>
        <th scope="row">${label(each.name)}${each.name === leading && html` <span class="muted">(leads the verdict)</span>`}</th><td>${each.type ?? "all"}</td>
        <td>${figure(each.value)}${each.interval && html`<br /><span class="small muted">${each.interval.map(figure).join(" to ")}</span>`}</td><td>${figure(each.photographs)}</td>
        <td class="small">${Object.entries(each.controls).map(([what, value]) => `${what}: ${figure(value)}`).join("; ")}</td><td>${each.better}</td><td>${each.n}</td></tr>`)}
    </${Table}>`;
}

function Copies({ copies }) {
  const shares = [];
  if (copies.memorization_rate !== null) shares.push(`${percent(copies.memorization_rate)} are nearer to one photograph than photographs are`);
  if (copies.authenticity !== null) shares.push(`authenticity ${figure(copies.authenticity)}`);
  return html`<h3>Copies</h3><p>${shares.join("; ") || "The photographs are too few to tell copies."}</p>
    ${copies.worst.length > 0 && html`<details><summary>The images nearest to a photograph</summary><${Table} caption="Nearest pairs" head=${["Type", "Seed", "Photograph", "Distance"]}>
      ${copies.worst.map((each) => html`<tr key=${`${each.defect_type} ${each.seed}`}><td>${each.defect_type}</td><td>${each.seed}</td><td>${each.file}</td><td>${figure(each.distance)}</td></tr>`)}</${Table}></details>`}`;
}

function Coverage({ property, shares }) {
  return html`<h3>Coverage: ${property}</h3><${Table} caption="Coverage of ${property}" head=${["Range", "Photographs", "Images"]}>
    ${shares.map((each) => html`<tr key=${each.from}><th scope="row">${figure(each.from)} to ${figure(each.to)}</th><td>${percent(each.photographs)}</td><td>${percent(each.samples)}</td></tr>`)}</${Table}>`;
}
