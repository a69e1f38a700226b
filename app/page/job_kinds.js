// The kinds of job beside training: where they are, what they are for, and which call submits one.
export const KINDS = {
  exports: { title: "Exports", one: "Export", submit: "/exports", about: "Images of a version, or of a composition, with their labels, in one archive that training code reads.", archive: true, first: ["model", "composition", "count", "layout", "split"], defaults: { count: 1000 } },
  compositions: { title: "Compositions", one: "Composition", submit: "/compositions", about: "Defects on clean photographs at native scale, with exact masks and boxes.", archive: true, first: ["defects", "model", "background", "count", "per_image"], defaults: { count: 100 } },
  evaluations: { title: "Evaluations", one: "Evaluation", submit: "/models/{name}/versions/{version}/evaluations", about: "Whether a version’s images help a classifier.", first: ["dataset", "per_type", "repeats", "max_seconds"], defaults: {} },
  labellings: { title: "Label training", one: "Labelling", about: "Teaches a version where the defect is in its images. A version’s page starts one." },
  reports: { title: "Reports", one: "Report", about: "Quality reports of versions. A version’s page starts one." },
  comparisons: { title: "Comparisons", one: "Comparison", about: "Two versions judged on the same photographs." },
  "drift-checks": { title: "Drift checks", one: "Drift check", about: "Whether what a version serves is still what its report says." },
};
