"""The scores that an evaluation has so far, in its job's folder."""

import json
from collections.abc import Mapping
from typing import Any

from flawsmith.core.store.interface import Claim, Place
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.models.evaluation.experiment import Arm, Key
from flawsmith.models.evaluation.scores import Scores


def load_scores(folder: JobFolder) -> dict[Key, Scores]:
    """All scores; none in a job that has not begun."""
    path = _path(folder)
    return dict(map(_entry, json.loads(path.read_bytes()))) if path.exists() else {}


def save_scores(scored: Mapping[Key, Scores], folder: JobFolder, claim: Claim) -> None:
    """Replaces the scores. Raises ClaimLost."""
    rows = [_row(key, each) for key, each in scored.items()]
    claim.write_bytes(_path(folder), json.dumps(rows, indent=1).encode())


def _path(folder: JobFolder) -> Place:
    return folder.path / "scores.json"


def _row(key: Key, scores: Scores) -> dict[str, Any]:
    per_type, repeat, arm = key
    return {"per_type": per_type, "repeat": repeat, "arm": arm.name, "ratio": arm.ratio, **vars(scores)}


def _entry(row: dict[str, Any]) -> tuple[Key, Scores]:
    key = row.pop("per_type"), row.pop("repeat"), Arm(row.pop("arm"), row.pop("ratio"))
    return key, Scores(**row)
