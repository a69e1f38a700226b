"""What was found out about a version after it was published: evaluations, reports, overrides, in a folder beside it.

A version's own folder never changes, so its results are in ``models/NAME/results/VERSION``. They go with the version.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.domain.production_gate import Override
from flawsmith.core.domain.records import valid_name
from flawsmith.core.store.artifacts import OutsideStore
from flawsmith.core.store.interface import Place

EVALUATIONS = "evaluations"
OVERRIDES = "overrides"
Write = Callable[[Place, bytes], None]
"""Replaces a file atomically: `Claim.write_bytes` of a job, or `Store.write_bytes`."""


def results_folder(folder: Place) -> Place:
    """Where the results of a version are; it exists only once there is one.

    Args:
        folder: of the version, as `Registry.folder` gives it.
    """
    return folder.parent.parent / "results" / folder.name


def save_result(folder: Place, kind: str, name: str, result: dict[str, Any], write: Write) -> Place:
    """Keeps a result of a version; one of the same kind and name is replaced. Returns its file.

    Args:
        folder: of the version, as `Registry.folder` gives it.
        kind: what it is a result of, such as `EVALUATIONS`.
        name: tells it from others of its kind, such as the id of the job that made it.
        result: what JSON can hold.
        write: writes the file. A worker passes its claim's `write_bytes`, which may raise ClaimLost.

    Raises:
        FileNotFoundError: there is no such version any more.
        OutsideStore: the kind or the name is no file name.
    """
    if not (valid_name(kind) and valid_name(name)):
        raise OutsideStore(f"{kind[:200]!r}, {name[:200]!r} is not a place for a result")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no version in {folder}")
    path = results_folder(folder) / kind / f"{name}.json"
    write(path, json.dumps(result, indent=1).encode())
    if not folder.is_dir():  # the version was deleted meanwhile, perhaps before there was this file to delete with it
        remove_results(results_folder(folder), path)
        raise FileNotFoundError(f"there is no version in {folder} any more")
    return path


def remove_results(results: Place, written: Place) -> None:
    """Removes what was written as the results of a version that was deleted meanwhile."""
    if isinstance(results, Path):
        shutil.rmtree(results, ignore_errors=True)
    else:  # a bucket has no folders that could stay behind
        written.unlink(missing_ok=True)


def load_results(folder: Place, kind: str) -> list[dict[str, Any]]:
    """All results of one kind of a version, in the order of their names. Takes a listing and a read for each."""
    return list(results_by_name(folder, kind).values())


def results_by_name(folder: Place, kind: str) -> dict[str, dict[str, Any]]:
    """All results of one kind of a version, by their names."""
    paths = sorted((results_folder(folder) / kind).glob("[!.]*.json"))
    return {path.stem: json.loads(path.read_bytes()) for path in paths}


def evaluations_of(folder: Place) -> list[dict[str, Any]]:
    """The results of a version's evaluations, as GET /evaluations/{id} shows them."""
    return load_results(folder, EVALUATIONS)


def save_override(folder: Place, override: Override, write: Write) -> None:
    """Keeps an override of what speaks against a version. Raises what `save_result` raises."""
    save_result(folder, OVERRIDES, new_identity(), override.model_dump(mode="json"), write)


def overrides_of(folder: Place) -> list[Override]:
    """The overrides of a version, the oldest first."""
    return [Override.model_validate(each) for each in load_results(folder, OVERRIDES)]
