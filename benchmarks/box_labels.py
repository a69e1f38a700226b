"""Boxes of generated images, learned from photographs with boxes, as drawn outlines to look at.

    python -m benchmarks.box_labels PHOTOGRAPHS.zip --boxes BOXES.json --type scratches --out FOLDER [--shown 24000]

PHOTOGRAPHS has a folder for each type; BOXES has [[left, top, right, bottom], …] in pixels by the name of a file
without its ending. They become an upload in COCO's layout, `fewshot` learns from the whole photographs at 64 px from
the prior, and a segmenter from the boxes, as for a labelled version. FOLDER gets the generator and sheets of 48 images
with their boxes at twice their size: red ones are plausible, yellow ones are not.
"""

import argparse
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from benchmarks.small_generators import PRESET, crops_of_archive, sampled, trained_generator
from flawsmith.core.domain.crops import Around
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.labels.masks import boxes_of, mask_of, plausible_ranges
from flawsmith.models.labels.photograph_labels import AnnotatedPhotographs, learned_segmenter
from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.steps import result_of

IMAGES, A_SHEET, COLUMNS = 200, 48, 12
PLAUSIBLE, DOUBTFUL = (255, 60, 60), (255, 220, 0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path)
    options.add_argument("--boxes", type=Path, required=True)
    options.add_argument("--type", required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--shown", type=int, default=24_000)
    given = options.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    archive = given.out / f"{given.type}-coco.zip"
    count = write_coco(archive, given.photographs, json.loads(given.boxes.read_text()), given.type)
    crops = crops_of_archive(archive, Around.MIDDLE, 0, given.shown, boxes=True)
    file = given.out / f"generator-{given.type}-{given.shown}.safetensors"
    generator = build_generator(PRESET, crops.config, len(crops.types))
    if not file.exists():
        save_file(trained_generator(crops, given.shown).state_dict(), file)
    generator.load_state_dict(load_file(file))
    photographs = AnnotatedPhotographs(crops.images, crops.masks, crops.photograph)
    segmenter, agreement = result_of(learned_segmenter(photographs, 0))
    print(f"{count} boxes of {len(crops.images)} photographs; agreement {agreement:.3f}")
    ranges = plausible_ranges(list(crops.masks.numpy()))
    images, _ = sampled(generator.eval(), crops.types, 0, IMAGES)
    tiles, plausible = [], 0
    for pixels, probabilities in zip(
        images[:, 0].numpy(), segmenter.probabilities(from_bytes(images)).numpy(), strict=True
    ):
        mask, fits = mask_of(probabilities, ranges)
        plausible += fits
        tiles.append(_drawn(pixels, boxes_of(mask), PLAUSIBLE if fits else DOUBTFUL))
    print(f"{plausible} of {IMAGES} images have plausible boxes")
    for first in range(0, IMAGES, A_SHEET):
        sheet = grid(tiles[first : first + A_SHEET], COLUMNS)
        (given.out / f"boxes-{first}.png").write_bytes(encode_png(sheet))


def write_coco(target: Path, photographs: Path, boxes: dict[str, list[list[int]]], defect_type: str) -> int:
    """Writes the photographs of a type that have boxes as an upload in COCO's layout; returns how many boxes.

    Args:
        boxes: left, top, right, bottom of each, by the name of a file without its ending.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    with zipfile.ZipFile(photographs) as opened, zipfile.ZipFile(target, "w") as written:
        for entry in sorted(opened.namelist()):
            name = Path(entry)
            if name.parent.name != defect_type or not boxes.get(name.stem):
                continue
            data = opened.read(entry)
            width, height = Image.open(io.BytesIO(data)).size
            written.writestr(f"images/{name.name}", data)
            images.append({"id": len(images), "file_name": name.name, "width": width, "height": height})
            for left, top, right, bottom in boxes[name.stem]:
                box = [left, top, right - left, bottom - top]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": len(images) - 1, "category_id": 1, "bbox": box}
                )
        categories = [{"id": 1, "name": defect_type}]
        known = {"images": images, "annotations": annotations, "categories": categories}
        written.writestr("annotations/instances_train.json", json.dumps(known))
    return len(annotations)


def _drawn(pixels: np.ndarray, boxes: list[tuple[int, int, int, int]], colour: tuple[int, int, int]) -> Image.Image:
    large = Image.fromarray(np.kron(pixels, np.ones((2, 2), np.uint8))).convert("RGB")
    canvas = ImageDraw.Draw(large)
    for left, top, right, bottom in boxes:
        canvas.rectangle((2 * left, 2 * top, 2 * right - 1, 2 * bottom - 1), outline=colour)
    return large


if __name__ == "__main__":
    main()
