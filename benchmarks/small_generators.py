"""A generator that learns from a few annotated photographs as a training job does, and its defects as patches."""

import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.segmentation_sets import Photograph
from benchmarks.starts import PRIOR, load_start
from flawsmith.core.domain.crops import Around, as_crop
from flawsmith.core.domain.training_config import resolve_request, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.priors import Priors
from flawsmith.models.compositions import Patch, is_cut
from flawsmith.models.inference.latents import latent
from flawsmith.models.labels.masks import mask_of, plausible_ranges
from flawsmith.models.labels.segmenter import train_segmenter
from flawsmith.models.pixels import from_bytes, render
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.presets.registry import build_generator, build_trainer
from flawsmith.models.quality.steps import result_of
from flawsmith.models.training.photograph_masks import PhotographMasks

PRESET, SIDE = "fewshot", 64
SEGMENTER_STEPS = 150  # half of a labelled version's
BATCH = 16  # photographs in a step
RENDERED_AT_ONCE = 16


@dataclass(frozen=True)
class Crops:
    """The squares that a training job cuts around the annotated defects of photographs, at their own scale.

    Attributes:
        images: (N, 1, SIDE, SIDE) uint8.
        masks: (N, SIDE, SIDE) bool.
        type_index: (N,) int64.
        photograph: (N,) int64, the number of the photograph that each was cut from.
        types: the names of the types.
        config: of the trainer.
    """

    images: Tensor
    masks: Tensor
    type_index: Tensor
    photograph: Tensor
    types: list[str]
    config: dict[str, object]


def crops_of(photographs: Sequence[Photograph], types: Sequence[str], seed: int, shown: int) -> Crops:
    """Uploads photographs with their masks, and resolves a job that starts from the prior.

    Args:
        photographs: each with a mask.
        types: of each photograph; of each there are two photographs at least.
        seed: of the run.
        shown: photographs that it shows.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "annotated.zip")
        _write(archive, photographs, types)
        return crops_of_archive(archive, Around.ANNOTATIONS, seed, shown, boxes=False)


def crops_of_archive(archive: Path, around: Around, seed: int, shown: int, *, boxes: bool) -> Crops:
    """The squares of an upload; with ``boxes``, what is in a box is the defect."""
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        dataset, _ = datasets.add_archive("annotated", archive)
        request = TrainingRequest(
            dataset=dataset.id,
            model="benchmark",
            preset=PRESET,
            resolution=SIDE,
            seed=seed,
            steps=max(1, shown // BATCH),
            crop=as_crop(around),
        )
        resolved = resolve_request(request, dataset, priors=Priors().cards, measure=datasets.measured)
        squares = datasets.load(dataset.id, SIDE, around)
        targets = datasets.load_targets(dataset.id, SIDE, around, boxes=boxes)
    return Crops(
        torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack([np.zeros((SIDE, SIDE), bool) if each is None else each for each in targets])),
        torch.from_numpy(squares.type_index),
        torch.from_numpy(squares.photograph),
        squares.classes,
        trainer_config(PRESET, resolved.config),
    )


def trained_generator(crops: Crops, shown: int, *, masks: bool = False) -> PresetGenerator:
    """What a job from the prior makes of the squares after so many photographs shown; the last step.

    With ``masks``, it learns to make those of the squares as well, as one more channel.
    """
    run = build_trainer(
        PRESET,
        crops.config,
        crops.images,
        crops.type_index,
        len(crops.types),
        torch.device("cpu"),
        crops.photograph,
        masks=PhotographMasks(crops.masks[:, None].byte() * 255, torch.ones(len(crops.masks)).bool())
        if masks
        else None,
    )
    load_start(run, PRIOR, PRESET, crops.config)
    while run.completed_steps * run.batch_size < shown:
        run.step(run.completed_steps * run.batch_size / shown)
    generator = new_generator(crops, masks=masks)
    generator.load_state_dict(run.networks()["generator"])
    return generator.eval()


def new_generator(crops: Crops, *, masks: bool = False) -> PresetGenerator:
    """One of `trained_generator`'s shape, with weights yet to be loaded."""
    return build_generator(PRESET, {**crops.config, "labels": "mask" if masks else "none"}, len(crops.types))


def sampled(generator: PresetGenerator, types: Sequence[str], first: int, count: int) -> tuple[Tensor, Tensor]:
    """The images of so many seeds, types in turn: (count, 1, SIDE, SIDE) uint8, and their type indices."""
    type_index = torch.arange(count) % len(types)
    latents = torch.stack(
        [latent(first + each, types[type_index[each]], generator.latent_size) for each in range(count)]
    )
    pairs = zip(latents.split(RENDERED_AT_ONCE), type_index.split(RENDERED_AT_ONCE), strict=True)
    return torch.cat([render(generator, *each) for each in pairs]), type_index


def generated_patches(crops: Crops, generator: PresetGenerator, count: int, seed: int) -> list[Patch]:
    """Defects of generated images with learned masks: those that are plausible, and whole.

    The masks are by a segmenter that learned from the same squares, as those of a labelled version are.

    Args:
        count: images to look at.
        seed: of the segmenter, and of the first image.
    """
    segmenter = result_of(train_segmenter(crops.images, crops.masks, seed, SEGMENTER_STEPS))
    images, type_index = sampled(generator, crops.types, 1000 * seed, count)
    probabilities = segmenter.probabilities(from_bytes(images)).numpy()
    ranges = [plausible_ranges(list(crops.masks[crops.type_index == each].numpy())) for each in range(len(crops.types))]
    patches = []
    for number in range(count):
        of_type = int(type_index[number])
        mask, plausible = mask_of(probabilities[number], ranges[of_type])
        patch = Patch(images[number, 0].numpy(), mask, crops.types[of_type], f"seed {1000 * seed + number}")
        if plausible and not is_cut(patch):
            patches.append(patch)
    return patches


def _write(archive: Path, photographs: Sequence[Photograph], types: Sequence[str]) -> None:
    """In the layout of MVTec AD; a file in `train/good` makes `test` the split with the defects."""
    with zipfile.ZipFile(archive, "w") as opened:
        for number, (photograph, name) in enumerate(zip(photographs, types, strict=True)):
            opened.writestr(f"set/test/{name}/{number:03d}.png", _png(photograph.pixels))
            marked = photograph.mask.astype(np.uint8) * 255
            opened.writestr(f"set/ground_truth/{name}/{number:03d}_mask.png", _png(marked))
        opened.writestr("set/train/good/000.png", _png(np.full((128, 128), 128, np.uint8)))


def _png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()
