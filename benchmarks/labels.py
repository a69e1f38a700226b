"""Prints how well a demonstration version's masks agree with a segmenter that saw a thousand other exact masks.

    python -m benchmarks.labels GENERATOR.safetensors [--masks 16] [--ways painted segmenter inversion]

GENERATOR is of a version trained on the demonstration set (`make demo`). Ways to the label network: ``painted`` from
masks of so many generated images, ``segmenter`` from so many photographs with exact masks by a segmenter of theirs,
``inversion`` from the same photographs by the latents that make them. See docs/labels.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from flawsmith.core.demo_set import DEFECT_TYPES, draw_defect, render_picture
from flawsmith.core.store.images.pixels import to_pixels
from flawsmith.models.inference.latents import latent
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import SURE
from flawsmith.models.labels.photograph_labels import AnnotatedPhotographs, learned_segmenter, mean_overlap
from flawsmith.models.labels.segmenter import Segmenter, train_segmenter
from flawsmith.models.labels.training import LabelledImages, train_label_network
from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.steps import result_of
from flawsmith.worker.generator_file import METADATA_KEY

VISIBLE = 15  # gray levels that a defect changes a pixel by, to count as a part of it
REFERENCE = 330  # photographs of each type that the reference learns from
TAUGHT = 96  # generated images that a segmenter labels
FRESH = 96  # generated images that are compared
INVERSION_STEPS = 150
Made = tuple[Tensor, list[Tensor], Tensor]  # images, their feature maps, their types


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("generator", type=Path)
    options.add_argument("--masks", type=int, default=16)
    options.add_argument("--ways", nargs="+", default=["painted", "segmenter", "inversion"])
    given = options.parse_args()
    torch.set_num_threads(1)
    maps, size, side = _generator(given.generator)
    known, masks, _ = drawn_photographs(REFERENCE, side, 0)
    reference = result_of(train_segmenter(known, masks, 1))
    unseen, unseen_masks, _ = drawn_photographs(20, side, 1)
    ceiling = mean_overlap(found_masks(reference, from_bytes(unseen)), unseen_masks.numpy())
    print(f"reference on {len(unseen)} held-out photographs: IoU {ceiling:.3f}")
    fresh = _made(maps, size, 10_000, FRESH)
    truth = found_masks(reference, fresh[0])
    print(f"generated images that show a defect to the reference: {truth.any((1, 2)).mean():.0%}")
    shown = truth.any((1, 2))
    few, few_masks, few_types = drawn_photographs(given.masks // len(DEFECT_TYPES) + 1, side, 2)
    few, few_masks, few_types = few[: given.masks], few_masks[: given.masks], few_types[: given.masks]
    for way in given.ways:
        begun = time.monotonic()
        if way == "painted":
            taught = _made(maps, size, 0, given.masks)
            targets = torch.from_numpy(found_masks(reference, taught[0])).float()
        elif way == "segmenter":
            segmenter, _ = result_of(learned_segmenter(AnnotatedPhotographs(few, few_masks, torch.arange(len(few))), 0))
            taught = _made(maps, size, 0, TAUGHT)
            targets = segmenter.probabilities(taught[0])
            alone = mean_overlap(found_masks(segmenter, fresh[0])[shown], truth[shown])
            print(f"segmenter itself: IoU {alone:.3f}, {alone / ceiling:.0%} of the reference's")
        else:
            taught, targets = _inverted(maps, size, few, few_types), few_masks.float()
        network = result_of(train_label_network(LabelledImages(*taught, targets), len(DEFECT_TYPES), 0))
        with torch.no_grad():
            found = network(fresh[1], fresh[0], fresh[2]).sigmoid().numpy() >= SURE
        agreement, seconds = mean_overlap(found[shown], truth[shown]), time.monotonic() - begun
        print(f"{way}, {given.masks} masks: IoU {agreement:.3f}, {agreement / ceiling:.0%}, {seconds:.0f} s")


def _generator(path: Path) -> tuple[FeatureMaps, int, int]:
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()[METADATA_KEY])
    generator = build_generator(card["preset"], card["config"], len(card["classes"]))
    generator.load_state_dict(load_file(path))
    return FeatureMaps(generator, torch.device("cpu")), generator.latent_size, card["resolution"]


def drawn_photographs(per_type: int, side: int, set_number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, (N, 1, side, side) uint8, with exact masks, (N, side, side) bool, and types, which take turns."""
    pictures, masks, types = [], [], []
    for number in range(per_type):
        for index, name in enumerate(DEFECT_TYPES):
            seed = [1000 + set_number, index, number]
            pictures.append(to_pixels(render_picture(name, np.random.default_rng(seed)), "L", side))
            visible = np.abs(draw_defect(name, np.random.default_rng(seed))) > VISIBLE
            rows = np.arange(side) * len(visible) // side
            masks.append(visible[np.ix_(rows, rows)])
            types.append(index)
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(np.stack(masks)), torch.tensor(types)


def _made(maps: FeatureMaps, size: int, first: int, count: int) -> Made:
    types = torch.arange(count) % len(DEFECT_TYPES)
    latents = torch.stack([latent(first + each, DEFECT_TYPES[types[each]], size) for each in range(count)])
    parts = [maps(*each) for each in zip(latents.split(16), types.split(16), strict=True)]
    images = torch.cat([images for images, _ in parts])
    return images, [torch.cat(each) for each in zip(*(found for _, found in parts), strict=True)], types


def found_masks(segmenter: Segmenter, images: Tensor) -> np.ndarray:
    return segmenter.probabilities(images).numpy() >= SURE


def _inverted(maps: FeatureMaps, size: int, photographs: Tensor, types: Tensor) -> Made:
    """Latents by gradient descent on gray values at three scales, from the mean latent (0)."""
    wanted, network = from_bytes(photographs), maps.network
    latents = torch.zeros(len(photographs), size, requires_grad=True)
    optimiser = torch.optim.Adam([latents], lr=0.05)
    for _ in range(INVERSION_STEPS):
        directions = (network.drawn_directions(latents, types),) if network.direction else ()
        made = network(latents, types, *directions)
        scales = [torch.nn.functional.avg_pool2d(made - wanted, each).square().mean() for each in (1, 4, 8)]
        loss = sum(scales) + 0.001 * latents.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"inversion: root mean square error {127.5 * scales[0].sqrt().item():.1f} gray levels")
    images, found = maps(latents.detach(), types)
    return images, found, types


if __name__ == "__main__":
    main()
