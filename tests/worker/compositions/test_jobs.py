"""Composition jobs and exports of them: the archive, wherever the job was interrupted, and other layouts of it."""

import io
import json
import random
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from tests.worker.compositions.material import CONFIG, Workshop
from tests.worker.compositions.running import archive, digest, exported, run, segment

from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker import composition, export
from flawsmith.worker.composition import CompositionExecutor
from flawsmith.worker.compositions.finished import NoArchive
from flawsmith.worker.exports import archive as written_archive
from flawsmith.worker.exports import archive_work

SPLIT = {"train": 0.5, "val": 0.5}


@pytest.fixture(autouse=True)
def services(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (composition, export):
        monkeypatch.setattr(module, "services", lambda: workshop.services)


@pytest.fixture(scope="module")
def finished(workshop: Workshop) -> CompositionJob:
    """A job of eight images that has succeeded."""
    job = workshop.job(count=8, split=SPLIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "services", lambda: workshop.services)
        run(workshop, job)
    return job


def test_the_archive_is_read_by_pycocotools(workshop: Workshop, finished: CompositionJob, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive(workshop, finished)) as opened:
        opened.extractall(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (manifest["synthetic"], manifest["of"], manifest["count"]) == (True, "steel-on-parts", 8)
    assert manifest["digital_source_type"].endswith("/compositeCapture")
    assert (manifest["defects"], manifest["background"]) == (workshop.defects, workshop.background)
    count = 0
    for split in SPLIT:
        coco = COCO(str(tmp_path / f"annotations/instances_{split}.json"))
        assert {each["name"] for each in coco.cats.values()} == {"bars", "pits"}
        for image in coco.imgs.values():
            count += 1
            picture = np.asarray(Image.open(tmp_path / f"images/{split}/{image['file_name']}"))
            numbers = np.asarray(Image.open(tmp_path / f"masks/{split}/{image['file_name']}"))
            assert picture.shape == numbers.shape == (image["height"], image["width"])
            annotations = coco.imgToAnns[image["id"]]
            assert len(annotations) == len(image["composition"]["parts"]) == numbers.max()
            for number, (each, part) in enumerate(zip(annotations, image["composition"]["parts"], strict=True), 1):
                assert each["synthetic"] is True
                assert coco.cats[each["category_id"]]["name"] == part["defect_type"]
                assert np.array_equal(coco.annToMask(each), numbers == number)
    assert count == 8


def test_a_background_is_in_one_split_only(workshop: Workshop, finished: CompositionJob) -> None:
    with zipfile.ZipFile(archive(workshop, finished)) as opened:
        images = json.loads(opened.read("manifest.json"))["images"]
    splits: dict[str, set[str]] = {}
    for each in images:
        splits.setdefault(each["composition"]["background"]["file"], set()).add(each["split"])
    assert len(splits) == 3
    assert all(len(each) == 1 for each in splits.values())


def test_an_interrupted_job_has_the_bytes_of_an_undisturbed_one(workshop: Workshop, finished: CompositionJob) -> None:
    for seed in range(2):
        job, choices = workshop.job(count=8, split=SPLIT), random.Random(seed)
        for _ in range(3):  # each time the worker saves now and then, and dies
            work, held = CompositionExecutor().open(job), segment(workshop, job)
            while work.step < min(8, work.saved_step + 3):
                before = work.step
                work.advance(held)
                if work.step > before and choices.random() < 0.5:
                    work.save(held)
        assert list(JobFolder(workshop.store, job.id).checkpoints.iterdir()), "nothing was saved, so nothing is tested"
        result = run(workshop, job).fields["result"]
        assert digest(archive(workshop, job)) == digest(archive(workshop, finished)) == result.sha256
        assert (result.images, sum(result.splits.values())) == (8, 8)
        assert set(result.defects) == {"bars", "pits"}


def test_memory_holds_no_more_of_many_images_than_of_few(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_work, "PART_BYTES", 2**16)
    monkeypatch.setattr(written_archive, "HASHED_IN_A_STEP", 2**16)

    def peak(count: int) -> int:
        job = workshop.job(count=count)
        tracemalloc.start()
        run(workshop, job)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(20), peak(80)
    assert many - few < 60 * 4000  # bytes; an image has over 12,000


def test_an_export_in_the_same_layout_has_the_same_images_masks_and_labels(
    workshop: Workshop, finished: CompositionJob
) -> None:
    again = exported(workshop, finished, "coco", split=SPLIT)
    with zipfile.ZipFile(archive(workshop, finished)) as ours, zipfile.ZipFile(archive(workshop, again)) as theirs:
        assert ours.namelist() == theirs.namelist()
        for name in ours.namelist():
            if name != "manifest.json":
                assert ours.read(name) == theirs.read(name), name
        images = [json.loads(each.read("manifest.json"))["images"] for each in (ours, theirs)]
    assert images[0] == images[1]


@pytest.mark.parametrize("layout", ["imagefolder", "mvtec", "yolo", "voc"])
def test_an_export_has_the_images_in_every_layout(workshop: Workshop, finished: CompositionJob, layout: str) -> None:
    job = exported(workshop, finished, layout, count=5)
    with zipfile.ZipFile(archive(workshop, finished)) as opened:
        images = json.loads(opened.read("manifest.json"))["images"][:5]
        pngs = [opened.read(each["file"]) for each in images]
    with zipfile.ZipFile(archive(workshop, job)) as opened:
        found = json.loads(opened.read("manifest.json"))["images"]
        assert [each["seed"] for each in found] == [each["seed"] for each in images]
        assert [opened.read(each["file"]) for each in found] == pngs
        if layout == "mvtec":
            mask = np.asarray(Image.open(io.BytesIO(opened.read(found[0]["mask"]))))
            assert set(np.unique(mask)) == {0, 255}


def test_an_export_of_deleted_compositions_says_so(workshop: Workshop) -> None:
    job = workshop.job(**CONFIG)
    with pytest.raises(NoArchive, match=f"{job.id} was deleted"):
        exported(workshop, job, "coco")
