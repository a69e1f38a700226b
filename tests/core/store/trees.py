"""Small trees of files in the layouts that public data sets have."""

import io
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from tests.conftest import photograph

SIDE = 40


def encoded(pixels: np.ndarray, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def mask(*defects: tuple[int, int, int, int], format: str = "PNG", value: int = 255, side: int = SIDE) -> bytes:
    """A mask that marks these rectangles (x, y, width, height)."""
    pixels = np.zeros((side, side), np.uint8)
    for x, y, width, height in defects:
        pixels[y : y + height, x : x + width] = value
    return encoded(pixels, format)


DEFECT = (4, 6, 8, 2)  # of area 16: its size is 4 pixels


def mvtec() -> dict[str, bytes]:
    files = {f"bottle/train/good/{i:03d}.png": photograph(i) for i in range(4)}
    files |= {f"bottle/test/good/{i:03d}.png": photograph(10 + i) for i in range(2)}
    for number, name in enumerate(("crack", "contamination")):
        files |= {f"bottle/test/{name}/{i:03d}.png": photograph(20 + 10 * number + i) for i in range(3)}
        files |= {f"bottle/ground_truth/{name}/{i:03d}_mask.png": mask(DEFECT) for i in range(3)}
    return files | {"bottle/license.txt": b"CC", "bottle/readme.txt": b"MVTec"}


def kolektor() -> dict[str, bytes]:
    files = {}
    for part in range(2):
        for i in range(4):
            files[f"kos{part:02d}/Part{i}.jpg"] = photograph(10 * part + i, format="JPEG")
            files[f"kos{part:02d}/Part{i}_label.bmp"] = mask(*([DEFECT] if i % 2 else []), format="BMP")
    return files


def kolektor2() -> dict[str, bytes]:
    files = {}
    for split, start in (("train", 0), ("test", 10)):
        for i in range(4):
            files[f"{split}/{10000 + start + i}.png"] = photograph(start + i)
            files[f"{split}/{10000 + start + i}_GT.png"] = mask(*([DEFECT] if i % 2 else []))
    return files


def dagm() -> dict[str, bytes]:
    files = {}
    for number in (1, 2):
        for split, start in (("Train", 0), ("Test", 50)):
            files |= {f"Class{number}/{split}/{i:04d}.PNG": photograph(100 * number + start + i) for i in range(6)}
            files |= {f"Class{number}/{split}/Label/{i:04d}_label.PNG": mask(DEFECT) for i in range(3)}
            files[f"Class{number}/{split}/Label/Labels.txt"] = b"1\n1 1 0001.PNG 0001_label.PNG 0 0\n"
    return files


def visa() -> dict[str, bytes]:
    files = {f"candle/Data/Images/Normal/{i:04d}.JPG": photograph(i, format="JPEG") for i in range(3)}
    files |= {f"candle/Data/Images/Anomaly/{i:03d}.JPG": photograph(10 + i, format="JPEG") for i in range(3)}
    files |= {f"candle/Data/Masks/Anomaly/{i:03d}.png": mask(DEFECT, value=1) for i in range(3)}
    return files | {"candle/image_anno.csv": b"image,label,mask\n"}


def magnetic_tile() -> dict[str, bytes]:
    files = {}
    for i in range(3):
        files[f"MT_Blowhole/Imgs/exp1_num_{i}.jpg"] = photograph(i, format="JPEG")
        files[f"MT_Blowhole/Imgs/exp1_num_{i}.png"] = mask(DEFECT)
        files[f"MT_Free/Imgs/exp1_num_{i}.jpg"] = photograph(10 + i, format="JPEG")
        files[f"MT_Free/Imgs/exp1_num_{i}.png"] = mask()
    return files


def images_and_masks() -> dict[str, bytes]:
    files = {f"images/{i}.jpg": photograph(i, format="JPEG") for i in range(3)}
    return files | {f"masks/{i}.png": mask(DEFECT) for i in range(3)}


def image_folder() -> dict[str, bytes]:
    files = {}
    for number, split in enumerate(("train", "val", "test")):
        for kind in ("dents", "pits"):
            files |= {f"set/{split}/{kind}/{i}.png": photograph(100 * number + 10 * len(kind) + i) for i in range(3)}
    return files


def coco() -> dict[str, bytes]:
    names = [f"{i:03d}.jpg" for i in range(4)]
    content = {
        "images": [{"id": i, "file_name": name, "width": SIDE, "height": SIDE} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "pit"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": list(DEFECT)} for i in range(3)],
    }
    files = {f"train2017/{name}": photograph(i, format="JPEG") for i, name in enumerate(names)}
    files |= {f"val2017/{name}": photograph(10 + i, format="JPEG") for i, name in enumerate(names)}
    return files | {
        f"annotations/instances_{split}2017.json": json.dumps(content).encode() for split in ("train", "val")
    }


def labelme() -> dict[str, bytes]:
    """Three photographs with a scratch of area 16, one of them with a larger pit."""
    x, y, width, height = DEFECT
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    scratch = {"label": "scratch", "points": corners, "shape_type": "polygon"}
    pit = {"label": "pit", "points": [[20, 20], [24, 23]], "shape_type": "circle"}
    shapes: list[list[dict[str, object]]] = [[scratch], [scratch], [scratch, pit]]
    files = {f"parts/{i}.jpg": photograph(i, format="JPEG") for i in range(3)}
    for i, each in enumerate(shapes):
        content = {"version": "5.4", "flags": {}, "shapes": each, "imagePath": f"{i}.jpg", "imageData": None}
        files[f"parts/{i}.json"] = json.dumps(content).encode()
    return files


def yolo() -> dict[str, bytes]:
    x, y, width, height = (value / SIDE for value in DEFECT)
    line = f"1 {x + width / 2} {y + height / 2} {width} {height}\n".encode()
    files = {"data.yaml": b"train: images/train\nnc: 2\nnames: [pit, scratch]\n"}
    for number, split in enumerate(("train", "val")):
        for i in range(4):
            files[f"{split}/images/{i}.png"] = photograph(10 * number + i)
            files[f"{split}/labels/{i}.txt"] = line if i else b""
    return files


def voc() -> dict[str, bytes]:
    x, y, width, height = DEFECT
    box = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>"
    files = {"VOC2007/ImageSets/Main/train.txt": b"0\n1\n2\n", "VOC2007/ImageSets/Main/val.txt": b"3\n4\n"}
    for i in range(5):
        label = f"<annotation><filename>{i}.jpg</filename><object><name>pit</name><bndbox>{box}</bndbox></object>"
        files[f"VOC2007/JPEGImages/{i}.jpg"] = photograph(i, format="JPEG")
        files[f"VOC2007/Annotations/{i}.xml"] = f"{label}</annotation>".encode()
    return files


def deep_crack() -> dict[str, bytes]:
    files = {}
    for number, split in enumerate(("train", "test")):
        for i in range(3):
            files[f"DeepCrack/{split}_img/{i}.jpg"] = photograph(10 * number + i, format="JPEG")
            files[f"DeepCrack/{split}_lab/{i}.png"] = mask(DEFECT)
    return files


def inputs_and_targets() -> dict[str, bytes]:
    files = {f"trainset/input/{i}.jpg": photograph(i, format="JPEG") for i in range(3)}
    files |= {f"testset/input/{i}.jpg": photograph(10 + i, format="JPEG") for i in range(3)}
    return files | {f"{split}/target/{i}.png": mask(DEFECT) for split in ("trainset", "testset") for i in range(3)}


def casting() -> dict[str, bytes]:
    files = {}
    for number, split in enumerate(("train", "test")):
        for kind in ("def_front", "ok_front"):
            for i in range(3):
                picture = photograph(100 * number + 10 * len(kind) + i, format="JPEG")
                files[f"casting_data/{split}/{kind}/{i}.jpeg"] = picture
    return files


def aitex() -> dict[str, bytes]:
    files = {f"Defect_images/{i:04d}_002_00.png": photograph(i) for i in range(3)}
    files |= {f"Mask_images/{i:04d}_002_00_mask.png": mask(DEFECT) for i in range(3)}
    return files | {f"NODefect_images/2306881-210020u/{i:04d}_000_00.png": photograph(10 + i) for i in range(3)}


SQUARE = (20, 20, 6, 6)


def square_corners(scale: float = 1) -> list[float]:
    """The polygon around `SQUARE`, x, y, x, y …."""
    x, y, width, height = SQUARE
    return [v / scale for v in (x, y, x + width, y, x + width, y + height, x, y + height)]


def coco_segmented() -> dict[str, bytes]:
    """Photographs in one folder, their splits in the names of the files: a polygon and both kinds of runs."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    x, y, width, height = SQUARE
    pixels[y : y + height, x : x + width] = 1
    compressed = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode()
    column = [SIDE - height] * width
    counts = [x * SIDE + y, *[value for each in column for value in (height, each)]]
    counts[-1] = SIDE * SIDE - sum(counts[:-1])
    outlines = [
        [square_corners()],
        {"size": [SIDE, SIDE], "counts": compressed},
        {"size": [SIDE, SIDE], "counts": counts},
    ]
    files = {}
    for number, split in enumerate(("train", "val")):
        names = [f"{split}_{i}.png" for i in range(3)]
        content = {
            "images": [{"id": i, "file_name": name, "width": SIDE, "height": SIDE} for i, name in enumerate(names)],
            "categories": [{"id": 1, "name": "scratch"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "bbox": list(SQUARE), "segmentation": outlines[i]}
                for i in range(3)
            ],
        }
        files |= {f"images/{name}": photograph(10 * number + i) for i, name in enumerate(names)}
        files[f"annotations/instances_{split}.json"] = json.dumps(content).encode()
    return files


def yolo_segmented() -> dict[str, bytes]:
    """Polygons; only ``data.yaml`` says which folder is of which split."""
    line = f"0 {' '.join(map(str, square_corners(SIDE)))}\n".encode()
    files = {"data.yaml": b"path: ../set\ntrain: images/line_1\nval: images/line_2\nnames:\n  0: scratch\n"}
    for number in (1, 2):
        for i in range(3):
            files[f"images/line_{number}/{number}{i}.png"] = photograph(10 * number + i)
            files[f"labels/line_{number}/{number}{i}.txt"] = line
    return files


PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * (252 * 3), 224, 224, 192]


def voc_mask(*defects: tuple[int, int, int, int], value: int | None = None) -> bytes:
    """A mask with the palette of VOC, a border of void around each defect; ``value`` None: instances."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    for number, (x, y, width, height) in enumerate(defects, 1):
        pixels[y - 1 : y + height + 1, x - 1 : x + width + 1] = 255
        pixels[y : y + height, x : x + width] = value or number
    image = Image.fromarray(pixels)
    image.putpalette(PALETTE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def voc_segmented() -> dict[str, bytes]:
    """Masks of types and of instances, with the names of the colours; a photograph of each split."""
    files = {
        "labelmap.txt": b"# label:color_rgb:parts:actions\nbackground:0,0,0::\nscratch:128,0,0::\npit:0,128,0::\n",
        "ImageSets/Segmentation/train.txt": b"0\n1\n2\n",
        "ImageSets/Segmentation/val.txt": b"3\n",
    }
    for i in range(4):
        files[f"JPEGImages/{i}.jpg"] = photograph(i, format="JPEG")
        files[f"SegmentationClass/{i}.png"] = voc_mask(DEFECT, SQUARE, value=1 + (i == 2))
        files[f"SegmentationObject/{i}.png"] = voc_mask(DEFECT, SQUARE)
    return files
