"""Uploads in every layout that datasets are recognised in, with documents that say something else than they should."""

import io
import tarfile
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from tests.conftest import photograph, zipped
from tests.fuzz.damage import changed_json, changed_png, damaged

Files = dict[str, bytes]
SIDE = 40
PHOTOGRAPHS = [photograph(7000 + number) for number in range(3)]
WORDS = ("0", "1", "7", "-1", "0.5", "0.25", "1e308", "-1e308", "nan", "inf", "1e-320", "٣", "½", "9" * 5000, "0x1", "")


def _mask(mode: str = "L") -> bytes:
    picture, buffer = Image.new("L", (SIDE, SIDE)), io.BytesIO()
    picture.paste(255, (10, 12, 24, 20))
    picture.convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


COCO: dict[str, Any] = {
    "images": [{"id": n, "file_name": f"{n}.png", "width": SIDE, "height": SIDE} for n in range(3)],
    "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 8, 9], "segmentation": [[1, 2, 9, 2, 9, 11, 1, 11]]},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": {"size": [SIDE, SIDE], "counts": [400, 80, 1120]}},
        {"id": 3, "image_id": 1, "category_id": 2, "segmentation": {"size": [SIDE, SIDE], "counts": "`<`2`S1"}},
        {"id": 4, "image_id": 2, "category_id": 1, "bbox": [3.5, 4.5, 10, 2]},
    ],
}
LABELME: dict[str, Any] = {
    "imagePath": "0.png",
    "imageWidth": SIDE,
    "imageHeight": SIDE,
    "shapes": [
        {"label": "scratch", "shape_type": "polygon", "points": [[1, 1], [9, 1], [9, 9]]},
        {"label": "dent", "shape_type": "circle", "points": [[20, 20], [25, 20]]},
        {"label": "dent", "shape_type": "rectangle", "points": [[2, 2], [9, 8]]},
        {"label": "pit", "shape_type": "mask", "points": [[0, 0], [39, 39]], "mask": "iVBORw0KGgo="},
    ],
}
MANIFEST: dict[str, Any] = {
    "synthetic": True,
    "images": [
        {"file": "0.png", "defect_type": "scratch", "split": "train", "defects": [{"box": [1, 2, 9, 9]}]},
        {"file": "1.png", "defect_type": "dent", "split": "val", "boxes": [[1, 2, 9, 9]]},
    ],
}


@st.composite
def voc(draw: st.DrawFn) -> bytes:
    """A VOC file with other values, in any encoding that the parser knows, which may declare entities."""
    left, top, right, bottom = (draw(st.sampled_from(("4", "12", "30", *WORDS))) for _ in range(4))
    name = draw(st.sampled_from(("scratch", "&a;", "&#0;", "é", "a" * 500, "")))
    encoding = draw(st.sampled_from(("utf-8", "utf-16", "latin-1", "cp037")))
    entities = "<!DOCTYPE a [<!ENTITY a 'b'>]>" if draw(st.booleans()) else ""
    size = draw(st.sampled_from((str(SIDE), *WORDS)))
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>{entities}<annotation><filename>0.png</filename>'
        f"<size><width>{size}</width><height>{SIDE}</height></size><object><name>{name}</name><bndbox><xmin>{left}"
        f"</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object></annotation>"
    )
    return draw(damaged(text.encode(encoding, "xmlcharrefreplace"), 2))


@st.composite
def lines(draw: st.DrawFn, *fixed: str) -> bytes:
    """Lines of a few words: labels of YOLO, lists of classes, colours, splits or photographs."""
    word = st.sampled_from((*fixed, *WORDS))
    rows = draw(st.lists(st.lists(word, max_size=9), max_size=6))
    separator = draw(st.sampled_from((" ", " ", ":", ",", "\t")))
    return draw(damaged("\n".join(separator.join(row) for row in rows).encode(), 1))


@st.composite
def data_yaml(draw: st.DrawFn) -> bytes:
    names = draw(st.sampled_from(("[a, b]", "{0: a, 1: b}", "{x: a}", "[[a]]", "5", "&x [*x]", "[1, 2]", "null")))
    splits = [f"{word}: {draw(st.sampled_from(SPLITS))}" for word in ("train", "val", "test")]
    return draw(damaged("\n".join([f"names: {names}", *splits]).encode(), 2))


SPLITS = ("images/train", "../x/images", "[images/train, train.txt]", "train.txt", "{a: b}", "null", "5", "/", ".")
PICTURES: Files = {f"{number}.png": each for number, each in enumerate(PHOTOGRAPHS)}


def _below(folder: str, **more: Any) -> dict[str, Any]:
    return {f"{folder}/{name}": st.just(each) for name, each in PICTURES.items()} | more


LAYOUTS: dict[str, dict[str, Any]] = {
    "coco": _below("images") | {"annotations/instances_train.json": changed_json(COCO)},
    "labelme": _below("images") | {"images/0.json": changed_json(LABELME)},
    "voc": _below("JPEGImages")
    | {
        "Annotations/0.xml": voc(),
        "ImageSets/Main/train.txt": lines("0", "1"),
        "SegmentationClass/1.png": changed_png(_mask("P")),
        "SegmentationObject/1.png": changed_png(_mask("RGB")),
        "labelmap.txt": lines("scratch", "128", "0", ""),
    },
    "yolo": _below("images/train")
    | {
        "labels/train/0.txt": lines("0 .5 .5 .2 .2"),
        "data.yaml": data_yaml(),
        "train.txt": lines("images/train/0.png"),
    },
    "yolo without yaml": _below("images") | {"labels/0.txt": lines("0 .1 .1 .5 .1 .5 .5"), "classes.txt": lines("a")},
    "manifest": {**{name: st.just(each) for name, each in PICTURES.items()}, "manifest.json": changed_json(MANIFEST)},
    "pairs": _below("images") | {"masks/0.png": changed_png(_mask()), "masks/1.png": changed_png(_mask("1"))},
    "mvtec": _below("train/good")
    | {
        "test/scratch/9.png": st.just(PHOTOGRAPHS[0]),
        "ground_truth/scratch/9_mask.png": changed_png(_mask("RGBA")),
    },
    "folders": _below("scratch") | {"dent/1.png": changed_png(PHOTOGRAPHS[1])},
}


@st.composite
def uploads(draw: st.DrawFn) -> tuple[dict[str, str], Files]:
    """Form fields, and the files of an archive."""
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    files = {name: draw(each) for name, each in LAYOUTS[layout].items()}
    if draw(st.integers(0, 9)) == 0:
        files[draw(st.sampled_from(ODD_NAMES))] = draw(st.sampled_from(PHOTOGRAPHS))
    fields = {name: draw(st.sampled_from(values)) for name, values in FIELDS.items() if draw(st.integers(0, 5)) == 0}
    return fields, files


ODD_NAMES = (
    "../x.png",
    "a" * 1000 + ".png",
    "a/" * 300 + "x.png",
    "é\u202e.png",
    "x.png/",
    "\\x\\y.png",
    "CON",
    "a\0.png",
)
FIELDS = {
    "split": ("train", "val", "all", "none", "\0", "x" * 900),
    "layout": ("coco", "yolo", "voc", "labelme", "pairs", "mvtec", "flat", "none"),
    "class_from": ("folder", "parent", "label", "mask", "dataset", "x"),
    "clean": ("good", "none", ",", "images,masks", "x" * 900),
}


def _tarred(mode: str) -> Callable[[Files], bytes]:
    def pack(files: Files) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    return pack


PACKERS: tuple[Callable[[Files], bytes], ...] = (zipped, _tarred("w"), _tarred("w:gz"))


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A damaged archive. The checksums of a tar's headers are made right again, so that more of it is read."""
    number = draw(st.integers(0, len(PACKERS) - 1))
    whole = draw(damaged(PACKERS[number](PICTURES | {"scratch/x.txt": b"x" * 700})))
    if number == 1 and draw(st.booleans()):
        whole = _with_right_checksums(whole)
    return whole


def _with_right_checksums(tar: bytes) -> bytes:
    blocks = [bytearray(tar[at : at + 512]) for at in range(0, len(tar), 512)]
    for block in blocks:
        if block[257:262] == b"ustar" and len(block) == 512:
            block[148:156] = b" " * 8
            block[148:156] = f"{sum(block):06o}\0 ".encode()
    return b"".join(blocks)
