// Asks for the API key. It stays in this tab's session storage and goes into a header of each call.
import { Refusal } from "./api.js";
import { Field, Problem, Title, useFocus } from "./elements.js";
import { useAction } from "./live.js";
import { html, useRef, useState } from "./preact.js";

const SENDABLE = /^[\x21-\x7e]+$/;

export function Login({ wrong, onEnter }) {
  const [key, setKey] = useState("");
  const input = useRef();
  const action = useAction(() => {
    if (!SENDABLE.test(key.trim())) throw new Refusal(401); // a header cannot hold it, so it is no key
    return onEnter(key.trim());
  });
  useFocus(() => input.current?.focus(), []);
  const unknown = wrong || action.problem?.status === 401;
  return html`<main class="narrow">
    <${Title}>Flawsmith</${Title}>
    <p>This service needs an API key. Its operator makes one with <code>flawsmith keys create</code>.</p>
    <form onSubmit=${(event) => { event.preventDefault(); if (key.trim()) action.run(); }}>
      <${Field} label="API key" hint="It is kept until you close this tab or sign out." problem=${unknown ? "The service does not know this key. Check it, or ask its operator." : null}>
        ${(field) => html`<input ...${field} ref=${input} type="password" autocomplete="off" spellcheck="false" required value=${key} onInput=${(event) => setKey(event.target.value)} />`}
      </${Field}>
      ${action.problem && action.problem.status !== 401 && html`<${Problem} problem=${action.problem} />`}
      <button class="primary" aria-disabled=${action.busy}>${action.busy ? "Checking …" : "Sign in"}</button>
    </form>
  </main>`;
}
