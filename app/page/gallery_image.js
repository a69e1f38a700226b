// One image: its address, its settings, its nearest photograph, and how to get it again.
import { address, change, save, session } from "./api.js";
import { CopyButton, Dialog, Picture, Problem } from "./elements.js";
import { addressOf, curlOf, maskOf, nameOf } from "./gallery_images.js";
import { useAction, useResource } from "./live.js";
import { html, useState } from "./preact.js";
import { figure } from "./words.js";

export function GalleryImage({ image, caller, onClose, onMore }) {
  const card = useResource(address(["models", image.model, "versions", image.version])).value;
  const curl = curlOf(image, Boolean(session.key));
  return html`<${Dialog} title="${image.type}, seed ${image.seed}" onClose=${onClose}>
    <div class="two">
      <div><img class="pixels large" src=${image.source} alt="Synthetic image of ${image.type}, seed ${image.seed}" />
        ${card?.labels === "mask" && html`<${Picture} className="pixels large" url=${maskOf(image)} alt="Its mask: white where the defect is" />`}</div>
      <div>
        <dl><dt>Version</dt><dd>${image.reference}</dd><dt>Defect type</dt><dd>${image.type}</dd><dt>Seed</dt><dd>${image.seed}</dd>
          ${Object.entries(image.attributes ?? {}).map(([name, range]) => html`<dt>${name}</dt><dd>${range.join(" to ")}</dd>`)}
          ${image.boxes?.length > 0 && html`<dt>Boxes</dt><dd>${image.boxes.map((each) => JSON.stringify(each)).join(", ")}</dd>`}
          <dt>Address</dt><dd class="small break">${session.key ? addressOf(image) : html`<a href=${addressOf(image)} target="_blank" rel="noopener">${addressOf(image)}</a>`}</dd>
          <dt>Asked for</dt><dd class="small break"><code>${JSON.stringify(image.settings)}</code></dd></dl>
        ${caller.may("train") && html`<${Nearest} image=${image} />`}
        <p><label>The same image again <textarea readonly rows="3" class="small" spellcheck="false" value=${curl}></textarea></label></p>
        <p class="row"><${CopyButton} text=${curl}>Copy as curl</${CopyButton}></p>
        <p class="row"><button type="button" onClick=${() => save(image.source, nameOf(image), false)}>Download</button>
          <button type="button" onClick=${onMore}>More like this type</button></p>
      </div>
    </div></${Dialog}>`;
}

function Nearest({ image }) {
  const [nearest, setNearest] = useState(null);
  const look = useAction(async () => {
    const body = { model: image.reference, defect_type: image.type, seed: image.seed, ...(image.attributes ? { attributes: image.attributes } : {}) };
    const answer = await change("POST", address(["generate"], { nearest: "true", data: "false" }), body, { accept: "application/json" });
    setNearest(answer.images[0].nearest);
  });
  return html`<h3>Nearest photograph</h3>
    ${nearest ? html`<p role="status"><b>${nearest.file}</b>, at distance ${figure(nearest.distance)}. ${percentileInWords(nearest.percentile)}</p>`
      : html`<p><button type="button" aria-disabled=${look.busy} onClick=${look.run}>Find it</button></p>`}
    <${Problem} problem=${look.problem} />`;
}

function percentileInWords(percentile) {
  if (percentile === null || percentile === undefined) return "";
  return `${figure(percentile)} % of the photographs are as near or nearer to another photograph.`;
}
