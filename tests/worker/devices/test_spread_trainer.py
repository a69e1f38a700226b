"""Processes that train together come to the weights of one that trains alone, and go on from its checkpoints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.presets.fewshot.runs import NARROW, scratches
from torch import Tensor

from flawsmith.models.presets.registry import BUILDERS
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.devices.rank_group import RankGroup
from flawsmith.worker.devices.spread_trainer import SpreadTrainer
from flawsmith.worker.devices.trainer_parts import TrainerParts

DOUBLE = "tests.double_preset"
CPU = torch.device("cpu")
STEPS, PHOTOGRAPHS, OF_KINDS = 20, 15, 80
# Shares of two and three. What the photographs' symmetries are is not tested.
DECIDED = {"horizontal_flip": True, "vertical_flip": True, "transposition": False}
FEWSHOT = asdict(replace(NARROW, batch_size=5, kinds=2, **DECIDED))
DCGAN = {
    "resolution": 32, "channels": 1, "seed": 0, "latent_size": 4, "generator_depth": 2, "discriminator_depth": 2,
    "generator_learning_rate": 1e-4, "discriminator_learning_rate": 4e-4, "beta1": 0.5, "beta2": 0.999,
    "batch_size": 7, "precision": "float32",
}  # fmt: skip
# the last batch of an epoch has one photograph, fewer than there are processes


def parts(preset: str, config: Mapping[str, Any], photographs: int = PHOTOGRAPHS) -> TrainerParts:
    images = scratches(photographs)
    masks = PhotographMasks((images > 200).byte() * 255, torch.arange(photographs) % 3 > 0)
    return TrainerParts(
        preset=preset,
        config=config,
        types=2,
        images=images,
        type_index=torch.arange(photographs) % 2,
        photograph=torch.arange(photographs),
        rule=None,
        masks=None if preset == "dcgan" else masks,
    )


def weights(trainer: Trainer) -> dict[str, Tensor]:
    networks = trainer.networks()
    return {f"{network}.{name}": each for network in networks for name, each in networks[network].items()}


def train(trainer: Trainer, until: int) -> list[float]:
    losses = []
    while trainer.completed_steps < until:
        measured = trainer.step(trainer.completed_steps / STEPS)
        losses.append(float(measured["discriminator_loss"]))
    return losses


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the preset of `tests.double_preset`, which this process knows, and its children find."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(BUILDERS, "_builders", dict(BUILDERS._builders))  # other tests know the house's presets alone
    BUILDERS.load([DOUBLE])
    yield "double"
    torch.set_default_dtype(torch.float32)


@contextmanager
def spread(of: TrainerParts, folder: Path, preset_packages: Sequence[str] = ()) -> Iterator[SpreadTrainer]:
    """Two processes and the trainer of this one."""
    group = RankGroup(of, ["cpu:0", "cpu:1"], threads=2, folder=folder, preset_packages=preset_packages)
    try:
        yield SpreadTrainer(of.build(CPU), group)
    finally:
        group.close()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, each in expected.items():
        difference = (found[name] - each).abs().max()
        assert difference <= 1e-5, (name, difference)


def test_two_processes_have_the_weights_of_one(double: str, tmp_path: Path) -> None:
    of = parts(double, FEWSHOT, OF_KINDS)
    alone = of.build(CPU)
    losses = train(alone, STEPS)
    with spread(of, tmp_path, [DOUBLE]) as together:
        assert train(together, STEPS) == pytest.approx(losses)
        assert_same(weights(together), weights(alone))


def test_with_batch_norm_too_and_one_goes_on_from_what_two_have_saved(tmp_path: Path) -> None:
    of = parts("dcgan", DCGAN)
    alone, resumed = of.build(CPU), of.build(CPU)
    losses = train(alone, STEPS)
    with spread(of, tmp_path) as together:
        found = train(together, STEPS // 2)
        preview, halfway = together.preview(), {name: each.clone() for name, each in together.state_dict().items()}
        assert found + train(together, STEPS) == pytest.approx(losses, rel=1e-4)
        assert_same(weights(together), weights(alone))
    resumed.load_state_dict(halfway)
    assert resumed.preview().equal(preview)
    train(resumed, STEPS)
    assert_same(weights(resumed), weights(alone))
