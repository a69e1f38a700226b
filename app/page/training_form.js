// The form of a training job, from the schema of the service: what most people choose first, then everything else.
// A dry run says beside it what the job would be, what speaks against it, and how long it takes.
import { address, change } from "./api.js";
import { Badge, Field, Loaded, Notes, Problem, Title } from "./elements.js";
import { go } from "./links.js";
import { useAction, useResource, useSettled } from "./live.js";
import { html, useEffect, useState } from "./preact.js";
import { resolved, SchemaFields } from "./schema_form.js";
import { bytes, duration, label } from "./words.js";

const FIRST = ["dataset", "model", "preset", "max_seconds", "overrides"];

export function TrainingForm(given) {
  const schema = useResource(address(["training-jobs", "schema"]));
  const datasets = useResource(address(["datasets"], { limit: 500 }), { every: 15 });
  return html`<${Title}>New training job</${Title}>
    <${Loaded} of=${schema}>${(value) => html`<${Loaded} of=${datasets}>${(list) => list.items.length
      ? html`<${Form} schema=${value} datasets=${list.items} given=${given} />`
      : html`<p>There are no photographs yet. <a href="#/datasets">Add some first.</a></p>`}</${Loaded}>`}</${Loaded}>`;
}

function Form({ schema, datasets, given }) {
  const { dataset: named, model: kept, init_from: origin } = given;
  const [body, setBody] = useState(() => {
    const dataset = named ?? datasets[0].name;
    return { dataset, model: kept ?? dataset, max_seconds: 300, ...(origin ? { init_from: origin } : {}) };
  });
  const set = (name, value) => setBody((before) => {
    const { [name]: ignored, ...rest } = before;
    return value === undefined ? rest : { ...rest, [name]: value };
  });
  const preset = body.preset ?? schema.properties.preset.default;
  const properties = propertiesOf(schema, preset);
  const ofPreset = { ...schema, properties };
  const submit = useAction(async () => {
    const job = await change("POST", address(["training-jobs"]), body);
    go(["jobs", job.id]);
  });
  const tried = useDryRun(body);
  const problem = submit.problem ?? tried.problem;
  const chooseDataset = (dataset) => setBody((before) => ({ ...before, dataset, model: before.model === before.dataset ? dataset : before.model }));
  return html`<form class="beside" onSubmit=${(event) => { event.preventDefault(); submit.run(); }}>
    <div>
      <${Field} label="Data set" problem=${problem?.of?.("/dataset")}>${(field) => html`<select ...${field} value=${body.dataset} onChange=${(event) => chooseDataset(event.target.value)}>
        ${datasets.map((each) => html`<option key=${each.id} value=${each.name}>${each.name} (${each.image_count})</option>`)}</select>`}</${Field}>
      <${Field} label="Model" hint="The job publishes the next version of the model with this name." problem=${problem?.of?.("/model")}>
        ${(field) => html`<input ...${field} required maxlength="64" value=${body.model} onInput=${(event) => set("model", event.target.value)} />`}</${Field}>
      <${Presets} schema=${schema} value=${preset} onChange=${(value) => setBody(({ overrides, resolution, ...rest }) => ({ ...rest, preset: value }))} />
      <${Length} value=${body.max_seconds} onChange=${(value) => set("max_seconds", value)} problem=${problem?.of?.("/max_seconds")} />
      <details><summary>More settings</summary>
        <${SchemaFields} schema=${ofPreset} root=${schema} names=${Object.keys(properties).filter((each) => !FIRST.includes(each))} value=${body} onChange=${setBody} problem=${problem} /></details>
      <details><summary>Values of the preset ‘${preset}’</summary>
        <${SchemaFields} schema=${resolved(properties.overrides, schema)} root=${schema} value=${body.overrides ?? {}} pointer="/overrides" problem=${problem}
          onChange=${(value) => set("overrides", Object.keys(value).length ? value : undefined)} /></details>
    </div>
    <aside>
      <h2>What the job would be</h2>
      <${Preview} tried=${tried} />
      <${Problem} problem=${submit.problem} />
      <button class="primary" aria-disabled=${submit.busy}>${submit.busy ? "Submitting …" : "Start training"}</button>
    </aside>
  </form>`;
}

// The body's properties, with what the preset says of them.
function propertiesOf(schema, preset) {
  const said = schema.allOf.find((each) => each.if.properties.preset.const === preset)?.then.properties ?? {};
  return Object.fromEntries(Object.entries(schema.properties).map(([name, each]) => [name, { ...each, ...said[name] }]));
}

function Presets({ schema, value, onChange }) {
  const { enum: names, default: first } = schema.properties.preset;
  return html`<fieldset><legend>Preset</legend>${[first, ...names.filter((each) => each !== first)].map((name) => html`<label class="choice" key=${name}>
    <input type="radio" name="preset" value=${name} checked=${name === value} onChange=${() => onChange(name)} />
    <span><b>${name}</b>${name === first && " (default)"}<span class="hint">${schema.$defs[name].description}</span></span>
  </label>`)}</fieldset>`;
}

function Length({ value, onChange, problem }) {
  const minutes = value === undefined ? "" : value / 60;
  return html`<${Field} label="Minutes of training" hint="Five show how it goes on two CPU cores; half an hour is good for most. Empty: as long as the preset says." problem=${problem}>
    ${(field) => html`<input ...${field} type="number" min="0.1" step="any" value=${minutes}
      onInput=${(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value) * 60)} />`}</${Field}>`;
}

// What POST …?dry_run=true says of the body, once a person has stopped typing.
function useDryRun(body) {
  const [state, setState] = useState({});
  const text = useSettled(JSON.stringify(body));
  useEffect(() => {
    let over = false;
    change("POST", address(["training-jobs"], { dry_run: "true" }), JSON.parse(text), { tries: 0 }).then(
      (value) => { if (!over) setState({ value }); },
      (problem) => { if (!over) setState({ problem }); },
    );
    return () => { over = true; };
  }, [text]);
  return state;
}

function Preview({ tried: { value, problem } }) {
  return html`<div aria-live="polite">
    ${problem && html`<p class="wrong">${problem.message}</p>`}
    ${value && html`<dl>
      <dt>Images</dt><dd>${value.config.resolution} px</dd>
      <dt>Time</dt><dd>${duration(value.estimate.seconds) || "unknown"}</dd>
      <dt>Memory</dt><dd>${bytes(value.estimate.memory_bytes) || "unknown"}</dd>
      <dt>Disk</dt><dd>${bytes(value.estimate.disk_bytes) || "unknown"}</dd>
    </dl>
    <p class="hint">By ${value.estimate.based_on}.</p>
    ${value.health.state !== "good" && html`<p><${Badge} state=${value.health.state} /></p>`}
    <${Notes} texts=${[...value.health.reasons, ...value.notes]} />
    <details><summary>The whole configuration</summary><dl class="small">${Object.entries(value.config).map(([name, each]) => html`<dt>${label(name)}</dt><dd>${each !== null && typeof each === "object" ? JSON.stringify(each) : String(each)}</dd>`)}</dl></details>`}
  </div>`;
}
