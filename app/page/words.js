// Numbers, times and states in words.

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

// How far a job is, 0 to 1: by its steps, or by the time after which it ends.
export function share({ state, progress, config }) {
  if (state === "succeeded") return 1;
  const bySteps = progress.step / Math.max(1, progress.total_steps);
  if (!config?.max_seconds || progress.eta_seconds === null || !progress.step) return bySteps;
  return Math.max(bySteps, 1 - progress.eta_seconds / config.max_seconds);
}

// A job that ends after a time seldom makes all the steps that it might.
export const steps = ({ progress, config }) =>
  config?.max_seconds ? count(progress.step, "step") : `${progress.step} of ${progress.total_steps} steps`;

export function bytes(number) {
  if (number === null || number === undefined) return "";
  const power = Math.min(4, Math.max(0, Math.floor(Math.log(Math.max(number, 1)) / Math.log(1000))));
  return `${(number / 1000 ** power).toPrecision(3).replace(/\.?0+$/, "")} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export const moment = (text) => (text ? new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "");

export const figure = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 0.001 && Math.abs(value) < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
};

export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);

// A name in snake_case, as a label: "max_seconds" -> "Max seconds".
export const label = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

export const ended = (state) => ["succeeded", "failed", "cancelled"].includes(state);

// A command's argument that no shell changes.
export const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;
