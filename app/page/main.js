// The shell: who calls, the navigation, the banner of a lost connection, and the view of the fragment.
import { address, connection, getJson, session, whenKeyIsRefused } from "./api.js";
import { arrival, Loading, Problem, Title } from "./elements.js";
import { useResource } from "./live.js";
import { Login } from "./login.js";
import { html, render, useEffect, useState } from "./preact.js";
import { NAVIGATION, route } from "./routes.js";

const pathOf = (fragment) => fragment.split("?")[0];

function useFragment() {
  const [fragment, setFragment] = useState(location.hash);
  useEffect(() => {
    const changed = (event) => {
      if (pathOf(new URL(event.oldURL).hash) !== pathOf(new URL(event.newURL).hash)) arrival.expected = true;
      setFragment(location.hash);
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return fragment;
}

function Banner() {
  const [lost, setLost] = useState(connection.lost);
  useEffect(() => connection.listen(setLost), []);
  return html`<div role="status" class=${lost ? "banner" : ""}>${lost && "The service cannot be reached. What you see is from before; it is tried again until it answers."}</div>`;
}

function View({ entry, caller, fragment }) {
  const path = pathOf(fragment);
  useEffect(() => {
    document.title = `${entry?.title ?? "No such page"} – Flawsmith`;
  }, [path]);
  if (!entry) return html`<${Title}>There is no such page</${Title}><p><a href="#/">Start</a></p>`;
  if (entry.needs && !caller.may(entry.needs)) {
    return html`<${Title}>${entry.title}</${Title}><p>This needs a key of scope ‘${entry.needs}’; yours permits ${caller.scopes.join(", ")}.</p>`;
  }
  return html`<${entry.view} key=${path} caller=${caller} ...${entry.values} />`;
}

function Shell({ caller, onLeave }) {
  const fragment = useFragment();
  const entry = route(fragment);
  const current = (href) => {
    if (href === "#/") return fragment.length < 3;
    if (href === "#/other/exports") return fragment.startsWith("#/other/") && !fragment.startsWith("#/other/compositions");
    return fragment.startsWith(href);
  };
  return html`
    <a class="skip" href="#content" onClick=${(event) => { event.preventDefault(); document.getElementById("title")?.focus(); }}>Skip to the content</a>
    <header class="row">
      <a class="brand" href="#/">Flawsmith</a>
      <nav aria-label="Main"><ul>
        ${NAVIGATION.filter((each) => !each.needs || caller.may(each.needs)).map((each) => html`<li key=${each.href}>
          <a href=${each.href} aria-current=${current(each.href) ? "page" : null}>${each.text}</a></li>`)}
      </ul></nav>
      ${caller.keys && html`<span class="row"><span class="muted">key: ${caller.scopes.at(-1)}</span>
        <button type="button" onClick=${onLeave}>Sign out</button></span>`}
    </header>
    <${Banner} />
    <main id="content"><${View} entry=${entry} caller=${caller} fragment=${fragment} /></main>`;
}

const ORDER = ["metrics", "generate", "train", "admin"];
const callerOf = (answer) => ({
  keys: answer.keys,
  scopes: ORDER.filter((each) => answer.scopes.includes(each)),
  may: (scope) => answer.scopes.includes(scope),
});

function Page() {
  const [caller, setCaller] = useState(null);
  const [login, setLogin] = useState(null); // why a key is asked for
  const known = useResource(caller || login ? null : address(["caller"]), {});
  useEffect(() => whenKeyIsRefused(() => {
    setLogin({ wrong: session.key !== null });
    setCaller(null);
    session.key = null;
  }), []);
  useEffect(() => { if (known.value) setCaller(callerOf(known.value)); }, [known.value]);

  async function enter(key) {
    session.key = key;
    try {
      setCaller(callerOf(await getJson(address(["caller"]))));
      setLogin(null);
    } catch (problem) {
      session.key = null;
      throw problem;
    }
  }
  function leave() {
    session.key = null;
    setCaller(null);
    setLogin({ wrong: false });
  }
  if (login) return html`<${Banner} /><${Login} wrong=${login.wrong} onEnter=${enter} />`;
  if (caller) return html`<${Shell} caller=${caller} onLeave=${leave} />`;
  return html`<main><${Title}>Flawsmith</${Title}>${known.problem ? html`<${Problem} problem=${known.problem} />` : html`<${Loading} />`}</main>`;
}

render(html`<${Page} />`, document.getElementById("page"));
