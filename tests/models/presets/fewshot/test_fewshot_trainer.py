"""The trainer of the preset for few photographs."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.trainer import FewshotConfig, FewshotTrainer
from flawsmith.models.quality.measure import Need
from flawsmith.models.quality.registry import MEASURES

CONFIG = FewshotConfig(
    resolution=32,
    channels=1,
    seed=3,
    latent_size=8,
    generator_width=2,
    discriminator_width=4,
    learning_rate=4e-4,
    gradient_penalty=5.0,
    ema_half_life_images=10_000,
    augment_probability=0.7,
    augment_shift=0.125,
    augment_brightness=0.2,
    augment_contrast=0.25,
    horizontal_flip=None,
    vertical_flip=None,
    transposition=None,
    batch_size=4,
    cuda_graph=False,
)


def noise(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def scratches(count: int) -> Tensor:
    """Bright upright lines on fine grain."""
    images = 100 + noise(count) // 16
    images[torch.arange(count), :, :, torch.arange(count) % 28 + 2] = 230
    return images


def trainer(
    config: FewshotConfig = CONFIG,
    types: int = 2,
    count: int = 10,
    device: str = "cpu",
    photographs: Tensor | None = None,
) -> FewshotTrainer:
    images = noise(count) if photographs is None else photographs
    return FewshotTrainer(config, images, torch.arange(len(images)) % types, types, torch.device(device))


def test_a_step_returns_losses_penalties_and_the_discriminators_lead() -> None:
    run = trainer()
    measured = run.step(0.5)
    assert run.completed_steps == 1
    assert list(measured) == [
        "discriminator_loss",
        "real_penalty",
        "fake_penalty",
        "sign_rate",
        "margin",
        "generator_loss",
    ]
    assert measured["real_penalty"] > 0
    assert measured["fake_penalty"] > 0
    assert -1 <= measured["sign_rate"] <= 1


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_resumed_run_continues_bit_by_bit_as_if_it_had_never_stopped(stop: int) -> None:
    whole, first = trainer(), trainer()
    expected = [whole.step(0.5) for _ in range(8)]
    losses = [first.step(0.5) for _ in range(stop)]
    state = {name: value.contiguous().clone() for name, value in first.state_dict().items()}
    rest = trainer()
    rest.load_state_dict(state)
    losses += [rest.step(0.5) for _ in range(8 - stop)]
    assert losses == expected
    final, wanted = rest.state_dict(), whole.state_dict()
    assert final.keys() == wanted.keys()
    assert all(torch.equal(final[name], wanted[name]) for name in wanted)


def test_evaluating_changes_nothing_about_the_run() -> None:
    observed, left_alone = trainer(), trainer()
    for _ in range(2):
        observed.step(0.5)
        observed.preview()
        observed.evaluate()
        left_alone.step(0.5)
    wanted = left_alone.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in observed.state_dict().items())


def test_another_seed_is_another_run() -> None:
    assert trainer().step(0.5) != trainer(replace(CONFIG, seed=4)).step(0.5)


def test_the_generator_to_sample_with_is_the_moving_average() -> None:
    run = trainer(replace(CONFIG, ema_half_life_images=4, batch_size=4))
    run.completed_steps = 1000  # beyond the ramp-up of the half-life
    before = run.networks()["generator"]
    run.step(0.5)
    after, newest = run.networks()["generator"], run.generator.state_dict()
    for name, value in after.items():
        if name != "conditioning":
            torch.testing.assert_close(value, (before[name] + newest[name]) / 2)
    assert not torch.equal(after["last.weight"], newest["last.weight"])


def test_the_average_starts_at_the_first_updated_weights() -> None:
    run = trainer()
    run.step(0.5)
    assert torch.equal(run.ema.module.first.weight, run.generator.first.weight)


def test_the_weight_of_the_penalties_stays_the_same_over_the_run() -> None:
    first, last = (trainer(types=1).step(progress) for progress in (0.0, 1.0))
    assert first["real_penalty"] > 0
    assert first["real_penalty"] == last["real_penalty"]
    assert first["fake_penalty"] == last["fake_penalty"]


def test_learning_rates_fall_and_conditioning_rises_over_the_run() -> None:
    run = trainer()
    rates, conditioning = [], []
    for progress in (0.0, 0.27, 0.5, 1.0):
        run.step(progress)
        rates.append(run.generator_optimiser.param_groups[0]["lr"])
        conditioning.append(run.ema.module.conditioning.item())
    assert rates[0] == CONFIG.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(CONFIG.learning_rate / 4)
    assert conditioning == pytest.approx([0, 0.48, 1, 1])


def test_a_run_of_one_type_is_not_conditioned() -> None:
    run = trainer(types=1)
    run.step(1.0)
    assert run.generator.conditioning == run.discriminator.conditioning == 0


def test_fewer_photographs_than_a_batch_train() -> None:
    run = trainer(types=1, count=2)
    assert run.steps_per_epoch == 1
    run.step(0.5)


def test_a_run_can_start_from_anothers_networks() -> None:
    origin, run = trainer(), trainer(replace(CONFIG, seed=9))
    origin.step(0.5)
    run.load_networks(origin.networks())
    for name, weights in origin.networks().items():
        assert all(torch.equal(value, run.networks()[name][key]) for key, value in weights.items())
    assert torch.equal(run.preview(), trainer(replace(CONFIG, seed=9)).samples.preview(origin.ema.module))


@pytest.mark.parametrize("scratched", [True, False])
def test_an_evaluation_measures_all_signals_that_the_photographs_allow(scratched: bool) -> None:
    run = trainer(photographs=scratches(140) if scratched else noise(140))
    run.step(0.5)
    signals = run.evaluate()
    of_defects = {each.name for each in MEASURES if Need.DEFECTS in each.needs}
    every = {each.name for each in MEASURES if not each.each_step}
    assert set(signals) == (every if scratched else every - of_defects)
    assert signals == run.evaluate()


def test_a_dropped_trainer_is_freed_without_the_garbage_collector() -> None:
    run = trainer(count=140)
    run.step(0.5)
    run.evaluate()
    dropped = weakref.ref(run)
    gc.disable()
    try:
        del run
        assert dropped() is None
    finally:
        gc.enable()


def test_holdout_photographs_are_not_among_those_trained_on() -> None:
    run = trainer(types=1, count=140)
    assert len(run.images) == 126
    assert len(run.holdout) == 14
    assert run.steps_per_epoch == 35
    distances = torch.cdist(run.images.flatten(1).float(), run.holdout.flatten(1).float())
    assert distances.min() > 0
    assert len(trainer(types=1, count=20).holdout) == 0


def test_the_analysis_has_the_symmetries_of_each_type() -> None:
    found = trainer(replace(CONFIG, transposition=True), count=20).analysis()["augmentation"]
    assert len(found) == 2
    assert found[0] == {
        "horizontal_flip": {"used": True, "p_value": None},
        "vertical_flip": {"used": False, "p_value": None},
        "transposition": {"used": True, "p_value": None},
    }
    tested = trainer(replace(CONFIG, horizontal_flip=False), types=1, count=40).analysis()["augmentation"][0]
    assert tested["horizontal_flip"]["used"] is False
    assert 0 < tested["vertical_flip"]["p_value"] <= 1


def test_a_reduced_learning_rate_stays_reduced_in_a_resumed_run() -> None:
    run = trainer()
    run.step(0.5)
    run.reduce_learning_rate()
    rest = trainer()
    rest.load_state_dict(run.state_dict())
    for each in (run, rest):
        each.step(0.5)
    assert run.generator_optimiser.param_groups[0]["lr"] < 0.51 * CONFIG.learning_rate
    assert rest.generator_optimiser.param_groups[0]["lr"] == run.generator_optimiser.param_groups[0]["lr"]
    assert all(torch.equal(value, rest.state_dict()[name]) for name, value in run.state_dict().items())


@pytest.mark.gpu
def test_a_recorded_step_gives_the_same_weights_and_penalties_as_an_eager_one() -> None:
    """Covers the warm steps, the recording, changing rates and penalties, and a reduction of the learning rate."""
    eager, recorded = (trainer(replace(CONFIG, cuda_graph=graph), device="cuda") for graph in (False, True))
    for number in range(16):
        expected, measured = eager.step(number / 16), recorded.step(number / 16)
        assert measured["real_penalty"] > 0
        assert measured["fake_penalty"] > 0
        for name, value in expected.items():
            torch.testing.assert_close(measured[name], value, rtol=1e-3, atol=1e-4)
        if number == 8:
            eager.reduce_learning_rate()
            recorded.reduce_learning_rate()
    assert recorded.captured is not None
    assert recorded.captured.recorded
    for name, weights in eager.state_dict().items():
        torch.testing.assert_close(recorded.state_dict()[name], weights, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_recorded_run_that_is_resumed_continues_as_if_it_had_never_stopped() -> None:
    config = replace(CONFIG, cuda_graph=True)
    whole, rest = trainer(config, device="cuda"), trainer(config, device="cuda")
    for _ in range(6):
        whole.step(0.5)
        rest.step(0.9)
    rest.load_state_dict({name: value.cpu().clone() for name, value in whole.state_dict().items()})
    for _ in range(8):
        whole.step(0.5)
        rest.step(0.5)
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], weights, rtol=1e-3, atol=1e-4)
