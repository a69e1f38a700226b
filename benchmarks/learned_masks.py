"""Trains on the demonstration set with masks and without, and compares images and masks.

    python -m benchmarks.learned_masks --shown 16000 [--planned 24000] [--per-type 100] [--state FOLDER] [--picture PNG]

Both runs begin with the prior and see the same photographs (64 px, one thread). Masks are compared with what a
segmenter finds in the images that learned from a thousand other photographs; images with photographs that nothing
learned from. ``--planned`` measures in the middle of a run of that length. ``--state`` keeps both runs, so that a
stopped one goes on. See docs/labels.md.
"""

import argparse
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from flawsmith.cli.demo_set import DEFECT_TYPES, draw_defect
from PIL import Image, ImageChops, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.labels import REFERENCE, VISIBLE, drawn_photographs, found_masks
from benchmarks.noise_photographs import noise_dataset
from benchmarks.starts import PRIOR, load_start
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.store.images import encode_png, grid
from flawsmith.core.store.images.pixels import to_pixels
from flawsmith.models.labels.photograph_labels import mean_overlap
from flawsmith.models.labels.segmenter import train_segmenter
from flawsmith.models.pixels import from_bytes, to_bytes
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.presets.registry import build_trainer
from flawsmith.models.quality.report import measure
from flawsmith.models.quality.steps import result_of
from flawsmith.models.training.photograph_masks import PhotographMasks

SIDE = 64
TYPES = len(DEFECT_TYPES)
TRAINED_ON, HELD_OUT = 7, 8  # numbers of the drawn sets
UNSEEN = 40  # photographs of each type that images are compared with
IMAGES = 192
COLUMNS, SHOWN = 8, 48  # of the picture
RUNS = ("masks", "plain")
SAVED_EVERY = 250  # steps
EDGE = (255, 64, 64)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--shown", type=int, default=16_000, help="photographs, to each run")
    options.add_argument("--planned", type=int, help="photographs that a whole run would show; default: --shown")
    options.add_argument("--per-type", type=int, default=100, help="photographs trained on")
    options.add_argument("--state", type=Path, help="a folder")
    options.add_argument("--picture", type=Path, help="where to write images with the outlines of their masks")
    given = options.parse_args()
    torch.set_num_threads(1)
    known, masks, _ = drawn_photographs(REFERENCE, SIDE, 0)
    reference = result_of(train_segmenter(known, masks, 1))
    unseen, unseen_masks, _ = drawn_photographs(20, SIDE, 1)
    ceiling = mean_overlap(found_masks(reference, from_bytes(unseen)), unseen_masks.numpy())
    print(f"reference on {len(unseen)} photographs that it never saw: IoU {ceiling:.3f}")
    for name in RUNS:
        run = _trained(name, given)
        images, made = _made(run)
        truth, bytes_ = found_masks(reference, images), to_bytes(images)
        _print_quality(name, bytes_, given.per_type)
        shown = truth.any((1, 2))
        print(f"{name}: the reference finds a defect in {shown.mean():.0%} of the images")
        if made is not None:
            found = (made >= 0).numpy()
            agreement = mean_overlap(found[shown], truth[shown])
            print(f"masks: IoU {agreement:.3f}, {agreement / ceiling:.0%} of the reference's on photographs")
            for index, defect_type in enumerate(DEFECT_TYPES):
                own = shown & (np.arange(IMAGES) % TYPES == index)
                print(f"  {defect_type}: {mean_overlap(found[own], truth[own]):.3f}")
            if given.picture:
                given.picture.write_bytes(encode_png(_sheet(bytes_[:SHOWN], found[:SHOWN])))


def _trained(name: str, given: argparse.Namespace) -> FewshotTrainer:
    """The run at its end."""
    run = _run(name, given.per_type)
    steps, planned = given.shown // run.batch_size, (given.planned or given.shown) // run.batch_size
    path = given.state / f"{name}.safetensors" if given.state else None
    if path and path.exists():
        run.load_state_dict(load_file(path))
    begun, first = time.process_time(), run.completed_steps
    while run.completed_steps < steps:
        run.step(run.completed_steps / planned)
        if path and (run.completed_steps % SAVED_EVERY == 0 or run.completed_steps == steps):
            save_file({key: each.contiguous() for key, each in run.state_dict().items()}, path)
    if run.completed_steps > first:
        seconds = time.process_time() - begun
        print(f"{name}: {(steps - first) * run.batch_size / seconds:.0f} photographs a second of CPU time")
    return run


def _run(name: str, per_type: int) -> FewshotTrainer:
    images, _, types = drawn_photographs(per_type, SIDE, TRAINED_ON)
    dataset = noise_dataset(len(images), SIDE)
    request = TrainingRequest(dataset=dataset.id, model="benchmark", resolution=SIDE, steps=1)
    config: dict[str, Any] = trainer_config(request.preset, resolve(request, dataset))
    known = torch.ones(len(images), dtype=torch.bool)
    masks = PhotographMasks(_soft_masks(per_type), known) if name == "masks" else None
    run = build_trainer(request.preset, config, images, types, TYPES, torch.device("cpu"), masks=masks)
    assert isinstance(run, FewshotTrainer)
    load_start(run, PRIOR, request.preset, config)
    return run


def _soft_masks(per_type: int) -> Tensor:
    """Of the photographs trained on, scaled as a data set's are: (N, 1, side, side) uint8."""
    masks = []
    for number in range(per_type):
        for index, name in enumerate(DEFECT_TYPES):
            visible = np.abs(draw_defect(name, np.random.default_rng([1000 + TRAINED_ON, index, number]))) > VISIBLE
            masks.append(to_pixels(Image.fromarray(visible.astype(np.uint8) * 255), "L", SIDE))
    return torch.from_numpy(np.stack(masks)).permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def _made(run: FewshotTrainer) -> tuple[Tensor, Tensor | None]:
    """Images, (N, 1, side, side) from -1 to 1, and their masks, (N, side, side), if the run learned any."""
    network = run.ema.module.eval()
    latents = torch.randn(IMAGES, network.latent_size, generator=torch.Generator().manual_seed(5))
    make = network.with_masks if network.masks else network
    parts = zip(latents.split(16), (torch.arange(IMAGES) % TYPES).split(16), strict=True)
    made = torch.cat([make(*each) for each in parts])
    return made[:, :1].clamp(-1, 1), made[:, 1] if network.masks else None


def _print_quality(name: str, images: Tensor, per_type: int) -> None:
    trained_on, _, types = drawn_photographs(per_type, SIDE, TRAINED_ON)
    held_out, _, held_out_types = drawn_photographs(UNSEEN, SIDE, HELD_OUT)
    of_image = torch.arange(len(images)) % TYPES
    for index, defect_type in enumerate(DEFECT_TYPES):
        photographs, training = held_out[held_out_types == index], trained_on[types == index]
        for label, some in ((name, images[of_image == index]), ("photographs", training)):
            found = measure(some, photographs, training)
            distances = " / ".join(f"{fmean(each):.3f}" for each in found.mmd_poly.values())
            shares = " / ".join(f"{each:.2f}" for each in found.coverage.values())
            print(
                f"{defect_type}, {label}: mmd_poly {distances}, coverage {shares}, "
                f"spectrum {found.spectrum_decades:.2f}, gray values {found.histogram_levels:.1f}"
            )


def _sheet(images: Tensor, masks: np.ndarray) -> Image.Image:
    """Enlarged, with outlines."""
    pictures = []
    for pixels, mask in zip(images[:, 0].numpy(), masks, strict=True):
        picture = Image.fromarray(pixels).resize((3 * SIDE, 3 * SIDE), Image.Resampling.LANCZOS).convert("RGB")
        inside = Image.fromarray(mask.astype(np.uint8) * 255).resize(picture.size)
        picture.paste(EDGE, mask=ImageChops.difference(inside, inside.filter(ImageFilter.MinFilter(3))))
        pictures.append(picture)
    return grid(pictures, COLUMNS)


if __name__ == "__main__":
    main()
