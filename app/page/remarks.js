// The note and the tags of a job or a version: shown, edited, and what lists are narrowed by.
import { address, change } from "./api.js";
import { Field, Problem, useFocus } from "./elements.js";
import { link } from "./links.js";
import { useAction, useSettled } from "./live.js";
import { html, useEffect, useRef, useState } from "./preact.js";

const MOST_CHARACTERS = 4000;

// Tags as links to the list that they narrow.
export const Tags = ({ tags, list }) => tags?.length
  ? html`<span class="tags">${tags.map((each) => html`<a class="badge calm" key=${each} href=${link(list, { tag: each })}>${each}</a>`)}</span>`
  : null;

// `parts`: the address of what they are of. `list`: the view that tags lead to.
export function Remarks({ parts, of, list, caller, onChanged }) {
  const [editing, setEditing] = useState(false);
  const edit = useRef();
  const wasEditing = useRef(false);
  useFocus(() => {
    if (wasEditing.current && !editing) edit.current?.focus();
    wasEditing.current = editing;
  }, [editing]);
  const done = (record) => {
    setEditing(false);
    if (record) onChanged(record);
  };
  return html`<section aria-label="Note and tags" class="remarks">
    ${editing ? html`<${Editor} parts=${parts} of=${of} onDone=${done} />` : html`
      ${of.note && html`<p class="note">${of.note}</p>`}
      <p class="row"><${Tags} tags=${of.tags} list=${list} />
        ${caller.may("train") && html`<button type="button" ref=${edit} onClick=${() => setEditing(true)}>${of.note || of.tags.length ? "Edit note and tags" : "Add a note or tags"}</button>`}</p>`}
  </section>`;
}

const split = (text) => [...new Set(text.split(",").map((each) => each.trim().normalize("NFC")).filter(Boolean))];

// Only what a person changed is sent, so that two people who edit at once do not undo one another.
function Editor({ parts, of, onDone }) {
  const before = useRef(of).current;
  const [note, setNote] = useState(before.note ?? "");
  const [tags, setTags] = useState(before.tags.join(", "));
  const first = useRef();
  useFocus(() => first.current.focus(), []);
  const save = useAction(async () => {
    const wanted = split(tags);
    const record = await change("PATCH", address(parts), {
      ...(note.trim() === (before.note ?? "") ? {} : { note }),
      add_tags: wanted.filter((each) => !before.tags.includes(each)),
      remove_tags: before.tags.filter((each) => !wanted.includes(each)),
    });
    onDone(record);
  });
  const wrong = (...names) => names.map((name) => (save.problem?.problem?.errors ?? []).filter((each) => each.pointer.startsWith(`/${name}`)).map((each) => each.detail)).flat().join("; ");
  return html`<form class="panel" onSubmit=${(event) => { event.preventDefault(); save.run(); }}>
    <${Field} label="Note" problem=${wrong("note")}>${(field) => html`<textarea ...${field} ref=${first} rows="3" maxlength=${MOST_CHARACTERS} value=${note} onInput=${(event) => setNote(event.target.value)}></textarea>`}</${Field}>
    <${Field} label="Tags" hint="Separated by commas." problem=${wrong("add_tags", "remove_tags")}>${(field) => html`<input ...${field} type="text" value=${tags} onInput=${(event) => setTags(event.target.value)} />`}</${Field}>
    <${Problem} problem=${wrong("note", "add_tags", "remove_tags") ? null : save.problem} />
    <p class="row"><button class="primary" aria-disabled=${save.busy}>Save</button><button type="button" onClick=${() => onDone(null)}>Cancel</button></p>
  </form>`;
}

// What a list is narrowed to: the fields, and the query of its address once a person has stopped typing.
export function useNarrowed({ tag: askedTag = "", search: askedSearch = "" }, onChange) {
  const [tag, setTag] = useState(askedTag);
  const [search, setSearch] = useState(askedSearch);
  useEffect(() => { setTag(askedTag); setSearch(askedSearch); }, [askedTag, askedSearch]);
  const query = useSettled(JSON.stringify({ tag: tag.trim(), search: search.trim() }), 300);
  useEffect(() => onChange(), [query]);
  const fields = html`
    <${Field} label="Tag">${(field) => html`<input ...${field} type="search" maxlength="200" value=${tag} onInput=${(event) => setTag(event.target.value)} />`}</${Field}>
    <${Field} label="Search">${(field) => html`<input ...${field} type="search" maxlength="200" value=${search} onInput=${(event) => setSearch(event.target.value)} />`}</${Field}>`;
  return { query: JSON.parse(query), fields };
}
