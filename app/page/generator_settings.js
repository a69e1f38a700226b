// What else may be asked of images: attributes that the version's card lists, distance from photographs, and labels.
import { Field } from "./elements.js";
import { html } from "./preact.js";
import { label } from "./words.js";

export const labelsOf = (card) => ({ mask: ["mask", "box"], box: ["box"] })[card?.labels] ?? [];

export function GeneratorSettings({ card, request, set, problem }) {
  const attributes = Object.keys(card?.attributes ?? {});
  const setAttribute = (name, range) => {
    const { [name]: before, ...rest } = request.attributes ?? {};
    const next = range ? { ...rest, [name]: range } : rest;
    set("attributes", Object.keys(next).length ? next : undefined);
  };
  const labels = labelsOf(card);
  return html`<details><summary>More settings</summary>
    <${Field} label="Similarity to a photograph, at most" hint="1: any; 0.5: as near as photographs are to one another. Nearer images are drawn again." problem=${problem?.of?.("/max_similarity")}>
      ${(field) => html`<input ...${field} type="number" min="0" max="1" step="any" placeholder="any" value=${request.max_similarity ?? ""}
        onInput=${(event) => set("max_similarity", event.target.value === "" ? undefined : Number(event.target.value))} />`}</${Field}>
    ${labels.length > 0 && html`<${Field} label="Labels" hint="New images whose labels have another size or shape than the real ones are drawn again.">
      ${(field) => html`<select ...${field} value=${request.labels ?? ""} onChange=${(event) => set("labels", event.target.value)}>
        <option value="">none</option>${labels.map((each) => html`<option value=${each}>${each}</option>`)}</select>`}</${Field}>`}
    ${attributes.map((name) => html`<${Range} key=${name} name=${name} value=${request.attributes?.[name]} onChange=${(range) => setAttribute(name, range)} problem=${problem?.of?.(`/attributes/${name}`)} />`)}
  </details>`;
}

const HINTS = {
  angle: "Of the lines, in degrees counter-clockwise from level, 0 to 180.",
  brightness: "The mean gray value, 0 to 255.",
  severity: "The share of the picture that the anomaly takes, 0 to 1.",
};

function Range({ name, value, onChange, problem }) {
  const text = value ? value.join(" to ") : "";
  const read = (event) => {
    const numbers = event.target.value.match(/-?\d+(\.\d+)?/g)?.map(Number) ?? [];
    const valid = event.target.value.trim() === "" || numbers.length === 2;
    event.target.setCustomValidity(valid ? "" : "Give two numbers, such as 30 to 60.");
    if (valid) onChange(numbers.length === 2 ? numbers : undefined);
  };
  return html`<${Field} label=${label(name)} hint=${HINTS[name] ?? "From where to where."} problem=${problem}>
    ${(field) => html`<input ...${field} type="text" placeholder="any, or from to: 30 to 60" defaultValue=${text} onInput=${read} />`}</${Field}>`;
}
