"""Measures masks of images that a generator makes of small defects in large photographs, at the photographs' scale.

    python -m benchmarks.plate_labels --out FOLDER [--shown 93000] [--photographs 60] [--sheet SHEET.png]
        [--ways photographs masks training]

Draws plates (`benchmarks.plates`), trains `fewshot` from the prior on the squares that a training job cuts around their
defects, for as many photographs as two cores show in 10 minutes, and labels its images in three ways: `photographs`, by
what a labelled version learns from the annotations of the same photographs; `masks`, from 16 masks of its own
images, which a segmenter of other plates draws in a person's place; and `training`, by a second generator that learns
the photographs' masks as one more channel. All are compared with the masks of a third segmenter, the reference, which
learned from other plates again; and that one with exact masks of plates that nobody saw. The generators stay in FOLDER.
See docs/labels.md.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import Tensor

from benchmarks.plates import DEFECTS, SIDE, plate
from benchmarks.segmentation_sets import Photograph
from benchmarks.small_generators import Crops, crops_of, new_generator, trained_generator
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.inference.latents import latent
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import SURE, Mask, mask_of, plausible_ranges
from flawsmith.models.labels.photograph_labels import AnnotatedPhotographs, learned_segmenter, mean_overlap
from flawsmith.models.labels.segmenter import Segmenter, train_segmenter
from flawsmith.models.labels.training import LabelledImages, train_label_network
from flawsmith.models.pixels import from_bytes, to_bytes
from flawsmith.models.quality.steps import result_of

MASKS = 16  # of generated images, to learn from
COMPARED, FIRST_COMPARED = 96, 10_000  # generated images, and the seed of the first
WAYS = ("photographs", "masks", "training")
OWN, REFERENCE, UNSEEN, PAINTER = 10, 11, 12, 13  # seeds of plates
OTHERS = {REFERENCE: 150, UNSEEN: 60, PAINTER: 90}  # plates of each
SMALL = 256  # pixels, the side of the other plates: only squares around their defects are looked at
STEPS = 600  # of reference and painter
Made = tuple[Tensor, list[Tensor], Tensor]  # images, their feature maps, their types


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--shown", type=int, default=93_000)
    options.add_argument("--photographs", type=int, default=60)
    options.add_argument("--sheet", type=Path)
    options.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    given = options.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    own = _crops(OWN, given.photographs, given.shown, SIDE)
    known = _crops(REFERENCE, OTHERS[REFERENCE])
    reference = result_of(train_segmenter(known.images, known.masks, 1, STEPS))
    unseen = _crops(UNSEEN, OTHERS[UNSEEN])
    ceiling = mean_overlap(found_by(reference, from_bytes(unseen.images)), unseen.masks.numpy())
    print(
        f"reference on {len(unseen.images)} squares of {OTHERS[UNSEEN]} held-out plates: IoU {ceiling:.3f}", flush=True
    )
    ranges = plausible_ranges(list(own.masks.numpy()))
    for way in given.ways:
        images, probabilities = _labelled(way, own, given)
        labelled = [mask_of(each, ranges) for each in probabilities]
        masks, plausible = np.stack([mask for mask, _ in labelled]), sum(each for _, each in labelled)
        truth = found_by(reference, images)
        shown = truth.any((1, 2))
        agreement = mean_overlap(masks[shown], truth[shown])
        print(
            f"{way}: IoU {agreement:.3f}, {agreement / ceiling:.0%} of the reference's; {plausible} of {COMPARED} "
            f"plausible; {shown.mean():.0%} show a defect to the reference",
            flush=True,
        )
        if given.sheet:
            place = given.sheet.with_stem(f"{given.sheet.stem}-{way}")
            place.write_bytes(encode_png(outlined(to_bytes(images)[:48, 0].numpy(), masks[:48])))


def _labelled(way: str, own: Crops, given: argparse.Namespace) -> tuple[Tensor, NDArray[np.float32]]:
    """Images, (COMPARED, 1, side, side) from -1 to 1, and the probability of a defect in each pixel."""
    maps = _generator(own, given, masks=way == "training")
    fresh = _made(maps, own.types, FIRST_COMPARED, COMPARED)
    if way == "photographs":
        return fresh[0], _by_photographs(own, fresh)
    if way == "masks":
        return fresh[0], _by_masks(maps, own, fresh)
    latents, type_index = _addresses(maps, own.types, FIRST_COMPARED, COMPARED)
    pairs = zip(latents.split(16), type_index.split(16), strict=True)
    probabilities: NDArray[np.float32] = torch.cat([maps.masks(*each) for each in pairs]).sigmoid().numpy()
    return fresh[0], probabilities


def found_by(segmenter: Segmenter, images: Tensor) -> NDArray[np.bool_]:
    """The masks of (N, 1, side, side) from -1 to 1: (N, side, side)."""
    marked: NDArray[np.bool_] = segmenter.probabilities(images).numpy() >= SURE
    return marked


def outlined(images: NDArray[np.uint8], masks: NDArray[np.bool_], columns: int = 12) -> Image.Image:
    """Images at twice their size with red outlines around their masks."""
    tiles = []
    for pixels, mask in zip(images, masks, strict=True):
        large = np.repeat(np.kron(pixels, np.ones((2, 2), np.uint8))[:, :, None], 3, 2)
        inside: Mask = np.kron(mask, np.ones((2, 2), bool))
        large[ndimage.binary_dilation(inside) & ~inside] = (255, 60, 60)
        tiles.append(Image.fromarray(large))
    return grid(tiles, columns)


def _by_photographs(own: Crops, fresh: Made) -> NDArray[np.float32]:
    photographs = AnnotatedPhotographs(own.images, own.masks, own.photograph)
    segmenter, agreement = result_of(learned_segmenter(photographs, 0))
    print(f"agreement with held-out annotations, as on a version's card: {agreement:.3f}")
    probabilities: NDArray[np.float32] = segmenter.probabilities(fresh[0]).numpy()
    return probabilities


def _by_masks(maps: FeatureMaps, own: Crops, fresh: Made) -> NDArray[np.float32]:
    known = _crops(PAINTER, OTHERS[PAINTER])
    painter = result_of(train_segmenter(known.images, known.masks, 2, STEPS))
    taught = _made(maps, own.types, 0, 4 * MASKS)
    painted = found_by(painter, taught[0])
    # A person would paint images that show a defect.
    chosen = torch.from_numpy(np.flatnonzero(painted.any((1, 2)))[:MASKS])
    targets = torch.from_numpy(painted).float()[chosen]
    labelled = LabelledImages(taught[0][chosen], [each[chosen] for each in taught[1]], taught[2][chosen], targets)
    network = result_of(train_label_network(labelled, len(own.types), 0))
    with torch.no_grad():
        probabilities: NDArray[np.float32] = network(fresh[1], fresh[0], fresh[2]).sigmoid().numpy()
    return probabilities


def _crops(seed: int, count: int, shown: int = 16, side: int = SMALL) -> Crops:
    names = [list(DEFECTS)[each % len(DEFECTS)] for each in range(count)]
    drawn = [plate(name, each // len(DEFECTS), seed, side) for each, name in enumerate(names)]
    photographs = [Photograph(str(each), one.pixels, one.mask, "") for each, one in enumerate(drawn)]
    return crops_of(photographs, names, 0, shown)


def _generator(own: Crops, given: argparse.Namespace, *, masks: bool) -> FeatureMaps:
    """Trained, or from the file where it is there already."""
    file = given.out / f"generator-{given.photographs}-{given.shown}{'-masks' * masks}.safetensors"
    generator = new_generator(own, masks=masks)
    if not file.exists():
        begun = time.process_time()
        save_file(trained_generator(own, given.shown, masks=masks).state_dict(), file)
        print(
            f"{len(own.images)} squares, {given.shown} shown: {time.process_time() - begun:.0f} s of a core", flush=True
        )
    generator.load_state_dict(load_file(file))
    return FeatureMaps(generator, torch.device("cpu"))


def _made(maps: FeatureMaps, types: list[str], first: int, count: int) -> Made:
    latents, type_index = _addresses(maps, types, first, count)
    parts = [maps(*each) for each in zip(latents.split(16), type_index.split(16), strict=True)]
    found = [torch.cat(each) for each in zip(*(kept for _, kept in parts), strict=True)]
    return torch.cat([images for images, _ in parts]), found, type_index


def _addresses(maps: FeatureMaps, types: list[str], first: int, count: int) -> tuple[Tensor, Tensor]:
    type_index = torch.arange(count) % len(types)
    size = maps.network.latent_size
    latents = torch.stack([latent(first + each, types[each % len(types)], size) for each in range(count)])
    return latents, type_index


if __name__ == "__main__":
    main()
