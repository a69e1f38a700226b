"""What is kept in a version's folder beside what makes its images: its judgement, scores and reference photographs."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.quality_floors import FILE as IMAGE_SCORES
from flawsmith.worker.references import save_references
from flawsmith.worker.verdict import VersionJudgement, save_judgement
from flawsmith.worker.version_photographs import load_photographs


def save_findings(
    judgement: VersionJudgement,
    folder: Path,
    *,
    preset: str,
    config: Mapping[str, Any],
    dataset_digest: str,
    services: Services,
) -> None:
    """Writes them before the version is published; no references where the photographs were deleted meanwhile."""
    with suppress(UnknownDataset):
        save_references(load_photographs(dataset_digest, preset, dict(config), services), folder)
    if judgement.judged.measures:  # else a later report judges again
        save_judgement(judgement.judged, folder)
    if judgement.scores:
        (folder / IMAGE_SCORES).write_bytes(judgement.scores.to_bytes())
