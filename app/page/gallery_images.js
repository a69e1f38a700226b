// The images of the gallery, which stay while the tab is open: their addresses and their bytes.
import { address, change } from "./api.js";
import { quoted } from "./words.js";

export const MOST_KEPT = 1024; // the oldest go first

let images = [];
const listeners = new Set();

export const gallery = {
  get images() { return images; },
  listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  add(more) {
    const known = new Set(images.map((each) => each.id));
    const all = [...more.filter((each) => !known.has(each.id)), ...images];
    all.slice(MOST_KEPT).forEach((each) => URL.revokeObjectURL(each.source));
    images = all.slice(0, MOST_KEPT);
    listeners.forEach((listener) => listener(images));
  },
  clear() {
    images.forEach((each) => URL.revokeObjectURL(each.source));
    images = [];
    listeners.forEach((listener) => listener(images));
  },
};

// Asks for images and adds them. `request` is the body of POST /generate.
export async function generate(request) {
  const answer = await change("POST", address(["generate"]), request, { accept: "application/json" });
  const [model, version] = answer.model.split("@");
  const found = answer.images.map((each) => {
    const blob = new Blob([Uint8Array.from(atob(each.data), (letter) => letter.charCodeAt(0))], { type: "image/png" });
    return {
      id: JSON.stringify([answer.model, each.defect_type, each.seed, each.attributes ?? null]),
      reference: answer.model, model, version, seed: each.seed, type: each.defect_type, attributes: each.attributes ?? null,
      boxes: each.boxes ?? null, settings: request, blob, source: URL.createObjectURL(blob),
    };
  });
  gallery.add(found);
  return found;
}

// The query that belongs to an image's address.
function queryOf(image) {
  const ranges = Object.entries(image.attributes ?? {}).map(([name, [low, high]]) => [name, `${low}..${high}`]);
  return { defect_type: image.type, ...Object.fromEntries(ranges) };
}

export const addressOf = (image) => address(["models", image.model, "versions", image.version, "images", `${image.seed}.png`], queryOf(image));
export const maskOf = (image) => address(["models", image.model, "versions", image.version, "images", String(image.seed), "mask.png"], queryOf(image));
export const nameOf = (image) => `${image.model}-${image.version}-${image.type}-${image.seed}.png`.replace(/[^A-Za-z0-9._-]+/g, "_");

// The command that gets the same bytes. It names a variable for the key, and never the key.
export function curlOf(image, withKey) {
  const key = withKey ? ' -H "Authorization: Bearer $FLAWSMITH_API_KEY"' : "";
  return `curl ${quoted(addressOf(image))}${key} -o ${quoted(nameOf(image))}`;
}
