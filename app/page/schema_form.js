// Fields of a form made from a JSON Schema. A value that a person leaves out is left out of the body: the service's
// default holds, and the field shows it as its placeholder.
import { address } from "./api.js";
import { Field } from "./elements.js";
import { useResource } from "./live.js";
import { html, useId } from "./preact.js";
import { label } from "./words.js";

// A schema with its references followed, its values listed, and without the alternative null.
export function resolved(schema, root) {
  let { $ref, ...own } = schema ?? {};
  if ($ref) {
    const found = $ref.split("/").slice(1).reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
    return { ...resolved(found, root), ...own };
  }
  const choices = own.anyOf?.filter((each) => each.type !== "null");
  if (choices?.length) {
    const { anyOf, ...rest } = own;
    return { ...resolved(choices.length === 1 ? choices[0] : { type: "json" }, root), ...rest };
  }
  const listed = own.allOf?.find((each) => each.enum); // how the document writes a closed list of values
  return listed ? { ...own, enum: listed.enum } : own;
}

export function SchemaFields({ schema, root, names, value, onChange, problem, pointer = "", optional = false }) {
  if (!schema) return null;
  const { properties = {}, required = [] } = resolved(schema, root);
  const set = (name, given) => {
    const { [name]: before, ...rest } = value;
    onChange(given === undefined ? rest : { ...rest, [name]: given });
  };
  const needed = optional && Object.keys(value).length === 0 ? [] : required;
  return html`<div class="fields">${(names ?? Object.keys(properties)).filter((name) => properties[name]).map((name) => html`<${SchemaField} key=${name} name=${name}
    schema=${resolved(properties[name], root)} root=${root} required=${needed.includes(name)} value=${value[name]}
    onChange=${(given) => set(name, given)} problem=${problem} pointer="${pointer}/${name}" />`)}</div>`;
}

function SchemaField({ name, schema, root, required, value, onChange, problem, pointer }) {
  if (schema.properties) {
    const nested = (given) => onChange(Object.keys(given).length ? given : undefined);
    return html`<fieldset><legend>${label(name)}</legend>${schema.description && html`<p class="hint">${schema.description}</p>`}
      <${SchemaFields} schema=${schema} root=${root} value=${value ?? {}} onChange=${nested} problem=${problem} pointer=${pointer} optional=${!required} /></fieldset>`;
  }
  const wrong = problem?.of?.(pointer);
  return html`<${Field} label=${label(name)} hint=${schema.description?.replaceAll("`", "")} problem=${wrong}>
    ${(field) => html`<${Input} field=${{ ...field, name: pointer.slice(1), required }} schema=${schema} value=${value} onChange=${onChange} />`}
  </${Field}>`;
}

function Input({ field, schema, value, onChange }) {
  const byDefault = schema.default === null || schema.default === undefined ? "as the service chooses" : String(schema.default);
  const changed = (read) => (event) => {
    const given = event.target.value;
    onChange(given === "" ? undefined : read(given));
  };
  const choices = schema.enum?.filter((each) => each !== null) ?? (schema.type === "boolean" ? [true, false] : null);
  if (choices) {
    const read = (given) => choices.find((each) => String(each) === given);
    return html`<select ...${field} value=${value === undefined ? "" : String(value)} onChange=${changed(read)}>
      ${!field.required && html`<option value="">${schema.default === undefined || schema.default === null ? byDefault : `${words(schema.default)} (default)`}</option>`}
      ${choices.map((each) => html`<option value=${String(each)}>${words(each)}</option>`)}
    </select>`;
  }
  if (schema.type === "integer" || schema.type === "number") {
    return html`<input ...${field} type="number" step=${schema.type === "integer" ? "1" : "any"} min=${schema.minimum} max=${schema.maximum}
      placeholder=${byDefault} value=${value ?? ""} onInput=${changed(Number)} />`;
  }
  if (schema.type === "string" && SUGGESTED[field.name]) {
    return html`<${Suggested} field=${field} schema=${schema} list=${SUGGESTED[field.name]} placeholder=${byDefault} value=${value} onInput=${changed(String)} />`;
  }
  if (schema.type === "string") {
    return html`<input ...${field} type="text" maxlength=${schema.maxLength} placeholder=${byDefault} value=${value ?? ""} onInput=${changed(String)} />`;
  }
  return html`<${JsonInput} field=${field} schema=${schema} value=${value} onChange=${onChange} />`;
}

// Values that name something of the service, by the list that has them.
const SUGGESTED = { model: "models", init_from: "models", dataset: "datasets", defects: "datasets", background: "datasets" };

function Suggested({ field, schema, list, placeholder, value, onInput }) {
  const id = useId();
  const found = useResource(address([list], { limit: 200 })).value?.items ?? [];
  const names = found.flatMap((each) => (list === "datasets" ? [each.name] : each.versions.slice(0, 5).map((version) => `${each.name}@${version}`)));
  return html`<input ...${field} type="text" list=${id} maxlength=${schema.maxLength} placeholder=${placeholder} value=${value ?? ""} onInput=${onInput} />
    <datalist id=${id}>${names.map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>`;
}

// Lists and objects: as JSON, with an example of the schema beside it.
function JsonInput({ field, schema, value, onChange }) {
  const example = schema.examples?.[0] ?? schema.default ?? undefined;
  const read = (event) => {
    const text = event.target.value.trim();
    try {
      onChange(text === "" ? undefined : JSON.parse(text));
      event.target.setCustomValidity("");
    } catch {
      event.target.setCustomValidity(`This is not JSON${example === undefined || example === null ? "" : `, such as ${JSON.stringify(example)}`}.`);
    }
  };
  return html`<input ...${field} type="text" spellcheck="false" placeholder=${example === undefined || example === null ? "JSON" : JSON.stringify(example)}
    defaultValue=${value === undefined ? "" : JSON.stringify(value)} onInput=${read} />`;
}

const words = (value) => (value === true ? "yes" : value === false ? "no" : String(value));
