// Makes images with the generated TypeScript client, as an application would. `tsc` checks the types.
import { client } from "./generated/client.gen";
import { generate, getImage, listTrainingJobs } from "./generated/sdk.gen";

declare const process: { argv: string[]; exit(status: number): never }; // of Node.js

async function main(baseUrl: string, model: string) {
  client.setConfig({ baseUrl });

  const made = await generate({ body: { model, count: 2, format: "json" }, throwOnError: true });
  const starts = made.data.images.map((image) => atob(image.data ?? "").slice(1, 4));

  const [name, version] = made.data.model.split("@") as [string, string];
  const { seed, defect_type } = made.data.images[0]!;
  const one = await getImage({ path: { name, version, seed }, query: { defect_type }, throwOnError: true });
  const png: Blob | File = one.data;

  const refused = await generate({ body: { model: "nothing" } });
  const detail: string | undefined = refused.error?.detail;

  const jobs = await listTrainingJobs({ query: { state: "succeeded" }, throwOnError: true });
  const models = jobs.data.items.map((job) => (job.kind === "training" ? job.model : job.kind));

  console.log(JSON.stringify({ starts, png: { type: png.type, bytes: png.size }, detail, models }));
}

main(process.argv[2]!, process.argv[3]!).catch((problem) => {
  console.error(problem);
  process.exit(1);
});
