"""Whether a training job learns masks as well as images."""

from collections.abc import Callable, Mapping
from typing import Literal

from flawsmith.core.domain.presets.preset import Preset
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.training_request import TrainingRequest

CountMasked = Callable[[Dataset], Mapping[str, int]]
"""How many photographs of a dataset have a mask of each of their defects, by type."""

FEW = 17  # photographs with masks; with fewer, a label network on the frozen generator is made for it


class NoLabels(Exception):
    """The labels that a job asks for cannot be learned; the message says why, and what would be right."""


def learned_labels(
    request: TrainingRequest, preset: Preset, dataset: Dataset, origin: ModelVersion | None, masked: CountMasked
) -> tuple[Literal["mask"] | None, list[str]]:
    """The labels that the job learns, and sentences on them.

    A version that was trained with masks is gone on from with masks.

    Raises:
        NoLabels: the preset learns none, the dataset has no masks, or the version has networks of the other kind.
    """
    inherited = origin is not None and origin.config.get("labels") == "mask"
    if origin and inherited and request.labels == "none":
        raise NoLabels(f"{origin.ref} makes masks; leave 'labels' out, or set it to 'mask'")
    if request.labels != "mask" and not inherited:
        return None, _hint(request, preset, dataset)
    if not preset.learns_masks:
        able = ", ".join(each.name for each in PRESETS if each.learns_masks)
        raise NoLabels(f"preset '{preset.name}' learns no masks; those that do: {able}")
    counts = masked(dataset)
    if not any(counts.values()):
        raise NoLabels(
            f"no photograph of '{dataset.name}' has masks of its defects; upload masks with them, or leave 'labels' "
            "out and label the version afterwards: POST /models/NAME/versions/V/labels"
        )
    return "mask", _notes(dataset, counts)


def _notes(dataset: Dataset, counts: Mapping[str, int]) -> list[str]:
    """What there is to learn from."""
    count = sum(counts.values())
    notes = [f"learns the masks of {count} of {dataset.image_count} photographs together with the images"]
    if count < FEW:
        notes.append(f"{count} masks are few; label the version afterwards if its masks do not fit, see docs/labels.md")
    if without := [f"'{name}'" for name in dataset.classes if not counts.get(name)]:
        notes.append(f"no photograph of {', '.join(without)} has masks, so those of its images are guesses")
    return notes


def _hint(request: TrainingRequest, preset: Preset, dataset: Dataset) -> list[str]:
    """That masks could be learned, where a job says nothing about them."""
    if request.labels is None and preset.learns_masks and dataset.layout and dataset.layout.masks:
        return ['leaves the photographs\' masks unused; with "labels": "mask" images come with masks as well']
    return []
