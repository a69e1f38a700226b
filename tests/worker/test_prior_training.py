"""The command that trains a prior: what it writes, and that it continues where it was stopped."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.tiny_priors import noise
from torch import Tensor

from flawsmith.core.domain.priors import LARGEST_BYTES
from flawsmith.core.store.priors import Priors
from flawsmith.models.drawn_surfaces import draw
from flawsmith.models.presets.fewshot.prior_trainer import PriorTrainer
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.worker import prior_training
from flawsmith.worker.prior_file import DamagedPrior, load_prior
from flawsmith.worker.prior_training import HELD_OUT, main, options, prior_config, train

CPU = torch.device("cpu")
SMALL = ["--resolution", "32", "--batch-size", "4", "--overrides", '{"generator_width": 2, "discriminator_width": 2}']


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    return noise(8 + HELD_OUT, 32)


def given(out: Path, *more: str) -> argparse.Namespace:
    return options().parse_args([*SMALL, "--out", str(out), *more])


def test_a_prior_is_a_small_file_with_its_card_and_a_sheet(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    out, sheet = tmp_path / "32-gray.safetensors", tmp_path / "sheet.png"
    card = train(given(out, "--steps", "4", "--sheet", str(sheet)), pictures, "the command")
    assert out.stat().st_size < LARGEST_BYTES
    assert (card.shape, card.pictures, card.steps, card.images) == ("32 px gray", 8, 4, 16)
    assert card.command == "the command"
    assert card.figures
    networks = load_prior(out)
    assert {"embedding.weight", "conditioning"}.isdisjoint(networks["generator"])
    assert all(each.dtype == torch.float32 for weights in networks.values() for each in weights.values())
    with Image.open(sheet) as picture:
        assert picture.width > picture.height > 8 * 32


def test_training_continues_where_it_was_stopped(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    whole = train(given(tmp_path / "whole.safetensors", "--steps", "6"), pictures, "")
    stopped = given(tmp_path / "stopped.safetensors", "--steps", "6")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_training, "SAVED_EVERY_SECONDS", 0.0)
        patch.setattr(PriorTrainer, "step", interrupted_after(3))
        with pytest.raises(KeyboardInterrupt):
            train(stopped, pictures, "")
    assert train(stopped, pictures, "").weights_sha256 == whole.weights_sha256


def test_a_state_of_another_configuration_is_refused(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    out = tmp_path / "32-gray.safetensors"
    train(given(out, "--steps", "1"), pictures, "")
    with pytest.raises(ValueError, match="delete it"):
        train(given(out, "--steps", "1", "--learning-rate", "0.1"), pictures, "")


@pytest.mark.parametrize("narrow", [False, True])
def test_a_colour_prior_begins_as_the_gray_one_in_colour(
    tmp_path: Path, pictures: NDArray[np.uint8], narrow: bool
) -> None:
    gray, colour = tmp_path / "32-gray.safetensors", tmp_path / "32-color.safetensors"
    networks = ["--overrides", json.dumps({"generator_width": 2, "discriminator_width": 2, "narrow_ends": narrow})]
    train(given(gray, "--steps", "2", *networks), pictures, "")
    origin = load_prior(gray)
    config = prior_config(given(colour, "--steps", "1", "--channels", "3", *networks))
    trainer = PriorTrainer(config, gray_in_colour(pictures), CPU)
    assert trainer.start_from(origin) == []
    latents = torch.randn(2, trainer.generator.latent_size, generator=torch.Generator().manual_seed(0))
    types = torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        images = trainer.generator(latents, types)
        logits = trainer.discriminator(images, types)
    torch.testing.assert_close(images, images[:, :1].expand_as(images))
    one = PriorTrainer(prior_config(given(gray, "--steps", "1", *networks)), torch.from_numpy(pictures), CPU)
    one.start_from(origin)
    with torch.no_grad():
        torch.testing.assert_close(one.discriminator(images[:, :1].contiguous(), types), logits, rtol=1e-3, atol=1e-3)


def test_a_damaged_file_is_refused(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    out = tmp_path / "32-gray.safetensors"
    train(given(out, "--steps", "1"), pictures, "")
    data = bytearray(out.read_bytes())
    data[-1] ^= 1
    out.write_bytes(data)
    with pytest.raises(DamagedPrior, match="32-gray"):
        load_prior(out)


def test_the_command_draws_pictures_once_and_trains_on_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, kept = tmp_path / "32-gray.safetensors", tmp_path / "drawn.npy"
    command = [*SMALL, "--pictures", "8", "--drawn", str(kept), "--out", str(out)]
    main([*command, "--seconds", "0"])
    assert not out.exists()
    drawn = np.load(kept)
    assert drawn.shape == (8 + HELD_OUT, 1, 32, 32)
    assert (drawn[3] == draw(3, 32, 1)).all()
    main([*command, "--steps", "1"])
    assert load_prior(out)
    shown = capfd.readouterr().out
    assert "--pictures 8 --drawn drawn.npy --out 32-gray.safetensors" in shown
    assert f"{kept.parent}/" not in Priors(tmp_path).cards[0].command
    with pytest.raises(ValueError, match="another file"):
        main([*command, "--steps", "1", "--channels", "3"])


def interrupted_after(steps: int) -> Callable[[PriorTrainer, float], dict[str, Tensor]]:
    def step(trainer: PriorTrainer, progress: float) -> dict[str, Tensor]:
        if trainer.completed_steps == steps:
            raise KeyboardInterrupt
        return FewshotTrainer.step(trainer, progress)

    return step


def gray_in_colour(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).expand(-1, 3, -1, -1).contiguous()
