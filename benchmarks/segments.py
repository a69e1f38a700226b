"""Measures the cost of training in segments: the same job in many short segments and in one, alternately.

    python -m benchmarks.segments [--segment-seconds 5] [--steps 1500] [--pairs 5]

Prints the seconds of each job from its first segment to its end, the median ratio, and the cost of one segment.
"""

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from benchmarks.local_service import LocalService, local_service, wait_until
from benchmarks.noise_photographs import noise_archive

DEFAULT_SEGMENT = 60.0  # seconds, the default of FLAWSMITH_SEGMENT_SECONDS
NETWORKS = {"generator_depth": 16, "discriminator_depth": 32, "batch_size": 12}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--segment-seconds", type=float, default=5.0)
    options.add_argument("--steps", type=int, default=1500)
    options.add_argument("--pairs", type=int, default=5)
    given = options.parse_args()
    lengths = {"segments": given.segment_seconds, "one loop": 1e6}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        services = {
            name: running.enter_context(local_service(Path(folder) / name, threads="1", segment_seconds=str(seconds)))
            for name, seconds in lengths.items()
        }
        _compare(services, given.steps, given.pairs, given.segment_seconds)


def _compare(services: dict[str, LocalService], steps: int, pairs: int, segment_seconds: float) -> None:
    photographs = noise_archive(300, side=64)
    for service in services.values():
        service.upload("set", photographs)
    seconds: dict[str, list[float]] = {name: [] for name in services}
    for pair in range(pairs):
        for name, service in services.items():
            seconds[name].append(_trained(service, f"run-{pair}", steps))
            print(f"pair {pair + 1}: {name:<8} {seconds[name][-1]:7.2f} s", flush=True)
    ratios = [cut / whole for cut, whole in zip(*seconds.values(), strict=True)]
    segments = statistics.median(seconds["segments"]) / segment_seconds
    each = statistics.median(
        (cut - whole) / (cut / segment_seconds) for cut, whole in zip(*seconds.values(), strict=True)
    )
    print(
        f"segments of {segment_seconds:g} s, {segments:.0f} a job: {100 * (statistics.median(ratios) - 1):+.2f} % "
        f"(median of {pairs} pairs); {1000 * each:.0f} ms a segment, {100 * each / DEFAULT_SEGMENT:+.2f} % of the "
        f"default {DEFAULT_SEGMENT:g} s"
    )


def _trained(service: LocalService, model: str, steps: int) -> float:
    recipe = {"preset": "dcgan", "resolution": 64, "overrides": NETWORKS}
    body = {"dataset": "set", "model": model, "steps": steps, **recipe}
    job = service.client.post("/training-jobs", json=body).raise_for_status().json()["id"]

    def ended() -> dict[str, str] | None:
        record = service.client.get(f"/training-jobs/{job}").json()
        return record if record["state"] == "succeeded" else None

    record = wait_until(ended, 3600, f"{job} succeeds")
    begun, over = (datetime.fromisoformat(record[name]) for name in ("started_at", "finished_at"))
    return (over - begun).total_seconds()


if __name__ == "__main__":
    main()
