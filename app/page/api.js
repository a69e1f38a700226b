// Calls of the service. Every failure becomes a `Refusal` in words; the API key goes into a header, never into a URL.

const ROOT = new URL("../../", import.meta.url); // this file is page/DIGEST/api.js, under whatever prefix
const KEY = "flawsmith-key";
const PASSING = new Set([0, 429, 502, 503, 504]);
const RETRIES = 3;
const LONGEST_WAIT = 10; // seconds between two tries
const READ_PATIENCE = 15, CHANGE_PATIENCE = 90; // seconds until an answer is there

export const session = {
  get key() { return sessionStorage.getItem(KEY); },
  set key(value) { value === null ? sessionStorage.removeItem(KEY) : sessionStorage.setItem(KEY, value); },
};

// A failed call. `status` 0: the service cannot be reached. `passing`: it may succeed later.
export class Refusal extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(problem.detail || inWords(status));
    Object.assign(this, { status, problem, retryAfter, passing: PASSING.has(status) });
  }
  // What the service says of one value of a form, by its JSON pointer.
  of(pointer) {
    return (this.problem.errors ?? []).filter((each) => each.pointer === pointer).map((each) => each.detail).join("; ");
  }
}

function inWords(status) {
  if (status === 0) return "The service cannot be reached. It is tried again until it answers.";
  if (status === 413) return "This is larger than the service, or a proxy in front of it, accepts.";
  if (status === 502 || status === 504) return "The proxy in front of the service got no answer from it. Try again shortly.";
  if (status === 503) return "The service is starting or overloaded. Try again shortly.";
  return `The service answered with status ${status} and gave no reason.`;
}

export async function refusalOf(response) {
  const waits = Number(response.headers.get("Retry-After"));
  const problem = await response.json().catch(() => ({}));
  return new Refusal(response.status, problem && typeof problem === "object" ? problem : {}, waits > 0 ? waits : null);
}

// Whether the service can be reached, for the banner; `listen` returns a function that ends it.
const listeners = new Set();
export const connection = {
  lost: false,
  listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  report(lost) {
    if (lost === connection.lost) return;
    connection.lost = lost;
    listeners.forEach((listener) => listener(lost));
  },
};

let onUnknownKey = () => {};
export const whenKeyIsRefused = (callback) => { onUnknownKey = callback; };

// The address of a path's parts, such as ["models", name]; names of strangers cannot change its shape.
export function address(parts, query = {}) {
  const path = parts.map((each) => (each === "." || each === ".." ? "-" : encodeURIComponent(each)));
  const url = new URL(path.join("/"), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url.href;
}

const authorized = (headers) => (session.key ? { ...headers, Authorization: `Bearer ${session.key}` } : headers);

// One request. Throws Refusal, or AbortError.
export async function send(url, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: authorized(headers) });
  } catch (error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
    connection.report(true);
    throw new Refusal(0);
  }
  connection.report(false);
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.status === 401) onUnknownKey(refusal);
  throw refusal;
}

// Where the network swallows what is sent, a call gives up after a while, as if the network were cut. `take` gets the
// answer, whose head must be there by then, and as much of its body as `take` waits for.
async function exchange(url, { signal, ...options }, seconds, take) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), seconds * 1000);
  try {
    return await take(await send(url, { ...options, signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal }));
  } catch (error) {
    if (error instanceof Refusal || signal?.aborted) throw error;
    connection.report(true);
    throw new Refusal(0);
  } finally {
    clearTimeout(timer);
  }
}

const toJson = (response) => (response.status === 204 ? null : response.json());

export const getJson = (url, signal) => exchange(url, { signal }, READ_PATIENCE, toJson);

// The answer of a stream, whose body may take as long as it likes.
export const openStream = (url, options) => exchange(url, options, READ_PATIENCE, (response) => response);

export function newKey() { // crypto.randomUUID exists on https and localhost only
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// A call that changes something. Its Idempotency-Key makes it safe to repeat where no answer came.
export async function change(method, url, json, { accept, tries = RETRIES } = {}) {
  const headers = { ...(tries ? { "Idempotency-Key": newKey() } : {}), ...(accept ? { Accept: accept } : {}) };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? undefined : JSON.stringify(json);
  for (let left = tries; ; left--) {
    try {
      return await exchange(url, { method, headers, body }, CHANGE_PATIENCE, toJson);
    } catch (refusal) {
      const inFlight = refusal.problem?.type === "urn:flawsmith:in-flight";
      const repeats = refusal.status === 0 || refusal.status === 503 || inFlight;
      if (!repeats || left === 0) throw refusal;
      await pause(Math.min(refusal.retryAfter ?? 2, LONGEST_WAIT));
    }
  }
}

// Uploads a form with progress, which fetch cannot report. `onProgress` gets the share that was sent, 0 to 1.
export function upload(url, form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    request.setRequestHeader("Idempotency-Key", newKey());
    if (session.key) request.setRequestHeader("Authorization", `Bearer ${session.key}`);
    request.upload.onprogress = (event) => onProgress(event.lengthComputable ? event.loaded / event.total : null);
    request.onload = () => {
      connection.report(false);
      if (request.status < 300) return resolve(request.response);
      const refusal = new Refusal(request.status, request.response ?? {});
      if (refusal.status === 401) onUnknownKey(refusal);
      reject(refusal);
    };
    request.onerror = () => reject(new Refusal(0, { detail: "The connection broke during the upload. Try again." }));
    request.onabort = () => reject(new Refusal(0, { detail: "The upload was stopped." }));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// Saves a file. With a key, the browser cannot ask for it by a link; by a link, it could not show why it is refused.
export async function download(url, name) {
  if (session.key) return save(URL.createObjectURL(await (await send(url)).blob()), name, true);
  await send(url, { method: "HEAD" }).catch(() => send(url)); // HEAD has no words
  return save(url, name, false);
}

export function save(href, name, revoke) {
  const link = Object.assign(document.createElement("a"), { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  if (revoke) setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
