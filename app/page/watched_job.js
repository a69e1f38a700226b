// A job of any kind, followed live: its record, kept current by its server-sent events.
import { address, getJson } from "./api.js";
import { follow } from "./events.js";
import { useEffect, useRef, useState } from "./preact.js";
import { ended } from "./words.js";

const HISTORY_SECONDS = 3; // between two reads of the curves while a job runs
const RETRY_SECONDS = 2;
const READ_SECONDS = 0.2; // after an event; several in a row make one call
const REPEATED_SECONDS = 2;

// `path` is that of its resource, such as "training-jobs"; `onEvent` hears of events, and "read" of a new record.
export function useWatchedJob(path, id, onEvent) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  const react = useRef(onEvent);
  react.current = onEvent;
  useEffect(() => {
    let over = false, stop = null, timer = null, followedAt = 0;
    const readSoon = (seconds) => { timer ??= setTimeout(read, seconds * 1000); };
    async function read() {
      clearTimeout(timer);
      timer = null;
      try {
        const job = await getJson(address([path, id]));
        if (over) return;
        setState({ job });
        if (!stop && !ended(job.state)) {
          followedAt = performance.now();
          stop = follow(address([path, id, "events"]), heard, read);
        }
        react.current?.("read", job);
      } catch (problem) {
        if (over) return;
        setState((before) => ({ ...before, problem }));
        if (problem.passing) readSoon(problem.retryAfter ?? RETRY_SECONDS);
      }
    }
    function heard(name, data) {
      if (over) return;
      const repeated = performance.now() < followedAt + REPEATED_SECONDS * 1000; // the stream begins with what was before
      if (name === "progress") setState(({ job }) => ({ job: repeated && data.progress.step < job.progress.step ? job : { ...job, ...data } }));
      else readSoon(READ_SECONDS); // health, verdict and result come with the record
      react.current?.(name, data);
    }
    read();
    return () => { over = true; stop?.(); clearTimeout(timer); };
  }, [path, id, turn]);
  return { value: state.job, problem: state.problem ?? null, reload: () => setTurn((before) => before + 1) };
}

// A training job with its curves and the steps of its sample grids.
export function useTrainingJob(id) {
  const [curves, setCurves] = useState(null);
  const [steps, setSteps] = useState([]);
  const reading = useRef({ at: 0, timer: null });
  async function readCurves() {
    reading.current.at = performance.now();
    reading.current.timer = null;
    const found = await Promise.all([["history"], ["samples"]].map((part) => getJson(address(["training-jobs", id, ...part]))))
      .catch(() => null); // the next event tries again
    if (!found) return;
    setCurves(found[0]);
    setSteps(found[1].steps);
  }
  const job = useWatchedJob("training-jobs", id, (name) => {
    if (reading.current.timer) return;
    const wait = name === "read" ? 0 : Math.max(0, reading.current.at + HISTORY_SECONDS * 1000 - performance.now());
    reading.current.timer = setTimeout(readCurves, wait);
  });
  useEffect(() => () => clearTimeout(reading.current.timer), []);
  return { ...job, curves, steps };
}
