// Generates images and shows them: by type, count and seed; filter, search, and a zip of those that a person chose.
import { address, save } from "./api.js";
import { Field, Loaded, Problem, Title, Verdict } from "./elements.js";
import { GalleryImage } from "./gallery_image.js";
import { gallery, generate, nameOf } from "./gallery_images.js";
import { GeneratorSettings, labelsOf } from "./generator_settings.js";
import { useAction, useResource, useSettled } from "./live.js";
import { html, useEffect, useState } from "./preact.js";
import { downloadZip } from "./vendor/client-zip.js";
import { count } from "./words.js";

export function Gallery({ model: asked, caller }) {
  const models = useResource(address(["models"], { limit: 500 }), { every: 15 });
  return html`<${Title}>Gallery</${Title}>
    <${Loaded} of=${models}>${(value) => (value.items.length
      ? html`<${Generator} models=${value.items} asked=${asked} caller=${caller} />`
      : html`<p>There is no model yet. ${caller.may("train") ? html`<a href="#/jobs/new">Train one first.</a>` : "One has to be trained first."}</p>`)}</${Loaded}>`;
}

const references = (models) => models.flatMap((each) => [...(each.serves ? [each.name] : []), ...each.versions.slice(0, 20).map((version) => `${each.name}@${version}`)]);

function Generator({ models, asked, caller }) {
  const names = references(models);
  const [request, setRequest] = useState({ model: asked ?? names[0], count: 24 });
  const [settled] = [useSettled(request.model, 300)];
  const card = useVersionCard(settled, models);
  const [said, setSaid] = useState("");
  const action = useAction(async (body) => {
    setSaid("");
    const found = await generate(body);
    setSaid(`${count(found.length, "image")} of ${found[0].reference}.`);
  });
  const set = (name, value) => setRequest(({ [name]: before, ...rest }) => (value === undefined || value === "" ? rest : { ...rest, [name]: value }));
  return html`<form class="panel" onSubmit=${(event) => { event.preventDefault(); action.run(settled === request.model ? shownOf(request, card) : request); }}>
      <div class="row">
        <${Field} label="Model" problem=${action.problem?.of?.("/model")}>${(field) => html`<input ...${field} list="models" required maxlength="140" value=${request.model} onInput=${(event) => set("model", event.target.value)} />
          <datalist id="models">${names.map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>`}</${Field}>
        <${Field} label="Type">${(field) => html`<select ...${field} value=${request.defect_type ?? ""} onChange=${(event) => set("defect_type", event.target.value)}>
          <option value="">all in turn</option>${card?.classes.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>`}</${Field}>
        <${Field} label="How many" problem=${action.problem?.of?.("/count")}>${(field) => html`<input ...${field} type="number" required min="1" max="256" value=${request.count} onInput=${(event) => set("count", Number(event.target.value))} />`}</${Field}>
        <${Field} label="Seed" problem=${action.problem?.of?.("/seed")}>${(field) => html`<input ...${field} type="number" min="0" placeholder="new images" value=${request.seed ?? ""}
          onInput=${(event) => set("seed", event.target.value === "" ? undefined : Number(event.target.value))} />`}</${Field}>
        <button class="primary" aria-disabled=${action.busy}>${action.busy ? "Generating …" : "Generate"}</button>
      </div>
      <${GeneratorSettings} card=${card} request=${request} set=${set} problem=${action.problem} />
      ${card?.verdict && card.verdict.state !== "good" && html`<div class="warning"><${Verdict} verdict=${card.verdict} /></div>`}
      <${Problem} problem=${action.problem} />
      <p role="status">${said}</p>
    </form>
    <${Images} caller=${caller} more=${(image) => action.run({ model: image.reference, defect_type: image.type, count: 12, ...(image.attributes ? { attributes: image.attributes } : {}) })} />`;
}

// The request without what the form does not show: a version that was chosen later may lack a type, attribute or label.
function shownOf({ defect_type, attributes, labels, ...rest }, card) {
  if (!card) return { defect_type, attributes, labels, ...rest };
  const known = Object.entries(attributes ?? {}).filter(([name]) => name in (card.attributes ?? {}));
  return {
    ...rest,
    ...(card.classes.includes(defect_type) ? { defect_type } : {}),
    ...(known.length ? { attributes: Object.fromEntries(known) } : {}),
    ...(labelsOf(card).includes(labels) ? { labels } : {}),
  };
}

// The card of the version that a reference means.
function useVersionCard(reference, models) {
  const [name, version] = reference.split("@");
  const model = models.find((each) => each.name === name);
  const number = version === undefined ? model?.serves : model?.aliases[version] ?? Number(version);
  return useResource(model && number ? address(["models", name, "versions", String(number)]) : null).value;
}

function Images({ more, caller }) {
  const [images, setImages] = useState(gallery.images);
  const [chosen, setChosen] = useState(new Set());
  const [wanted, setWanted] = useState("");
  const [type, setType] = useState("");
  const [open, setOpen] = useState(null);
  useEffect(() => gallery.listen(setImages), []);
  const zip = useAction(() => saveZip(images.filter((each) => chosen.has(each.id))));
  if (!images.length) return html`<p class="muted">What you generate is shown here while this tab is open.</p>`;
  const types = [...new Set(images.map((each) => each.type))].sort();
  const shown = images.filter((each) => (!type || each.type === type) && describe(each).toLowerCase().includes(wanted.toLowerCase()));
  const toggle = (id) => setChosen((before) => new Set(before.has(id) ? [...before].filter((each) => each !== id) : [...before, id]));
  return html`<div class="row">
      <${Field} label="Show type">${(field) => html`<select ...${field} value=${type} onChange=${(event) => setType(event.target.value)}><option value="">all</option>${types.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>`}</${Field}>
      <${Field} label="Search">${(field) => html`<input ...${field} type="search" placeholder="version, seed, attribute" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />`}</${Field}>
      <span class="muted" role="status">${shown.length} of ${images.length} shown, ${chosen.size} selected</span>
    </div>
    <p class="row">
      <button type="button" onClick=${() => setChosen(new Set(shown.map((each) => each.id)))}>Select all shown</button>
      <button type="button" onClick=${() => setChosen(new Set())}>Select none</button>
      <button type="button" aria-disabled=${chosen.size === 0 || zip.busy} onClick=${() => chosen.size && zip.run()}>Download the selection as a zip</button>
      <button type="button" onClick=${() => { gallery.clear(); setChosen(new Set()); }}>Clear the gallery</button>
    </p><${Problem} problem=${zip.problem} />
    <ul class="gallery">${shown.map((each) => html`<li key=${each.id} class=${chosen.has(each.id) ? "chosen" : ""}>
      <button type="button" class="thumbnail" onClick=${() => setOpen(each)} aria-label="Open ${describe(each)}"><img src=${each.source} alt="" width="128" height="128" /></button>
      <label class="small"><input type="checkbox" checked=${chosen.has(each.id)} onChange=${() => toggle(each.id)} aria-label="Select ${describe(each)}" /> ${each.type}</label></li>`)}</ul>
    ${open && html`<${GalleryImage} key=${open.id} image=${open} caller=${caller} onClose=${() => setOpen(null)} onMore=${() => { setOpen(null); more(open); }} />`}`;
}

const describe = (image) => `${image.type} of ${image.reference}, seed ${image.seed}${image.attributes ? `, ${JSON.stringify(image.attributes)}` : ""}`;

// A folder for a defect type, whatever a stranger called it.
const folderOf = (type) => type.replace(/[^\p{L}\p{N}_-]+/gu, "_");

// A zip of the images as they are, with a manifest of their addresses.
async function saveZip(images) {
  const file = (image) => `${folderOf(image.type)}/${images.indexOf(image) + 1}-${nameOf(image)}`;
  const entries = images.map((each) => ({ file: file(each), model: each.reference, seed: each.seed, defect_type: each.type, ...(each.attributes ? { attributes: each.attributes } : {}) }));
  const manifest = { name: "manifest.json", input: JSON.stringify({ synthetic: true, images: entries }, null, 1) };
  const archive = await downloadZip([manifest, ...images.map((each) => ({ name: file(each), input: each.blob }))]).blob();
  save(URL.createObjectURL(archive), "flawsmith-images.zip", true);
}
