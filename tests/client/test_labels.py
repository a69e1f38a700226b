"""Masks on their way to the service, in every form that a person has them in."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering

from flawsmith.client import Image

CARD = {
    "model": "steel",
    "version": 2,
    "classes": ["a b", "pits"],
    "resolution": 4,
    "mode": "L",
    "preset": "dcgan",
    "training_job": "job-1",
    "dataset_digest": "d",
    "created_at": "2026-01-01T00:00:00.000Z",
}
JOB = {"id": "labelling-1", "state": "queued", "progress": {}, "created_at": "2026-01-01T00:00:00.000Z"}
MASK = np.array([[0, 1, 0], [1, 1, 0]], bool)


def png(mask: Any) -> bytes:
    buffer = io.BytesIO()
    PilImage.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def answer(number: int, call: Call) -> Reply:
    return Reply(202 if call.method == "POST" else 200, json.dumps(JOB if call.method == "POST" else CARD).encode())


def sent(call: Call) -> list[tuple[str | None, int, list[list[int]]]]:
    """Type, seed and pixels of each mask."""
    masks = json.loads(call.body)["masks"]
    pictures = [np.asarray(PilImage.open(io.BytesIO(base64.b64decode(each["mask"])))) for each in masks]
    return [
        (each.get("defect_type"), each["seed"], (picture > 127).astype(int).tolist())
        for each, picture in zip(masks, pictures, strict=True)
    ]


@both
def test_masks_in_every_form(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(png(MASK))
    image = Image(b"", "steel@2", "pits", 5, "")
    masks = [
        (image, MASK),
        (("pits", 6), MASK.astype(np.uint8) * 255),
        (7, png(MASK)),
        (("a b", 8), tmp_path / "mask.png"),
        (("a b", 9), PilImage.fromarray(MASK.astype(np.uint8) * 255)),
    ]
    with answering(answer) as service:
        job = run(service.url, "label", "steel@2", masks, labels="mask")
    [call] = service.calls
    assert (job.id, call.path) == ("labelling-1", "/models/steel/versions/2/labels")
    shown = MASK.astype(int).tolist()
    assert sent(call) == [
        ("pits", 5, shown),
        ("pits", 6, shown),
        (None, 7, shown),
        ("a b", 8, shown),
        ("a b", 9, shown),
    ]


@both
def test_a_folder_of_masks_as_images_are_saved(run: Run, tmp_path: Path) -> None:
    for name in ("a_b/3_mask.png", "a_b/3.png", "pits/12_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(MASK))
    with answering(answer) as service:
        run(service.url, "label", "steel@2", tmp_path)
    shown = MASK.astype(int).tolist()
    assert sent(service.calls[-1]) == [("a b", 3, shown), ("pits", 12, shown)]


@both
def test_a_folder_without_masks_is_an_error(run: Run, tmp_path: Path) -> None:
    with answering(answer) as service:
        with pytest.raises(ValueError, match="no mask in"):
            run(service.url, "label", "steel@2", tmp_path)
        (tmp_path / "rust").mkdir()
        (tmp_path / "rust" / "1_mask.png").write_bytes(png(MASK))
        with pytest.raises(ValueError, match="no type 'rust'; its folders: a_b, pits"):
            run(service.url, "label", "steel@2", tmp_path)
    assert [call.method for call in service.calls] == ["GET", "GET"]


@both
def test_an_array_that_is_no_mask_is_an_error(run: Run) -> None:
    with answering(answer) as service, pytest.raises(ValueError, match="bool or uint8"):
        run(service.url, "label", "steel@2", [(1, MASK.astype(float))])
    assert service.calls == []


@both
def test_annotations_need_no_masks(run: Run) -> None:
    with answering(answer) as service:
        run(service.url, "label", "steel@2")
    assert json.loads(service.calls[0].body) == {}
