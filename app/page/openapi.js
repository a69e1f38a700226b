// The service's own description of its calls, from which forms are made. It is read once.
import { address } from "./api.js";
import { useResource } from "./live.js";
import { resolved } from "./schema_form.js";

let kept = null;

// The schema of a POST's body, and the document that its references are in; null where there is no such call.
// Undefined until the document is there.
export function useBodySchema(path, mediaType = "application/json") {
  const read = useResource(kept ? null : address(["openapi.json"]));
  kept ??= read.value ?? null;
  if (!kept) return { problem: read.problem };
  const schema = kept.paths[path]?.post?.requestBody?.content[mediaType]?.schema;
  return { value: schema ? { schema: resolved(schema, kept), root: kept } : null, problem: null };
}
