// The views and their addresses in the fragment: #/models/scratches/2?tab=report. A fragment works under any prefix.
import { Comparison } from "./comparison.js";
import { Dataset } from "./dataset.js";
import { Datasets } from "./datasets.js";
import { Gallery } from "./gallery.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { Model } from "./model.js";
import { Models } from "./models.js";
import { OtherJob } from "./other_job.js";
import { OtherJobs } from "./other_jobs.js";
import { Operations } from "./operations.js";
import { Start } from "./start.js";
import { TrainingForm } from "./training_form.js";
import { Version } from "./version.js";

// `needs`: the scope without which the view could show nothing.
const VIEWS = [
  { path: "", view: Start, title: "Start" },
  { path: "datasets", view: Datasets, title: "Data sets", needs: "train" },
  { path: "datasets/:id", view: Dataset, title: "Data set", needs: "train" },
  { path: "jobs", view: Jobs, title: "Training", needs: "train" },
  { path: "jobs/new", view: TrainingForm, title: "New training job", needs: "train" },
  { path: "jobs/compare", view: Comparison, title: "Two jobs side by side", needs: "train" },
  { path: "jobs/:id", view: Job, title: "Training job", needs: "train" },
  { path: "models", view: Models, title: "Models", needs: "generate" },
  { path: "models/:name", view: Model, title: "Model", needs: "generate" },
  { path: "models/:name/:version", view: Version, title: "Version", needs: "generate" },
  { path: "gallery", view: Gallery, title: "Gallery", needs: "generate" },
  { path: "other/:kind", view: OtherJobs, title: "Jobs", needs: "train" },
  { path: "other/:kind/:id", view: OtherJob, title: "Job", needs: "train" },
  { path: "service", view: Operations, title: "Service" },
];

export const NAVIGATION = [
  { href: "#/", text: "Start" },
  { href: "#/datasets", text: "Data sets", needs: "train" },
  { href: "#/jobs", text: "Training", needs: "train" },
  { href: "#/models", text: "Models", needs: "generate" },
  { href: "#/gallery", text: "Gallery", needs: "generate" },
  { href: "#/other/exports", text: "Exports", needs: "train" },
  { href: "#/other/compositions", text: "Compositions", needs: "train" },
  { href: "#/service", text: "Service" },
];

// The view of a fragment, with the values of its path and query.
export function route(fragment) {
  const [path, asked = ""] = fragment.replace(/^#?\/?/, "").split("?");
  const given = path.split("/").map(decoded);
  for (const entry of VIEWS) {
    const parts = entry.path.split("/");
    if (parts.length !== given.length || !parts.every((each, at) => each.startsWith(":") || each === given[at])) continue;
    const values = parts.flatMap((each, at) => (each.startsWith(":") ? [[each.slice(1), given[at]]] : []));
    return { ...entry, values: { ...Object.fromEntries(new URLSearchParams(asked)), ...Object.fromEntries(values) } };
  }
  return null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
