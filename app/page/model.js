// One model: its versions with their verdicts, and its aliases with the gate of production.
import { address, change } from "./api.js";
import { Badge, CarefulButton, Field, Loaded, Notes, Problem, Table, Title } from "./elements.js";
import { link } from "./links.js";
import { useAction, useResource } from "./live.js";
import { html, useState } from "./preact.js";
import { Tags } from "./remarks.js";
import { moment } from "./words.js";

const SHOWN = 20; // versions at a time; the card of each is a call

export function Model({ name, caller }) {
  const resource = useResource(address(["models", name]), { every: 10 });
  const [shown, setShown] = useState(SHOWN);
  return html`<${Loaded} of=${resource}>${(model) => html`
    <${Title}>${model.name}</${Title}>
    <p>${model.serves ? html`The name alone means <b>${model.name}@${model.serves}</b>.` : "The name alone means no version: all of them are failing. Ask for one by its number."}</p>
    <p class="row"><a class="button primary" href=${link(["gallery"], { model: model.serves ? model.name : `${model.name}@${model.versions[0]}` })}>Generate images</a></p>
    <h2>Versions</h2>
    <${Table} caption="Versions" head=${["Version", "Verdict", "Types", "Size", "Preset", "Tags", "Published"]}>
      ${model.versions.slice(0, shown).map((version) => html`<${VersionRow} key=${version} name=${model.name} version=${version} />`)}
    </${Table}>
    ${model.versions.length > shown && html`<p><button type="button" onClick=${() => setShown(shown + SHOWN)}>Show ${SHOWN} more</button></p>`}
    <h2>Aliases</h2>
    <${Aliases} model=${model} caller=${caller} onChanged=${resource.reload} />`}</${Loaded}>`;
}

function VersionRow({ name, version }) {
  const { value: card } = useResource(address(["models", name, "versions", String(version)]));
  return html`<tr>
    <th scope="row"><a href=${link(["models", name, String(version)])}>${name}@${version}</a></th>
    <td>${card?.verdict && html`<${Badge} state=${card.verdict.state} /> <span class="small">${card.verdict.sentence}</span>`}</td>
    <td>${card?.classes.join(", ")}</td><td>${card && `${card.resolution} px`}</td><td>${card?.preset}</td><td><${Tags} tags=${card?.tags} list=${["models"]} /></td><td class="small">${moment(card?.created_at)}</td></tr>`;
}

function Aliases({ model, caller, onChanged }) {
  const entries = Object.entries(model.aliases);
  return html`${entries.length === 0 && html`<p class="muted">None. The alias ‘production’ decides what the name alone means.</p>`}
    <ul class="plain">${entries.map(([alias, version]) => html`<li key=${alias} class="row"><span><b>${alias}</b> → ${model.name}@${version}</span>
      ${caller.may("admin") && html`<${CarefulButton} question="Delete the alias ${alias}?" onConfirm=${async () => {
        await change("DELETE", address(["models", model.name, "aliases", alias]));
        onChanged();
      }}>Delete<span class="unseen"> alias ${alias}</span></${CarefulButton}>`}</li>`)}</ul>
    ${caller.may("admin") && html`<${AliasForm} model=${model.name} versions=${model.versions} onChanged=${onChanged} />`}`;
}

// Points an alias at a version. Where the gate refuses, its reasons are shown, and a person may say why they override it.
export function AliasForm({ model, versions, onChanged }) {
  const [alias, setAlias] = useState("production");
  const [version, setVersion] = useState(versions[0]);
  const [override, setOverride] = useState("");
  const [done, setDone] = useState("");
  const action = useAction(async () => {
    setDone("");
    const body = { version: Number(version), ...(override.trim() ? { override: override.trim() } : {}) };
    await change("PUT", address(["models", model, "aliases", alias.trim()]), body);
    setOverride("");
    setDone(`${alias.trim()} now means ${model}@${version}.`);
    onChanged();
  });
  const reasons = action.problem?.problem?.reasons;
  return html`<form class="panel" onSubmit=${(event) => { event.preventDefault(); action.run(); }}>
    <div class="row">
      <${Field} label="Alias" problem=${action.problem?.of?.("/alias")}>${(field) => html`<input ...${field} required maxlength="64" value=${alias} onInput=${(event) => { setAlias(event.target.value); action.clear(); }} />`}</${Field}>
      ${versions.length > 1 && html`<${Field} label="Version">${(field) => html`<select ...${field} value=${version} onChange=${(event) => { setVersion(event.target.value); action.clear(); }}>
        ${versions.slice(0, 200).map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>`}</${Field}>`}
    </div>
    ${reasons ? html`<div class="problem" role="alert"><p>This version should not be in production:</p><${Notes} texts=${reasons} /></div>` : html`<${Problem} problem=${action.problem} />`}
    ${reasons && html`<${Field} label="Why it is right all the same" hint="It is kept with the version, for everybody to read.">
      ${(field) => html`<input ...${field} required maxlength="1000" value=${override} onInput=${(event) => setOverride(event.target.value)} />`}</${Field}>`}
    <p class="row"><button class="primary" aria-disabled=${action.busy}>${alias.trim() === "production" ? "Promote to production" : "Set the alias"}</button><span role="status">${done}</span></p>
  </form>`;
}
