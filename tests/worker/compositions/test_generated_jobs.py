"""Jobs with generated defects: interrupted ones, their memory, and exports of them."""

import json
import random
import tracemalloc
import zipfile
from typing import Any

import pytest
from tests.worker.compositions.generated import BrightPlaces, publish_labelled
from tests.worker.compositions.material import Workshop
from tests.worker.compositions.running import archive, digest, exported, run, segment

from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.export_files import HeldAddresses, addresses_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker import composition, export, published_labels
from flawsmith.worker.composition import CompositionExecutor
from flawsmith.worker.exports import archive as written_archive
from flawsmith.worker.exports import archive_work

SEED = 252  # so that eight images are of two blocks


@pytest.fixture(scope="module", autouse=True)
def worker(workshop: Workshop) -> Any:
    """What the executors find in their process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (composition, export):
            patch.setattr(module, "services", lambda: workshop.services)
        patch.setattr(BrightPlaces, "registry", workshop.services.registry, raising=False)
        patch.setattr(published_labels, "PublishedLabels", BrightPlaces)
        yield


@pytest.fixture(scope="module")
def version(workshop: Workshop, worker: None) -> ModelVersion:
    return publish_labelled(workshop)


@pytest.fixture(scope="module")
def finished(workshop: Workshop, version: ModelVersion) -> CompositionJob:
    """A job of eight images that has succeeded."""
    job = workshop.generated_job(version, count=8, seed=SEED)
    run(workshop, job)
    return job


def manifest(workshop: Workshop, job: Any) -> dict[str, Any]:
    with zipfile.ZipFile(archive(workshop, job)) as opened:
        found: dict[str, Any] = json.loads(opened.read("manifest.json"))
    return found


def addresses(found: dict[str, Any]) -> set[tuple[str, int]]:
    parts = [part for each in found["images"] for part in each["composition"]["parts"]]
    return {(each["defect_type"], each["seed"]) for each in parts}


def test_manifest_and_coco_say_what_a_photograph_is_made_of(
    workshop: Workshop, version: ModelVersion, finished: CompositionJob
) -> None:
    found = manifest(workshop, finished)
    assert (found["of"], found["defects"], found["source"]) == (f"{version.ref}-on-parts", version.ref, "generated")
    assert found["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert (found["scale"], found["floor"]) == (1.0, None)
    with zipfile.ZipFile(archive(workshop, finished)) as opened:
        listed = json.loads(opened.read("annotations/instances_train.json"))
        for image, row in zip(listed["images"], found["images"], strict=True):
            assert image["composition"] == row["composition"]
            for file in (row["file"], row["mask"]):
                assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in opened.read(file)


def test_an_interrupted_job_has_the_bytes_of_an_undisturbed_one(
    workshop: Workshop, version: ModelVersion, finished: CompositionJob
) -> None:
    job, choices = workshop.generated_job(version, count=8, seed=SEED), random.Random(1)
    for _ in range(3):  # each time the worker saves now and then, and dies
        work, held = CompositionExecutor().open(job), segment(workshop, job)
        while work.step < min(8, work.saved_step + 3):
            before = work.step
            work.advance(held)
            if work.step > before and choices.random() < 0.5:
                work.save(held)
    assert list(JobFolder(workshop.store, job.id).checkpoints.iterdir()), "nothing was saved, so nothing is tested"
    run(workshop, job)
    assert digest(archive(workshop, job)) == digest(archive(workshop, finished))


@pytest.mark.parametrize("layout", ["coco", "yolo", "imagefolder"])
def test_an_export_says_and_knows_which_addresses_it_shows(
    workshop: Workshop, version: ModelVersion, finished: CompositionJob, layout: str
) -> None:
    job = exported(workshop, finished, layout, count=5)
    found = manifest(workshop, job)
    assert found["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    for each, shown in ((job, found), (finished, manifest(workshop, finished))):
        ranges = json.loads(addresses_file(JobFolder(workshop.store, each.id)).read_bytes())[version.ref]
        held = {(name, seed) for name, spans in ranges.items() for low, high in spans for seed in range(low, high + 1)}
        assert held == addresses(shown)
        assert HeldAddresses.load(addresses_file(JobFolder(workshop.store, each.id))).versions == [version.ref]


def test_memory_holds_no_more_of_many_images_than_of_few(
    workshop: Workshop, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_work, "PART_BYTES", 2**16)
    monkeypatch.setattr(written_archive, "HASHED_IN_A_STEP", 2**16)

    def peak(count: int) -> int:
        job = workshop.generated_job(version, count=count, seed=240)
        tracemalloc.start()
        run(workshop, job)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(10), peak(50)  # of one block, and of two
    assert many - few < 40 * 4000  # bytes; an image has over 12,000
