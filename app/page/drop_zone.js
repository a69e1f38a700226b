// Photographs from a person: dropped files, folders and archives, or chosen ones, as the form that POST /datasets takes.
import { html, useRef, useState } from "./preact.js";
import { downloadZip } from "./vendor/client-zip.js";

const ARCHIVE = /\.(zip|tar|tar\.gz|tgz)$/i;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

// What was given, as [{path, file}]; a folder with all that it holds.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((each) => each.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map((each) => filesUnder(each)))).flat();
}

async function filesUnder(entry, prefix = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: prefix + entry.name, file }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a browser gives at most 100 entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await filesUnder(each, `${prefix}${entry.name}/`)));
  }
}

// The parts of the form: an archive as it is, a folder as a zip, and files without a folder one by one.
export async function partsOf(files) {
  if (files.length === 1 && ARCHIVE.test(files[0].path)) return [["archive", files[0].file, files[0].file.name]];
  if (!files.some((each) => each.path.includes("/"))) return files.map((each) => ["images", each.file, each.file.name]);
  const root = commonFolder(files.map((each) => each.path));
  const entries = files.map(({ path, file }) => ({ name: path.slice(root.length), input: file, lastModified: new Date(file.lastModified) }));
  return [["archive", await downloadZip(entries).blob(), "folder.zip"]];
}

// The folder that was dropped, if it is one: it names no defect type, the folders in it do. One without folders does.
function commonFolder(paths) {
  const [first] = paths[0].split("/");
  const within = paths.every((path) => path.startsWith(`${first}/`));
  return within && paths.some((path) => path.split("/").length > 2) ? `${first}/` : "";
}

export function proposedName(files) {
  const base = files[0].path.includes("/") ? files[0].path.split("/")[0] : files[0].path.replace(ARCHIVE, "").replace(/\.[^.]+$/, "");
  const name = base.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 64);
  return NAME.test(name) ? name : "photographs";
}

export function DropZone({ onFiles }) {
  const [over, setOver] = useState(false);
  const files = useRef();
  const folder = useRef();
  const chosen = (event) => {
    const given = [...event.target.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    event.target.value = "";
    if (given.length) onFiles(given);
  };
  async function dropped(event) {
    event.preventDefault();
    setOver(false);
    const given = await filesOf(event.dataTransfer);
    if (given.length) onFiles(given);
  }
  return html`<div class="drop ${over ? "over" : ""}" data-drop
      onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
    <p>Drop photographs here: a zip or tar, a folder with one folder for each defect type, or single images.</p>
    <p class="row">
      <button type="button" onClick=${() => files.current.click()}>Choose an archive or images</button>
      <button type="button" onClick=${() => folder.current.click()}>Choose a folder</button>
    </p>
    <input ref=${files} hidden type="file" multiple accept="image/*,.zip,.tar,.gz,.tgz" aria-label="Archive or images" onChange=${chosen} />
    <input ref=${folder} hidden type="file" webkitdirectory aria-label="Folder" onChange=${chosen} />
  </div>`;
}
