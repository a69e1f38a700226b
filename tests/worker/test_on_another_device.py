"""Qualification, sampling and the loop of a training run, with the networks on a pretended accelerator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.labelled_versions import CLASSES, ESSENTIALS, lively_generator
from tests.models.presets.fewshot.runs import NARROW, trainer
from tests.pretended_device import PRETENDED, PretendedDevice
from tests.worker.runs import run_of

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import Labelling, ModelVersion, now
from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import FIGURES
from flawsmith.models.labels.segmenter import Segmenter
from flawsmith.worker import qualification
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.published_labels import FILE, PublishedLabels
from flawsmith.worker.qualification import qualify
from flawsmith.worker.training_run import STEPS_UNREAD

CPU = torch.device("cpu")
CONFIG: dict[str, Any] = {**vars(NARROW), "classes": CLASSES}
ADDRESSES = [Address(CLASSES[seed % 2], seed, (("angle", (30.0, 60.0)),) if seed % 3 else ()) for seed in range(5)]


def test_a_version_is_qualified_and_sampled_as_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qualification, "IMAGES", 40)
    weights = trainer(NARROW).networks()["generator"]
    with PretendedDevice():
        assert qualify("fewshot", CONFIG, weights, PRETENDED) == qualify("fewshot", CONFIG, weights, CPU)
        there, here = (
            PublishedGenerator(
                weights,
                preset="fewshot",
                config=CONFIG,
                classes=CLASSES,
                precision="float32",
                qualified_on="cpu",
                device=each,
            )
            for each in (PRETENDED, CPU)
        )
        assert np.array_equal(there.sample_batch(ADDRESSES), here.sample_batch(ADDRESSES))


def labelled(source: Any, ranges: dict[str, tuple[float, float]]) -> ModelVersion:
    return ModelVersion(
        **ESSENTIALS,
        model="m",
        version=1,
        labels="mask",
        labelling=Labelling(job="job-1", source=source, masks=1, boxes=0, ranges=dict.fromkeys(CLASSES, ranges)),
        weights_sha256="",
        training_job="job-1",
        dataset_digest="",
        created_at=now(),
    )


@pytest.mark.parametrize("kind", [PixelClassifier, Segmenter])
def test_labels_are_those_of_the_cpu(kind: type[PixelClassifier | Segmenter], tmp_path: Path) -> None:
    generator = lively_generator()
    maps = FeatureMaps(generator, CPU)
    network = Segmenter(1) if kind is Segmenter else PixelClassifier(maps.widths, maps.channels, len(CLASSES))
    save_file(network.state_dict(), tmp_path / FILE)
    save_file(generator.state_dict(), tmp_path / "generator.safetensors")
    version = labelled("masks", dict.fromkeys(FIGURES, (0.0, 1000.0)))
    addresses = [Address(CLASSES[seed % 2], seed) for seed in range(3)]
    with PretendedDevice():
        there, here = (PublishedLabels(version, tmp_path, each)(addresses) for each in (PRETENDED, CPU))
    for found, wanted in zip(there, here, strict=True):
        assert np.array_equal(found.mask, wanted.mask)


def test_a_run_reads_no_loss_but_at_recorded_steps_and_now_and_then() -> None:
    with PretendedDevice() as device:
        run = run_of(trainer(NARROW, device=PRETENDED.type), total_steps=1_000_000)
        read_at = []
        for step in range(1, STEPS_UNREAD + 5):
            before = device.reads
            if not run.advance() and device.reads > before:
                read_at.append(step)
        assert read_at == [STEPS_UNREAD]
