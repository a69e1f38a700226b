// Server-sent events over fetch, since EventSource cannot send an API key. Continues after a cut where it stopped.
import { openStream } from "./api.js";

const FIRST_WAIT = 1, LONGEST_WAIT = 8; // seconds
const SILENCE = 15; // seconds; the service sends a comment every five

// Calls `onEvent(name, data)` until the job's end or until the returned function is called.
export function follow(url, onEvent, onEnd) {
  const abort = new AbortController();
  let last = null;

  async function read(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const silence = setTimeout(() => reader.cancel(), SILENCE * 1000);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      blocks.forEach(deliver);
    }
  }

  function deliver(block) {
    const fields = Object.fromEntries(block.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }));
    if (!fields.event) return; // a comment, which keeps the connection open
    last = fields.id ?? last;
    onEvent(fields.event, JSON.parse(fields.data));
  }

  async function run() {
    let wait = FIRST_WAIT;
    while (!abort.signal.aborted) {
      try {
        const headers = last ? { "Last-Event-ID": last } : {};
        const response = await openStream(url, { headers, signal: abort.signal });
        if (response.status === 204) return onEnd?.();
        wait = FIRST_WAIT;
        await read(response);
      } catch (error) {
        if (abort.signal.aborted || (error.status && !error.passing)) return;
      }
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }
  run();
  return () => abort.abort();
}
