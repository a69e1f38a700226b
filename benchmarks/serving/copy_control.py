"""Measures what `max_similarity` costs: images per second of 32 clients, the pool drained, without the key and with it.

    python -m benchmarks.serving.copy_control [--photographs 300] [--refused 0.1] [--rounds 5] [--quick]

The threshold refuses about the given share of the images, so that they are made again. Rounds alternate.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.local_service import LocalService
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.comparison import CLIENTS, QUICK, Plan
from benchmarks.serving.flawsmith_service import MODEL, flawsmith, one_image, url
from benchmarks.serving.load import Load, Outcome, run_apart
from benchmarks.serving.machine import machine
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs
from flawsmith.core.store.registry import Registry

LEAST = 0.5  # of the rate without the key
PROBED = 256  # images whose similarities choose the threshold


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photographs", type=int, default=300)
    options.add_argument("--refused", type=float, default=0.1, help="share of the images, 0 to 1")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="one short round, to check that everything runs")
    given = options.parse_args()
    plan = QUICK if given.quick else replace(Plan(), rounds=given.rounds)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name, flawsmith(Path(name) / "flawsmith") as service:
        config = article_config()
        version = publish(service.data_dir, MODEL, save_weights(Path(name), config), config)
        _save_references(service, version, given.photographs)
        threshold = _threshold(service, given.refused)
        print(f"{given.photographs} photographs, max_similarity {threshold:g} refuses {given.refused:.0%}", flush=True)
        loads = {
            "without max_similarity": one_image(service),
            "with max_similarity": one_image(service, max_similarity=threshold),
        }
        rates = {name: statistics.median(each) for name, each in _measure(loads, plan).items()}
    without, with_key = rates.values()
    for name, rate in rates.items():
        print(f"{name:<24}{rate:8.1f} images/s")
    print(f"{'ratio':<24}{with_key / without:8.2f}, required {LEAST:g}")
    sys.exit(with_key < LEAST * without)


def _measure(loads: dict[str, Load], plan: Plan) -> dict[str, list[float]]:
    """Images per second of each load in every round."""
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for number in range(plan.rounds):
        for name in list(loads)[:: 1 if number % 2 == 0 else -1]:
            load = replace(loads[name], clients=CLIENTS, warm_seconds=plan.draining_seconds)
            outcome = run_apart(replace(load, seconds=plan.drained_seconds))
            _check(name, outcome)
            rates[name].append(outcome.images_per_second)
            print(f"round {number + 1}, {name}: {outcome.images_per_second:.1f} images/s", flush=True)
    return rates


def _check(name: str, outcome: Outcome) -> None:
    if failed := len(outcome.status) - outcome.answers():
        raise RuntimeError(f"{name}: {failed} of {len(outcome.status)} answers did not have status 200")


def _save_references(service: LocalService, version: ModelVersion, count: int) -> None:
    """Gives the version photographs of noise, as many as a job would have trained on."""
    side = version.resolution
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 1)).astype(np.uint8)
    files = [f"{number}.png" for number in range(count)]
    references = ReferencePhotographs.of(pixels, np.zeros(count, np.int64), version.classes, files)
    references.save(Registry(ArtifactStore(service.data_dir / "artifacts")).folder(version) / FILE)


def _threshold(service: LocalService, refused: float) -> float:
    """The similarity that this share of the version's images exceeds."""
    body = {"model": MODEL, "seed": 0, "count": PROBED, "max_similarity": 0}
    answer = service.client.post(url(service), content=json.dumps(body), headers={"Content-Type": "application/json"})
    if answer.status_code != 409:
        raise RuntimeError(f"expected the similarities of {PROBED} images, got {answer.status_code}: {answer.text}")
    found = [each["similarity"] for each in answer.json()["refused"]]
    return float(np.quantile(found, 1 - refused))


if __name__ == "__main__":
    main()
