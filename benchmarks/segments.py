"""What it costs to train in segments: the same job in many short ones and in one, in turn, on one worker.

    python -m benchmarks.segments [--segment-seconds 5] [--steps 1500] [--pairs 5]

Prints each run's seconds from its first turn to its end, the medians, and the cost of one more segment.
"""

import argparse
import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

DEFAULT_SEGMENT = 60.0  # seconds, of the setting
NETWORKS = {"generator_depth": 16, "discriminator_depth": 32, "batch_size": 12}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--segment-seconds", type=float, default=5.0)
    options.add_argument("--steps", type=int, default=1500)
    options.add_argument("--pairs", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        services = {
            "segments": start_service(Path(folder) / "segments", segment_seconds=str(given.segment_seconds)),
            "one loop": start_service(Path(folder) / "loop", segment_seconds="1000000"),
        }
        try:
            _compare(services, given.steps, given.pairs, given.segment_seconds)
        finally:
            for service in services.values():
                stop_service(service)


def _compare(services: dict[str, Service], steps: int, pairs: int, segment_seconds: float) -> None:
    photographs = zipped({f"{number}.png": photograph(number, side=64) for number in range(300)})
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


def _trained(service: Service, model: str, steps: int) -> float:
    recipe = {"preset": "dcgan", "resolution": 64, "overrides": NETWORKS}
    body = {"dataset": "set", "model": model, "steps": steps, **recipe}
    job = service.client.post("/training-jobs", json=body).raise_for_status().json()["id"]

    def ended() -> dict[str, str] | None:
        record = service.client.get(f"/training-jobs/{job}").json()
        return record if record["state"] == "succeeded" else None

    record = until(ended, 3600, f"{job} succeeds")
    begun, over = (datetime.fromisoformat(record[name]) for name in ("started_at", "finished_at"))
    return (over - begun).total_seconds()


if __name__ == "__main__":
    main()
