// Hooks that keep what a view shows current.
import { getJson } from "./api.js";
import { useEffect, useRef, useState } from "./preact.js";

const HIDDEN_SECONDS = 15; // between two calls while nobody looks
const RETRY_SECONDS = 2;

// The JSON at an address, read again every so many seconds if `every` says so, and after a passing failure in any case.
// While an answer is on its way, the earlier one of the same address stays.
export function useResource(url, { every = null } = {}) {
  const [state, setState] = useState({ url: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!url) return undefined;
    const abort = new AbortController();
    let timer = null;
    async function load() {
      let wait = every && (document.hidden ? Math.max(every, HIDDEN_SECONDS) : every);
      try {
        const value = await getJson(url, abort.signal);
        if (!abort.signal.aborted) setState({ url, value, problem: null });
      } catch (problem) {
        if (abort.signal.aborted) return;
        setState((before) => ({ url, value: before.url === url ? before.value : undefined, problem }));
        if (problem.passing) wait = problem.retryAfter ?? RETRY_SECONDS;
      }
      if (wait && !abort.signal.aborted) timer = setTimeout(load, wait * 1000);
    }
    load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [url, every, turn]);
  const current = state.url === url ? state : {};
  return { value: current.value, problem: current.problem ?? null, reload: () => setTurn((before) => before + 1) };
}

// Pages of a list by cursor: the newest one is kept current, older ones are read once.
export function usePages(addressOf, every) {
  const [cursors, setCursors] = useState([]); // of the pages before this one
  const cursor = cursors.at(-1) ?? null;
  const page = useResource(addressOf(cursor), { every: cursor ? null : every });
  return {
    ...page,
    items: page.value?.items,
    number: cursors.length + 1,
    older: page.value?.next_cursor && (() => setCursors([...cursors, page.value.next_cursor])),
    newer: cursors.length > 0 && (() => setCursors(cursors.slice(0, -1))),
    first: () => setCursors([]),
  };
}

// Runs something that a person asked for: `run()`, whether it runs, and why it failed.
export function useAction(action) {
  const [state, setState] = useState({ busy: false, problem: null });
  const running = useRef(false);
  async function run(...given) {
    if (running.current) return undefined;
    running.current = true;
    setState({ busy: true, problem: null });
    try {
      const result = await action(...given);
      setState({ busy: false, problem: null });
      return result;
    } catch (problem) {
      setState({ busy: false, problem });
      return undefined;
    } finally {
      running.current = false;
    }
  }
  return { ...state, run, clear: () => setState({ busy: false, problem: null }) };
}

// A value once it has not changed for a while, so that typing makes one call and not twenty.
export function useSettled(value, milliseconds = 500) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

// Whether a media query holds.
export function useMedia(query) {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setMatches(list.matches);
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return matches;
}
