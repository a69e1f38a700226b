// The sample grids of a job, the same latents at every step, under a slider. It stays at the newest grid until a person
// moves it away from there.
import { address } from "./api.js";
import { Picture } from "./elements.js";
import { html, useEffect, useId, useState } from "./preact.js";

export function SampleSlider({ job, steps, model }) {
  const [at, setAt] = useState(null); // null: the newest
  const [playing, setPlaying] = useState(false);
  const id = useId();
  const last = steps.length - 1;
  const index = at === null ? last : Math.min(at, last);
  useEffect(() => {
    if (!playing) return undefined;
    const timer = setTimeout(() => (index < last ? setAt(index + 1) : setPlaying(false)), 250);
    return () => clearTimeout(timer);
  }, [playing, index, last]);
  if (last < 0) return html`<p class="muted">The first sample grid comes with the first step.</p>`;
  const url = (position) => address(["training-jobs", job, "samples", `${steps[position]}.png`]);
  const play = () => {
    if (!playing && index === last) setAt(0);
    setPlaying(!playing);
  };
  return html`<div class="slider">
    <div class="grid"><${Picture} url=${url(index)} alt="Samples of ${model} at step ${steps[index]}" className="pixels" /></div>
    <div class="row">
      <label for=${id}>Step <output for=${id}>${steps[index]}</output></label>
      <input id=${id} type="range" min="0" max=${last} value=${index} aria-valuetext="step ${steps[index]}"
        onInput=${(event) => { setPlaying(false); setAt(Number(event.target.value) === last ? null : Number(event.target.value)); }} />
      <button type="button" onClick=${play}>${playing ? "Pause" : "Play"}</button>
      <span class="muted small">${index + 1} of ${steps.length}</span>
    </div>
  </div>`;
}
