"""A labelling in the worker: from masks of images and from annotated photographs to a version with the same pixels."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.conftest import zipped
from tests.core.store import trees
from tests.labelled_versions import CLASSES, SIDE, marked, publish_lively, sampled

from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.export_layouts import version_labels
from flawsmith.core.domain.export_request import ExportRequest, resolve_export
from flawsmith.core.domain.job_kinds.labelling import new_labelling_job
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.datasets.outlines import encoded
from flawsmith.core.store.images import decode_pixels
from flawsmith.core.store.registry import Registry
from flawsmith.models.labels.masks import overlap
from flawsmith.worker import label_sources, labelling
from flawsmith.worker.engine import Engine
from flawsmith.worker.executor import Segment
from flawsmith.worker.exports.version_source import VersionSource
from flawsmith.worker.label_sources import CannotLabel
from flawsmith.worker.published_labels import FILE, PublishedLabels

CPU = torch.device("cpu")
STEPS = 80  # enough for the places of these images
Label = Callable[..., ModelVersion]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the worker works with."""
    store = ArtifactStore(tmp_path / "artifacts")
    found = SimpleNamespace(store=store, registry=Registry(store), datasets=Datasets(store, Settings()))
    monkeypatch.setattr(labelling, "services", lambda: found)
    monkeypatch.setattr(labelling, "threads", lambda: 1)
    for name in ("train_label_network", "learned_segmenter"):
        monkeypatch.setattr(label_sources, name, partial(getattr(label_sources, name), steps=STEPS))
    return found


@pytest.fixture
def label(site: SimpleNamespace) -> Label:
    """Runs a labelling of a version to its end; returns what it published."""

    def run(version: ModelVersion, **config: Any) -> ModelVersion:
        work = labelling.LabellingExecutor().open(new_labelling_job(version.ref, config, None))
        with work.active():
            for _ in work.before_finish():
                pass
            segment = Segment(None, site.store.claim(Path(site.store.root / "claims")), None)  # type: ignore[arg-type]
            result = work.finish(segment)
            assert work.finish(segment).fields == result.fields  # a worker may die before it has said that it finished
        assert result.fields["progress"].step == work.job.progress.total_steps
        return site.registry.resolve(result.fields["produced"])

    return run


def painted(registry: Registry, version: ModelVersion, count: int = 12) -> dict[str, Any]:
    """The configuration of a labelling from the masks of the first images."""
    addresses = seeded(version.classes, None, 0, count)
    masks = [
        {"seed": each.seed, "defect_type": each.defect_type, "runs": encoded(marked(pixels))}
        for each, pixels in zip(addresses, sampled(registry, version.ref, addresses), strict=True)
    ]
    return {"source": "masks", "labels": "mask", "masks": masks}


def labels_of(site: SimpleNamespace, version: ModelVersion) -> PublishedLabels:
    return PublishedLabels(version, site.registry.folder(version), CPU)


def test_the_labelled_version_has_the_pixels_of_its_parent(site: SimpleNamespace, label: Label) -> None:
    parent = publish_lively(site.registry)
    site.registry.withdraw(parent, Address("pits", 7), "too like a customer's part")
    site.registry.set_quality_floor(parent, QualityFloor(score=0.25, set_at=now()))
    version = label(parent, **painted(site.registry, parent))
    assert (version.ref, version.labels, version.parent) == ("m@2", "mask", "m@1")
    assert version.labelling
    assert (version.labelling.source, version.labelling.masks, version.labelling.boxes) == ("masks", 12, 0)
    same = ("weights_sha256", "digital_source_type", "training_job", "verdict", "dataset_digest", "classes")
    assert all(getattr(version, name) == getattr(parent, name) for name in same)
    folders = [site.registry.folder(each) for each in (parent, version)]
    files = [(folder / "generator.safetensors").read_bytes() for folder in folders]
    assert files[0] == files[1]
    addresses = seeded(CLASSES, None, 100, 20)
    assert (sampled(site.registry, "m@1", addresses) == sampled(site.registry, "m@2", addresses)).all()
    assert Address("pits", 7) in site.registry.withdrawn(version)
    site.registry.withdraw(parent, Address("pits", 9), "later")
    assert Address("pits", 9) in site.registry.withdrawn(version)
    assert site.registry.quality_floor(version).score == 0.25
    assert site.registry.model("m").serves == 2


def test_masks_of_twelve_images_teach_those_of_others(site: SimpleNamespace, label: Label) -> None:
    parent = publish_lively(site.registry)
    version = label(parent, **painted(site.registry, parent))
    addresses = seeded(CLASSES, None, 1000, 16)
    found = labels_of(site, version)(addresses)
    pixels = sampled(site.registry, "m@2", addresses)
    overlaps = [overlap(each.mask, marked(of)) for each, of in zip(found, pixels, strict=True)]
    assert np.mean(overlaps) > 0.7
    assert all(each.mask.any() and each.boxes for each in found)


def test_every_address_has_one_mask(site: SimpleNamespace, label: Label) -> None:
    parent = publish_lively(site.registry)
    version = label(parent, **painted(site.registry, parent, 4))
    addresses = seeded(CLASSES, None, 50, 16)
    together = labels_of(site, version)(addresses)
    again = labels_of(site, version)
    for address, each in zip(addresses, together, strict=True):
        assert (again([address])[0].mask == each.mask).all()
    engine = Engine(site.registry, 1, CPU)
    [first], [second] = (engine.labels("m@2", [addresses[3]]) for _ in range(2))
    assert first == second
    assert (decode_pixels(first.mask) == together[3].mask * 255).all()
    other = label(publish_lively(site.registry, "again"), **painted(site.registry, parent, 4))
    folders = [site.registry.folder(each) for each in (version, other)]
    assert (folders[0] / FILE).read_bytes() == (folders[1] / FILE).read_bytes()  # the same masks teach the same


def test_an_export_has_its_masks_and_leaves_out_doubtful_ones(site: SimpleNamespace, label: Label) -> None:
    parent = publish_lively(site.registry)
    version = label(parent, **painted(site.registry, parent, 4))
    request = ExportRequest(model=version.ref, count=30, layout="coco")
    config = resolve_export(request, version, version_labels(version), None)
    source = VersionSource(version, config, cast(Services, site), CPU, {})
    records = []
    while not source.over:
        records += source.next()
    assert len(records) == 30
    labels = labels_of(site, version)
    for record in records:
        [found] = labels([Address(record.defect_type, record.address["seed"])])
        assert found.plausible
        assert [each.box for each in record.defects] == found.boxes
        assert (np.logical_or.reduce([each.mask(record.size) for each in record.defects]) == found.mask).all()
    tried = [labels([each])[0].plausible for each in seeded(CLASSES, None, 0, 30)]
    assert (source.left_out["doubtful_labels"] > 0) == (not all(tried))


def photographs(site: SimpleNamespace, tmp_path: Path, files: dict[str, bytes]) -> str:
    """Uploads an archive; returns its digest."""
    (tmp_path / "set.zip").write_bytes(zipped(files))
    digest: str = site.datasets.add_archive("set", tmp_path / "set.zip")[0].digest
    return digest


def annotated(registry: Registry, count: int = 24) -> list[tuple[str, Any, Any]]:
    """Images of `plain@1` as photographs: their types, pixels and masks."""
    publish_lively(registry, "plain")
    addresses = seeded(CLASSES, None, 5000, count)
    pixels = sampled(registry, "plain@1", addresses)
    return [(each.defect_type, of[..., 0], marked(of)) for each, of in zip(addresses, pixels, strict=True)]


def test_annotated_photographs_teach_the_masks_of_images(site: SimpleNamespace, label: Label, tmp_path: Path) -> None:
    files = {}
    for number, (name, pixels, mask) in enumerate(annotated(site.registry)):
        files[f"images/{name}/{number}.png"] = trees.encoded(pixels)
        files[f"masks/{name}/{number}.png"] = trees.encoded(mask.astype(np.uint8) * 255)
    parent = publish_lively(site.registry, dataset_digest=photographs(site, tmp_path, files))
    version = label(parent, source="annotations", labels="mask")
    assert version.labelling
    assert (version.labelling.source, version.labelling.masks) == ("annotations", 24)
    assert version.labelling.agreement is not None
    assert set(version.labelling.ranges) == set(CLASSES)
    addresses = seeded(CLASSES, None, 1000, 16)
    found = labels_of(site, version)(addresses)
    pixels = sampled(site.registry, "m@2", addresses)
    assert np.mean([overlap(each.mask, marked(of)) for each, of in zip(found, pixels, strict=True)]) > 0.6


def test_boxes_teach_boxes(site: SimpleNamespace, label: Label, tmp_path: Path) -> None:
    files, images, boxes = {}, [], []
    for number, (name, pixels, mask) in enumerate(annotated(site.registry)):
        files[f"images/{number}.png"] = trees.encoded(pixels)
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        ys, xs = np.nonzero(mask)
        box = [int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1]
        boxes.append({"id": number, "image_id": number, "category_id": CLASSES.index(name), "bbox": box})
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    coco = {"images": images, "annotations": boxes, "categories": categories}
    files["annotations/instances.json"] = json.dumps(coco).encode()
    parent = publish_lively(site.registry, dataset_digest=photographs(site, tmp_path, files))
    version = label(parent, source="annotations", labels="box")
    assert version.labels == "box"
    assert version.labelling
    assert (version.labelling.masks, version.labelling.boxes) == (0, 24)
    [found] = Engine(site.registry, 1, CPU).labels(version.ref, [Address("pits", 3)])
    assert found.mask == b""
    assert all(0 <= left < right <= SIDE and 0 <= top < bottom <= SIDE for left, top, right, bottom in found.boxes)
    with pytest.raises(CannotLabel, match="shows a defect with masks; send 'masks'"):
        label(parent, source="annotations", labels="mask")
