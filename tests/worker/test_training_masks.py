"""A training job that learns masks together with the images publishes a version that is labelled from birth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import redis
import torch
from PIL import Image
from tests.conftest import zipped
from tests.core.store import trees
from tests.published_versions import GOOD
from tests.tiny_priors import TINY, write_tiny_prior

from flawsmith.core.domain.addresses import seeded
from flawsmith.core.domain.export_layouts import version_labels
from flawsmith.core.domain.export_request import ExportRequest, resolve_export
from flawsmith.core.domain.job_kinds.labelling import new_labelling_job
from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.training_config import resolve_request
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.live.leases import Lease
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.datasets.outlines import encoded
from flawsmith.core.store.images import decode_pixels
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.models.labels.training import train_label_network
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.quality.steps import Steps
from flawsmith.worker import label_sources, labelling, report, training
from flawsmith.worker.checkpoints import save_checkpoint
from flawsmith.worker.engine import Engine
from flawsmith.worker.executor import Segment
from flawsmith.worker.exports.version_source import VersionSource
from flawsmith.worker.generator_file import load_generator
from flawsmith.worker.published_labels import FILE, PublishedLabels
from flawsmith.worker.reports.analysis import Judged
from flawsmith.worker.run_checkpoint import load_or_resume, to_checkpoint
from flawsmith.worker.subset_images import retrained_generator
from flawsmith.worker.subset_training import generator_weights, subset_run
from flawsmith.worker.training_masks import NoMasks, load_masks
from flawsmith.worker.verdict import VersionJudgement
from flawsmith.worker.version_photographs import load_version_photographs

CPU = torch.device("cpu")
SIDE, PER_TYPE, MASKED = 32, 8, 6
CLASSES = ["dents", "pits"]
Publish = Callable[..., ModelVersion]


@dataclass
class Picture:
    """A bright square on grain, and where it is."""

    pixels: np.ndarray
    mask: np.ndarray


def picture(number: int) -> Picture:
    random = np.random.default_rng(number)
    pixels, mask = random.normal(100, 8, (SIDE, SIDE)), np.zeros((SIDE, SIDE), np.uint8)
    x, y = random.integers(4, 20, 2)
    pixels[y : y + 7, x : x + 6] += 80
    mask[y : y + 7, x : x + 6] = 255
    return Picture(pixels.clip(0, 255).astype(np.uint8), mask)


def archive() -> bytes:
    """Two types of eight photographs each, of which six have masks."""
    files = {}
    for index, name in enumerate(CLASSES):
        for number in range(PER_TYPE):
            of = picture(100 * index + number)
            files[f"images/{name}/{number}.png"] = trees.encoded(of.pixels)
            if number < MASKED:
                files[f"masks/{name}/{number}.png"] = trees.encoded(of.mask)
    return zipped(files)


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """With a prior for 32 px and the dataset `set`."""
    write_tiny_prior(tmp_path / "priors")
    socket = f"unix://{redis_server}/redis/redis.sock"
    services = Services(Settings(data_dir=tmp_path, redis_url=socket, priors_dir=tmp_path / "priors"))
    (tmp_path / "set.zip").write_bytes(archive())
    services.datasets.add_archive("set", tmp_path / "set.zip")
    for module in (training, report, labelling):
        monkeypatch.setattr(module, "services", lambda: services)
    monkeypatch.setattr(labelling, "threads", lambda: 1)
    monkeypatch.setattr(label_sources, "train_label_network", partial(train_label_network, steps=2))
    monkeypatch.setattr(training, "verdict_in_steps", not_judged)
    return services


def not_judged(*_: object, **__: object) -> Steps[VersionJudgement]:
    """In place of the verdict, which takes seconds."""
    yield
    return VersionJudgement(Judged(verdict=GOOD, leading="", measures=[], two_sample=None), None)


def job_of(services: Services, steps: int = 4, **body: Any) -> TrainingJob:
    dataset = services.datasets.get("set")
    body = {"labels": "mask", "crop": {"around": "middle"}, "overrides": TINY} | body
    request = TrainingRequest(dataset="set", model="m", resolution=SIDE, steps=steps, **body)
    origin = services.registry.resolve(body["init_from"]) if "init_from" in body else None
    config = resolve_request(
        request,
        dataset,
        origin,
        services.priors.cards,
        services.datasets.measured,
        services.datasets.masked_photographs,
    ).config
    progress = TrainingProgress(total_steps=steps)
    job = KIND.new_job(config=config, progress=progress, model="m", dataset=dataset.id, preset="fewshot")
    return cast(TrainingJob, job)


@pytest.fixture
def publish(services: Services) -> Publish:
    """Trains a job to its end; returns the version that it published."""

    def run(**body: Any) -> ModelVersion:
        job = job_of(services, **body)
        work = training.TrainingWork(job, load_or_resume(job, services, CPU, threads=1))
        while work.run.stop_reason is None:
            work.run.advance()
        work.run.conclude(work.run.evaluate)
        for _ in work.before_finish():
            pass
        segment = Segment(cast(Lease, None), services.store.claim(services.store.path("claims")), services.jobs)
        return services.registry.resolve(work.finish(segment).fields["produced"])

    return run


def labels_of(services: Services, version: ModelVersion) -> PublishedLabels:
    return PublishedLabels(version, services.registry.folder(version), CPU)


def test_masks_go_with_the_squares_that_are_trained_on(services: Services) -> None:
    job = job_of(services)
    masks = load_masks(job.dataset, job.config, services)
    squares = services.datasets.load(job.dataset, SIDE, "middle")  # type: ignore[arg-type]
    assert masks is not None
    assert masks.pixels.shape == (2 * PER_TYPE, 1, SIDE, SIDE)
    assert int(masks.known.sum()) == 2 * MASKED
    for pixels, mask, known in zip(squares.pixels, masks.pixels.numpy()[:, 0], masks.known, strict=True):
        assert (pixels[mask == 255].min() > pixels[mask == 0].max()) if known else not mask.any()
    assert load_masks(job.dataset, {**job.config, "labels": None}, services) is None


def test_squares_without_a_marked_defect_are_refused_at_the_start(services: Services, tmp_path: Path) -> None:
    files = {f"images/{number}.png": trees.encoded(np.tile(picture(number).pixels, (1, 3))) for number in range(6)}
    aside = trees.encoded(np.pad(picture(0).mask, ((0, 0), (0, 2 * SIDE))))
    (tmp_path / "wide.zip").write_bytes(zipped(files | {f"masks/{number}.png": aside for number in range(6)}))
    dataset, _ = services.datasets.add_archive("wide", tmp_path / "wide.zip")
    with pytest.raises(NoMasks, match="around annotations"):
        load_masks(dataset.id, job_of(services).config, services)
    assert NoMasks in training.TrainingExecutor.lasting


def test_a_version_is_labelled_from_birth(services: Services, publish: Publish) -> None:
    version = publish()
    assert (version.labels, version.parent, version.config["start"]) == ("mask", None, "prior")
    assert version.labelling
    learned = version.labelling
    assert (learned.source, learned.job, learned.masks, learned.boxes) == ("training", version.training_job, 12, 0)
    assert learned.plausible is not None
    assert version.health
    assert any("with labels are redrawn" in each for each in version.health.reasons) == (learned.plausible < 0.25)
    low, high = learned.ranges["pits"]["area"]
    assert low < 42 / SIDE**2 < high
    assert not (services.registry.folder(version) / FILE).exists()
    addresses = seeded(CLASSES, None, 100, 16)
    together = labels_of(services, version)(addresses)
    assert all(each.mask.any() and each.boxes for each in together)
    assert (labels_of(services, version)([addresses[3]])[0].mask == together[3].mask).all()
    [labels] = Engine(services.registry, 1, CPU).labels(version.ref, [addresses[3]])
    assert (decode_pixels(labels.mask) == together[3].mask * 255).all()


def test_an_export_has_the_generators_own_masks(services: Services, publish: Publish) -> None:
    version = publish()
    # After four steps no mask is like the real ones.
    assert version.labelling
    ranges = {name: dict.fromkeys(of, (0.0, 1e9)) for name, of in version.labelling.ranges.items()}
    version = version.changed(labelling=version.labelling.changed(ranges=ranges))
    request = ExportRequest(model=version.ref, count=8, layout="mvtec")
    source = VersionSource(version, resolve_export(request, version, version_labels(version), None), services, CPU, {})
    records = []
    while not source.over:
        records += source.next()
    assert len(records) == 8
    labels = labels_of(services, version)
    for record in records:
        [found] = labels(seeded(CLASSES, record.defect_type, record.address["seed"], 1))
        assert (np.logical_or.reduce([each.mask(record.size) for each in record.defects]) == found.mask).all()


def test_a_run_that_was_killed_publishes_the_same_bytes(services: Services, publish: Publish) -> None:
    whole = publish(seed=5)
    job = job_of(services, seed=5)
    first = load_or_resume(job, services, CPU, threads=1)
    for _ in range(2):
        first.advance()
    claim = services.store.claim(JobFolder(services.store, job.id).claims)
    save_checkpoint(services.store, claim, job.id, to_checkpoint(first))
    rest = load_or_resume(job, services, CPU, threads=1)
    assert rest.step == 2
    while rest.stop_reason is None:
        rest.advance()
    rest.conclude(rest.evaluate)
    assert rest.best
    generator = load_generator(services.registry.weights("m", whole.version), whole.model_dump(), CPU)
    for name, weights in rest.best.networks["generator"].items():
        assert torch.equal(generator.session.network.state_dict()[name], weights), name


def test_a_job_goes_on_from_a_version_with_or_without_masks(services: Services, publish: Publish) -> None:
    plain = publish(labels=None)
    assert (plain.labels, plain.labelling) == (None, None)
    later = publish(init_from=plain.ref, overrides={}, steps=1)
    assert later.labels == "mask"
    job = job_of(services, init_from=later.ref, labels=None, overrides={})
    assert job.config["labels"] == "mask"
    trainer = cast(FewshotTrainer, load_or_resume(job, services, CPU, threads=1).trainer)
    assert trainer.masks


def test_a_labelling_of_such_a_version_takes_its_place(services: Services, publish: Publish) -> None:
    version = publish()
    runs = [encoded(picture(each).mask > 0) for each in range(2)]
    masks = [{"seed": seed, "defect_type": "pits", "runs": each} for seed, each in enumerate(runs)]
    job = new_labelling_job(version.ref, {"source": "masks", "labels": "mask", "masks": masks}, None)
    work = labelling.LabellingExecutor().open(job)
    with work.active():
        for _ in work.before_finish():
            pass
        segment = Segment(cast(Lease, None), services.store.claim(services.store.path("claims")), services.jobs)
        produced = services.registry.resolve(work.finish(segment).fields["produced"])
    assert produced.labelling
    assert (produced.labelling.source, produced.parent) == ("masks", version.ref)
    addresses = seeded(CLASSES, None, 0, 4)
    engine = Engine(services.registry, 2, CPU)
    assert (engine.sample(version.ref, addresses) == engine.sample(produced.ref, addresses)).all()
    labels_of(services, produced)(addresses)


def test_an_evaluation_trains_again_with_masks(services: Services, publish: Publish) -> None:
    version = publish()
    found = load_version_photographs(version, services)
    job: Any = type(
        "Job", (), {"id": "evaluation-1", "state": "running", "dataset": "set", "created_at": version.created_at}
    )
    job.config = {"max_seconds": None}
    numbers = torch.arange(len(found.images))
    run = subset_run(job, version, found.images, found.type_index, numbers, found.masks, 3, services, CPU, 1)
    assert cast(FewshotTrainer, run.trainer).masks
    run.advance()
    generator = retrained_generator(version, generator_weights(run), CPU)
    assert generator.sample(1, "pits").shape == (SIDE, SIDE)


@pytest.mark.parametrize(("labels", "rows"), [("mask", 4), (None, 2)])
def test_the_sample_grid_has_masks_below_the_samples_of_each_type(
    services: Services, labels: str | None, rows: int
) -> None:
    job = job_of(services, labels=labels)
    work = training.TrainingWork(job, load_or_resume(job, services, CPU, threads=1))
    claim = services.store.claim(JobFolder(services.store, job.id).claims)
    segment = Segment(cast(Lease, None), claim, SimpleNamespace(emit=lambda *_: None))  # type: ignore[arg-type]
    work.run.advance()
    work.run.conclude(partial(work._evaluate, segment))
    latest = JobFolder(services.store, job.id).latest_sample()
    assert latest is not None
    with Image.open(latest) as sheet:
        assert sheet.size == (8 * (SIDE + 2) - 2, rows * (SIDE + 2) - 2)
