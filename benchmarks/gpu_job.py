"""A training job from upload to image, over HTTP, for `benchmarks.gpu`."""

import io
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from benchmarks.local_service import wait_until
from flawsmith.core.demo_set import write_demo_set

LONGEST = 1800.0  # seconds of a job
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class JobSize:
    """Of the job: the side of its images in pixels, photographs of each of the demonstration set's types, steps; then
    how many images are asked for, and the overrides of `fewshot`."""

    side: int
    per_type: int
    steps: int
    images: int
    overrides: dict[str, Any]


def job_to_its_end(client: httpx2.Client, size: JobSize) -> Iterator[tuple[str, str]]:
    """Uploads photographs, trains on them, publishes and samples; yields what each part came to.

    Raises:
        httpx2.HTTPStatusError: the service refuses something.
        RuntimeError: the job fails, or an address gives other bytes when asked again.
    """
    name = f"gpu-{secrets.token_hex(4)}"
    archive = io.BytesIO()
    write_demo_set(archive, per_type=size.per_type, side=size.side)
    _checked(client.post("/datasets", data={"name": name}, files={"archive": archive.getvalue()}))
    body = {"dataset": name, "model": name, "preset": "fewshot", "resolution": size.side, "steps": size.steps}
    begun = time.monotonic()
    job = _checked(client.post("/training-jobs", json=body | {"overrides": size.overrides})).json()
    path = f"/training-jobs/{job['id']}"

    def ended() -> dict[str, Any] | None:
        record: dict[str, Any] = client.get(path).json()
        return record if record["state"] in ENDED else None

    record = wait_until(ended, LONGEST, "the job ends")
    seconds = time.monotonic() - begun
    if record["state"] != "succeeded":
        raise RuntimeError(f"the job {record['state']}: {record['error']}")
    steps, shown = record["progress"]["step"], record["progress"]["step"] * record["config"]["batch_size"]
    version = _checked(client.get(f"/models/{name}/versions/1")).json()
    verdict = version["verdict"]["state"] if version["verdict"] else "none"
    yield (
        f"fewshot at {size.side} px to its end",
        f"{steps:,} steps, {shown:,} photographs in {seconds:,.0f} s with evaluations and the verdict "
        f"({verdict}); samples in {version['precision']}, qualified on {version['qualified_on']}",
    )
    yield f"POST /generate, {size.images} images", _generated(client, record["produced"], size.images)


def _generated(client: httpx2.Client, version: str, images: int) -> str:
    body = {"model": version, "count": images, "format": "npz", "seed": 1, "deadline_seconds": 300}
    begun = time.monotonic()
    first = _checked(client.post("/generate", json=body)).content
    seconds = time.monotonic() - begun
    if _checked(client.post("/generate", json=body)).content != first:
        raise RuntimeError("the same addresses gave other bytes when they were asked for again")
    return f"{images / seconds:,.0f} images/s, the first of this version; asked again, the same bytes"


def _checked(answer: httpx2.Response) -> httpx2.Response:
    answer.raise_for_status()
    return answer
