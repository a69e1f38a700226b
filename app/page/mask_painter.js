// Teaches a version where the defect is: a person paints it on a few of its images, or gives masks as files.
import { address, change } from "./api.js";
import { Field, Problem } from "./elements.js";
import { go } from "./links.js";
import { useAction } from "./live.js";
import { html, useEffect, useRef, useState } from "./preact.js";

const IMAGES = 6;
const INK = "#fff"; // white is defect; what stays transparent is none

export function MaskPainter({ parts, reference }) {
  const [images, setImages] = useState(null);
  const [brush, setBrush] = useState(4);
  const [painted, setPainted] = useState(new Set());
  const canvases = useRef({});
  const load = useAction(async () => {
    const answer = await change("POST", address(["generate"]), { model: reference, count: IMAGES, seed: 0 }, { accept: "application/json" });
    setImages(answer.images);
  });
  const teach = useAction(async () => {
    const masks = images.filter((each) => painted.has(each.seed)).map((each) => ({
      seed: each.seed, defect_type: each.defect_type, mask: canvases.current[each.seed].toDataURL("image/png").split(",")[1],
    }));
    const job = await change("POST", address([...parts, "labels"]), { masks });
    go(["other", "labellings", job.id]);
  });
  const mark = (seed, there) => setPainted((before) => new Set(there ? [...before, seed] : [...before].filter((each) => each !== seed)));
  if (!images) {
    return html`<p><button type="button" aria-disabled=${load.busy} onClick=${load.run}>Paint masks of its images</button></p><${Problem} problem=${load.problem} />`;
  }
  return html`<p>Paint over the whole defect, in one image or more. Two or three of each type are a good beginning.</p>
    <${Field} label="Width of the brush, in pixels">${(field) => html`<input ...${field} type="number" min="1" max="64" value=${brush} onInput=${(event) => setBrush(Number(event.target.value) || 1)} />`}</${Field}>
    <ul class="masks">${images.map((each) => html`<li key=${each.seed}><${Painted} image=${each} brush=${brush} keep=${(canvas) => { canvases.current[each.seed] = canvas; }} onChange=${(there) => mark(each.seed, there)} /></li>`)}</ul>
    <${Problem} problem=${teach.problem} />
    <p class="row"><button type="button" class="primary" aria-disabled=${teach.busy || painted.size === 0} onClick=${() => painted.size && teach.run()}>Learn from ${painted.size} ${painted.size === 1 ? "mask" : "masks"}</button></p>`;
}

function Painted({ image, brush, keep, onChange }) {
  const canvas = useRef();
  const last = useRef(null);
  const [size, setSize] = useState(null);
  const [unreadable, setUnreadable] = useState(null); // the name of a file
  const name = `${image.defect_type}, seed ${image.seed}`;
  useEffect(() => { if (size) keep(canvas.current); }, [size]);
  const at = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [((event.clientX - box.left) * size[0]) / box.width, ((event.clientY - box.top) * size[1]) / box.height];
  };
  function stroke(event) {
    if (!last.current) return;
    const context = canvas.current.getContext("2d");
    const next = at(event);
    Object.assign(context, { lineWidth: brush, lineCap: "round", strokeStyle: INK });
    context.beginPath();
    context.moveTo(...last.current);
    context.lineTo(...next);
    context.stroke();
    last.current = next;
    onChange(true);
  }
  function begin(event) {
    canvas.current.setPointerCapture(event.pointerId);
    last.current = at(event);
    stroke(event);
  }
  function clear() {
    canvas.current.getContext("2d").clearRect(0, 0, ...size);
    onChange(false);
  }
  async function fromFile(event) {
    const [file] = event.target.files;
    if (!file) return;
    clear();
    const picture = await createImageBitmap(file).catch(() => null);
    setUnreadable(picture ? null : file.name);
    if (!picture) return;
    canvas.current.getContext("2d").drawImage(picture, 0, 0, ...size);
    onChange(true);
  }
  const source = `data:image/png;base64,${image.data}`;
  return html`<div class="paint">
      <img class="pixels" src=${source} alt="Synthetic image of ${name}" onLoad=${(event) => setSize([event.target.naturalWidth, event.target.naturalHeight])} />
      ${size && html`<canvas ref=${canvas} width=${size[0]} height=${size[1]} role="img" aria-label="Mask of ${name}"
        onPointerDown=${begin} onPointerMove=${stroke} onPointerUp=${() => { last.current = null; }}></canvas>`}
    </div>
    <p class="row small"><button type="button" onClick=${clear}>Clear<span class="unseen"> the mask of ${name}</span></button>
      <label>or a file <input type="file" accept="image/png" aria-label="Mask of ${name} as a PNG" onChange=${fromFile} /></label></p>
    ${unreadable && html`<p class="problem" role="alert">${unreadable} is no picture; choose a PNG, white where the defect is.</p>`}`;
}
