"""The trainer of the preset for few photographs."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from tests.models.presets.fewshot.runs import (
    CONFIG,
    DIRECTED,
    KINDS,
    NARROW,
    WAVELET,
    noise,
    scratches,
    slanted,
    trainer,
)

from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.quality.measure import Need
from flawsmith.models.quality.registry import MEASURES


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


@pytest.mark.parametrize("config", [CONFIG, DIRECTED, KINDS, NARROW, WAVELET])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_resumed_run_continues_bit_by_bit_as_if_it_had_never_stopped(stop: int, config: FewshotConfig) -> None:
    whole, first = trainer(config), trainer(config)
    expected = [whole.step(0.5) for _ in range(8)]
    losses = [first.step(0.5) for _ in range(stop)]
    state = {name: value.contiguous().clone() for name, value in first.state_dict().items()}
    rest = trainer(config)
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


def test_a_run_draws_the_directions_of_its_photographs_and_reports_them() -> None:
    run = trainer(NARROW, types=1, photographs=torch.cat([slanted(5, 20), slanted(15, 100)]))
    latents = torch.randn(500, run.generator.latent_size, generator=torch.Generator().manual_seed(0))
    for network in (run.generator, run.ema.module):
        drawn = network.drawn_directions(latents, torch.zeros(500, dtype=torch.int64))
        assert (drawn[:, 0] < 0).float().mean().item() == pytest.approx(0.75, abs=0.06)  # more upright than level
    (found,) = run.analysis()["directions"]
    assert found["shares"] == [0.25, 0, 0, 0.75, 0, 0]
    assert found["strength"] > 0.8
    assert "directions" not in trainer().analysis()


def test_both_networks_learn_what_directions_mean() -> None:
    run = trainer(NARROW, types=1, photographs=torch.cat([slanted(10, 20), slanted(10, 100)]))
    before = run.generator.embedding_of_direction.weight.clone()
    for _ in range(3):
        run.step(0.5)
    assert run.discriminator.heads_by_direction.weight.abs().max() > 0
    assert not torch.equal(run.generator.embedding_of_direction.weight, before)


def test_networks_of_other_photographs_draw_the_directions_of_these() -> None:
    origin, run = (trainer(DIRECTED, types=1, photographs=slanted(20, each)) for each in (20, 100))
    origin.step(0.5)
    run.load_networks(origin.networks())
    assert torch.equal(run.generator.last.weight, origin.ema.module.last.weight)
    assert not torch.equal(run.generator.directions, origin.generator.directions)
    assert torch.equal(run.generator.directions, run.ema.module.directions)


@pytest.mark.parametrize("config", [CONFIG, NARROW])
def test_a_prior_gives_everything_but_what_belongs_to_its_types_and_pictures(config: FewshotConfig) -> None:
    origin = trainer(replace(config, seed=9), types=2, photographs=slanted(20, 20))
    origin.step(0.5)
    half = {name: {key: value.half() for key, value in each.items()} for name, each in origin.networks().items()}
    run, untouched = trainer(config), trainer(config).state_dict()
    run.load_prior(half)
    own = {"embedding.weight", "heads_by_type.weight", "conditioning", "directions"}
    for name in ("generator", "generator_ema", "discriminator"):
        for key, value in half[name.removesuffix("_ema")].items():
            expected = untouched[f"{name}.{key}"] if key in own else value.float()
            assert torch.equal(run.state_dict()[f"{name}.{key}"], expected), key
    run.step(0.5)


def test_a_prior_of_one_type_serves_a_run_of_several() -> None:
    run = trainer(NARROW, types=2)
    run.load_prior(trainer(replace(NARROW, seed=9), types=1).networks())
    run.step(0.5)


@pytest.mark.parametrize(
    ("config", "other"),
    [(CONFIG, DIRECTED), (DIRECTED, NARROW), (NARROW, WAVELET), (CONFIG, replace(CONFIG, generator_width=4))],
)
def test_a_prior_of_another_shape_is_refused(config: FewshotConfig, other: FewshotConfig) -> None:
    for ours, theirs in ((config, other), (other, config)):
        with pytest.raises((KeyError, RuntimeError)):
            trainer(ours).load_prior(trainer(theirs).networks())


def test_the_penalty_grows_with_the_number_of_pixels_where_layers_are_those_of_half_of_it() -> None:
    assert [replace(NARROW, resolution=each).penalty_scale for each in (32, 64, 128)] == [0.25, 1, 4]
    assert replace(CONFIG, resolution=128).penalty_scale == 1
    plain, scaled = (
        trainer(replace(NARROW, resolution=32, gradient_penalty=each), types=1).step(0.5)["real_penalty"]
        for each in (5.0, 10.0)
    )
    assert scaled == pytest.approx(2 * plain)


@pytest.mark.parametrize("config", [CONFIG, NARROW])
@pytest.mark.parametrize("scratched", [True, False])
def test_an_evaluation_measures_all_signals_that_the_photographs_allow(scratched: bool, config: FewshotConfig) -> None:
    run = trainer(config, photographs=scratches(140) if scratched else noise(140))
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


def test_nothing_is_tested_where_the_configuration_decides_on_every_symmetry() -> None:
    decided = replace(CONFIG, horizontal_flip=True, vertical_flip=False, transposition=False)
    assert trainer(decided, types=1, count=40).analysis()["augmentation"][0] == {
        "horizontal_flip": {"used": True, "p_value": None},
        "vertical_flip": {"used": False, "p_value": None},
        "transposition": {"used": False, "p_value": None},
    }


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
@pytest.mark.parametrize("config", [CONFIG, NARROW])
def test_a_recorded_step_gives_the_same_weights_and_penalties_as_an_eager_one(config: FewshotConfig) -> None:
    """Covers the warm steps, the recording, changing rates and penalties, and a reduction of the learning rate."""
    eager, recorded = (trainer(replace(config, cuda_graph=graph), device="cuda") for graph in (False, True))
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
