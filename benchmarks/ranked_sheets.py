"""Sheets of photographs and samples under random names, and a ranking of these names by step."""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from flawsmith.core.store.images import encode_png, grid

COLUMNS = 6  # and rows of a sheet's two grids
ENLARGED = 2  # pixels for each pixel
SHOWN = 12  # images of a checkpoint in the picture of a ranking
WRITTEN = "by-eye.json"


def shuffle(run: Path, number: int) -> None:
    """Writes a pass's sheets, one for each step with samples, and the key from their names to the steps."""
    training, holdout = (numpy.load(run / f"{each}.npy") for each in ("training", "holdout"))
    steps = sorted(int(each.stem) for each in run.glob("*.npy") if each.stem.isdigit())
    secrets.SystemRandom().shuffle(steps)  # so that the files' times say nothing
    known = numpy.concatenate([_part(training, number)[: COLUMNS**2 // 2], _part(holdout, number)])[: COLUMNS**2]
    place, key = run / f"pass-{number}", {}
    place.mkdir()
    for step in steps:
        name = secrets.token_hex(2)
        sheet = grid([_sheet(known), _sheet(_part(numpy.load(run / f"{step}.npy"), number))], 2, gap=12)
        enlarged = sheet.resize((sheet.width * ENLARGED, sheet.height * ENLARGED), Image.Resampling.BICUBIC)
        (place / f"{name}.png").write_bytes(encode_png(enlarged))
        key[name] = step
    _key(run, number).write_text(json.dumps(key, indent=1))


def record(run: Path) -> dict[str, Any]:
    """The ranking in `WRITTEN` by step; see `rank_correlation.print_correlations`.

    Raises:
        KeyError: a name is not of its pass, or a sheet of the first pass has no words.
        ValueError: a pass does not rank each sheet once.
    """
    written = json.loads((run / WRITTEN).read_text())
    ranks: dict[int, list[float]] = {}
    for number, places in enumerate(written["passes"], 1):
        key = json.loads(_key(run, number).read_text())
        ranked = _ranked(places)
        if sorted(name for name, _ in ranked) != sorted(key):
            raise ValueError(f"pass {number} of {run} has to rank each of these once: {', '.join(sorted(key))}")
        for name, rank in ranked:
            ranks.setdefault(key[name], []).append(rank)
    first = json.loads(_key(run, 1).read_text())
    words = {step: written["words"][name] for name, step in first.items()}
    return {
        "run": run.name,
        "shows": written["shows"],
        "checkpoints": [
            {"step": step, "ranks": ranks[step], "words": words[step], "sha256": digest(run / f"{step}.npy")}
            for step in sorted(ranks)
        ],
    }


def picture(ranking: Path, runs: Path) -> Image.Image:
    """A row of photographs never trained on, then a row of samples for each checkpoint, the best first."""
    ranked = json.loads(ranking.read_text())
    checkpoints = sorted(ranked["checkpoints"], key=lambda each: sum(each["ranks"]))
    rows = ["holdout", *(str(each["step"]) for each in checkpoints)]
    images = [numpy.load(runs / ranked["run"] / f"{each}.npy")[:SHOWN] for each in rows]
    return _sheet(numpy.concatenate(images), SHOWN)


def digest(samples: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    return hashlib.sha256(samples.read_bytes()).hexdigest()


def _ranked(places: list[str | list[str]]) -> list[tuple[str, float]]:
    """Each name with its rank, 1 the best; names that tie, a list within the list, share their mean rank."""
    ranked: list[tuple[str, float]] = []
    for place in places:
        tied = [place] if isinstance(place, str) else place
        rank = len(ranked) + (len(tied) + 1) / 2
        ranked += [(name, int(rank) if rank.is_integer() else rank) for name in tied]
    return ranked


def _key(run: Path, number: int) -> Path:
    return run / f"pass-{number}-key.json"


def _part(images: numpy.ndarray, number: int) -> numpy.ndarray:
    """The images that a pass shows; each pass shows others, as far as there are enough."""
    return numpy.roll(images, -(number - 1) * COLUMNS**2, axis=0)[: COLUMNS**2]


def _sheet(images: numpy.ndarray, columns: int = COLUMNS) -> Image.Image:
    return grid([Image.fromarray(each.transpose(1, 2, 0).squeeze()) for each in images], columns)
