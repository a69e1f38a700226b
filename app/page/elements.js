// Small parts that every view uses.
import { address, download, send, session } from "./api.js";
import { useAction } from "./live.js";
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "./preact.js";

const PICTURE_RETRY_SECONDS = 3;

// Set when a person follows a link to another view, until its heading is there.
export const arrival = { expected: false };

// Moves the focus with the change that asks for it. Once painted, a person may be typing in another field already.
export const useFocus = useLayoutEffect;

// A heading that takes the focus when a person came to the view, so that a screen reader says where they are.
export function Title({ children }) {
  const heading = useRef();
  useFocus(() => {
    if (arrival.expected) heading.current.focus();
    arrival.expected = false;
  }, []);
  return html`<h1 tabindex="-1" id="title" ref=${heading}>${children}</h1>`;
}

export function Problem({ problem, children }) {
  if (!problem) return null;
  const details = (problem.problem?.errors ?? []).map((each) => `${each.pointer.slice(1)}: ${each.detail}`);
  const listed = details.length > 1 || (details.length === 1 && !details[0].endsWith(problem.message));
  return html`<div class="problem" role="alert">
    <p>${problem.message}</p>
    ${listed && html`<ul>${details.map((each) => html`<li>${each}</li>`)}</ul>`}
    ${children}
  </div>`;
}

export const Notes = ({ texts, className = "notes" }) =>
  texts?.length ? html`<ul class=${className}>${texts.map((each) => html`<li>${each}</li>`)}</ul>` : null;

const MARKS = { succeeded: "good", good: "good", helps: "good", running: "busy", queued: "calm", failed: "bad", failing: "bad", hurts: "bad", warning: "warn" };
export const Badge = ({ state }) => html`<span class="badge ${MARKS[state] ?? "calm"}">${state}</span>`;

// What a version is worth. The sentence repeats the most important reason.
export function Verdict({ verdict, open = false }) {
  const others = verdict.reasons.filter((each) => !verdict.sentence.toLowerCase().includes(each.toLowerCase()));
  return html`<p><${Badge} state=${verdict.state} /> ${verdict.sentence}</p>
    ${others.length > 0 && html`<details open=${open}><summary>${others.length === 1 ? "One more reason" : `${others.length} more reasons`}</summary><${Notes} texts=${others} /></details>`}`;
}

export const Loading = () => html`<p class="muted">Loading …</p>`;

// What a resource is: its value in the view, its failure in words, or that it is on its way.
export function Loaded({ of, children }) {
  if (of.value !== undefined) return html`<${Problem} problem=${of.problem?.passing ? null : of.problem} />${children(of.value)}`;
  return of.problem ? html`<${Problem} problem=${of.problem} />` : html`<${Loading} />`;
}

export function Field({ label, hint, problem, children }) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ") || null;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children({ id, "aria-describedby": described, "aria-invalid": problem ? "true" : null })}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${problem && html`<p class="wrong" id="${id}-problem">${problem}</p>`}
  </div>`;
}

export function Table({ caption, head, children }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${head.map((each) => html`<th scope="col">${each}</th>`)}</tr></thead>
    <tbody>${children}</tbody>
  </table></div>`;
}

export function Pager({ pages }) {
  if (!pages.older && !pages.newer) return null;
  return html`<nav class="row" aria-label="Pages of the list">
    <button type="button" disabled=${!pages.newer} onClick=${pages.newer || null}>Newer</button>
    <span class="muted" aria-live="polite">page ${pages.number}</span>
    <button type="button" disabled=${!pages.older} onClick=${pages.older || null}>Older</button>
  </nav>`;
}

// A picture of the service. With a key, it is fetched with the header: an <img> can send none.
export function Picture({ url, alt, className }) {
  const [shown, setShown] = useState({ url: null });
  const [turn, setTurn] = useState(0);
  const needsKey = Boolean(session.key);
  useEffect(() => {
    if (!needsKey) return undefined;
    const abort = new AbortController();
    let source = null;
    send(url, { signal: abort.signal }).then((response) => response.blob()).then((blob) => {
      if (abort.signal.aborted) return;
      source = URL.createObjectURL(blob);
      setShown({ url, source });
    }).catch(() => { if (!abort.signal.aborted) setShown({ url, failed: true }); });
    return () => {
      abort.abort();
      if (source) URL.revokeObjectURL(source);
    };
  }, [url, needsKey, turn]);
  const failed = shown.url === url && shown.failed;
  useEffect(() => {
    if (!failed) return undefined;
    const timer = setTimeout(() => { setShown({ url: null }); setTurn(turn + 1); }, PICTURE_RETRY_SECONDS * 1000);
    return () => clearTimeout(timer);
  }, [failed]);
  if (failed) return html`<p class="muted">${alt}: it cannot be loaded at the moment, and is tried again.</p>`;
  const source = needsKey ? shown.source : url;
  return source ? html`<img src=${source} alt=${alt} class=${className} loading="lazy" onError=${() => setShown({ url, failed: true })} />` : null;
}

export function DownloadButton({ parts, query, name, children }) {
  const action = useAction(() => download(address(parts, query), name));
  return html`<button type="button" aria-disabled=${action.busy} onClick=${action.run}>${children}</button><${Problem} problem=${action.problem} />`;
}

// A button whose action cannot be undone: it asks once more, in place, and keeps the focus.
export function CarefulButton({ question, onConfirm, children }) {
  const [asking, setAsking] = useState(false);
  const confirm = useRef();
  const ask = useRef();
  const action = useAction(onConfirm);
  const wasAsking = useRef(false);
  useFocus(() => {
    if (asking !== wasAsking.current) (asking ? confirm : ask).current?.focus();
    wasAsking.current = asking;
  }, [asking]);
  if (!asking) {
    return html`<button type="button" class="danger" ref=${ask} onClick=${() => setAsking(true)}>${children}</button><${Problem} problem=${action.problem} />`;
  }
  return html`<span class="row careful" role="group" aria-label=${question}>
    <span>${question}</span>
    <button type="button" class="danger" ref=${confirm} onClick=${async () => { await action.run(); setAsking(false); }}>Yes</button>
    <button type="button" onClick=${() => setAsking(false)}>No</button>
  </span>`;
}

// A modal dialog of the browser, which keeps the focus inside and gives it back.
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  const id = useId();
  useFocus(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby=${id} onClose=${onClose} onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <div class="dialog">
      <div class="row spread"><h2 id=${id}>${title}</h2><button type="button" onClick=${() => dialog.current.close()}>Close</button></div>
      ${children}
    </div>
  </dialog>`;
}

export function CopyButton({ text, children }) {
  const [said, setSaid] = useState("");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied.");
    } catch { // the browser permits it on https and localhost only
      setSaid("The browser does not permit it here: select the text and copy it.");
    }
  }
  return html`<button type="button" onClick=${copy}>${children}</button> <span class="muted" role="status">${said}</span>`;
}
