"""Runs many jobs through a site with retention on, and prints what disk and Redis hold in between.

    python -m benchmarks.retention [--jobs 1000] [--site FOLDER]

Of ten jobs one uploads photographs, trains on them and publishes a version; the others export images. Everything that
is not used is deleted after two seconds. Each row is of a moment at which every job has ended and retention has run.
A folder that is given with ``--site`` is kept, and a later run goes on in it, with the service started anew.
"""

import argparse
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import redis
from PIL import Image

from benchmarks.local_service import LocalService, local_service, wait_until
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.machine import machine

KINDS = ("jobs", "exports", "compositions", "evaluations", "checkpoints", "samples", "versions", "datasets")
KEPT = "2s"
GC_HOURS = 0.001
AT_ONCE = 10  # jobs of a round: one training, and exports
ROW = 100  # jobs between two rows
MODEL = "base"
TINY = {
    "preset": "dcgan",
    "resolution": 32,
    "steps": 4,
    "overrides": {"generator_depth": 4, "discriminator_depth": 4, "batch_size": 4},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--site", type=Path, help="data folder that is kept; default: one that is deleted")
    given = options.parse_args()
    print(f"{machine()}; retention {KEPT} of everything, looked for every {GC_HOURS * 3600:.1f} s\n")
    rules = ",".join(f"{kind}:{KEPT}" for kind in KINDS)
    with _folder(given.site) as folder, local_service(folder, retention=rules, gc_hours=str(GC_HOURS)) as service:
        done = _done(folder)
        if not done:
            config = article_config(resolution=32, generator_depth=4)
            publish(folder, MODEL, save_weights(folder, config), config)
        print("| jobs | jobs listed | files | MB | audit.jsonl, kB | Redis keys | Redis, MB | its log, MB |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for count in range(done, done + given.jobs, AT_ONCE):
            _round(service, count)
            _done(folder, count + AT_ONCE)
            if (count + AT_ONCE) % ROW == 0:
                print(_row(service, count + AT_ONCE), flush=True)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given:
        yield given.absolute()
        return
    with TemporaryDirectory() as name:
        yield Path(name) / "site"


def _done(folder: Path, count: int | None = None) -> int:
    """How many jobs went through the site; with a count, notes it."""
    path = folder / "jobs-done.json"
    if count is not None:
        path.write_text(json.dumps(count))
    return int(json.loads(path.read_text())) if path.exists() else 0


def _round(service: LocalService, number: int) -> None:
    """Submits a training on new photographs and exports, and waits until all have ended."""
    service.upload(f"set-{number}", _photographs(number))
    training = {"dataset": f"set-{number}", "model": "steel", **TINY}
    places = [_submit(service, "/training-jobs", training)]
    for each in range(AT_ONCE - 1):
        body = {"model": f"{MODEL}@1", "count": 4, "seed": 100 * number + each}
        places.append(_submit(service, "/exports", body))
    for place in places:
        wait_until(lambda place=place: _over(service, place), 120, f"{place} ends")  # type: ignore[misc]


def _submit(service: LocalService, path: str, body: dict[str, Any]) -> str:
    answer = service.client.post(path, json=body).raise_for_status()
    return str(answer.headers["location"])


def _over(service: LocalService, place: str) -> bool:
    """Whether a job succeeded, or is deleted already. Raises RuntimeError for any other end."""
    answer = service.client.get(place)
    if answer.status_code == 404:
        return True
    if answer.json()["state"] in ("failed", "cancelled"):
        raise RuntimeError(f"{place}: {answer.json()['error']}")
    return bool(answer.json()["state"] == "succeeded")


def _photographs(seed: int) -> bytes:
    random, buffer = np.random.default_rng(seed), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(12):
            picture = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (40, 40), np.uint8)).save(picture, "PNG")
            archive.writestr(f"pits/{number}.png", picture.getvalue())
    return buffer.getvalue()


def _row(service: LocalService, count: int) -> str:
    wait_until(lambda: not _listed(service), 60, "retention has run")
    files = [each for each in (service.data_dir / "artifacts").rglob("*") if each.is_file()]
    audit = service.data_dir / "artifacts" / "audit.jsonl"
    size = sum(each.stat().st_size for each in files if each != audit)
    log = sum(each.stat().st_size for each in (service.data_dir / "redis").rglob("*") if each.is_file())
    with redis.Redis(unix_socket_path=str(service.data_dir / "redis" / "redis.sock")) as client:
        used = client.info("memory")["used_memory"]
        keys = client.dbsize()
    figures = [count, _listed(service), len(files), f"{size / 1e6:.2f}", f"{audit.stat().st_size / 1e3:.0f}"]
    figures += [keys, f"{used / 1e6:.2f}", f"{log / 1e6:.1f}"]
    return f"| {' | '.join(map(str, figures))} |"


def _listed(service: LocalService) -> int:
    places = ("/training-jobs", "/exports", "/datasets")
    return sum(len(service.client.get(each).json()["items"]) for each in places)


if __name__ == "__main__":
    main()
