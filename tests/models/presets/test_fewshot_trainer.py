"""A training run on few photographs, without its I/O."""

from dataclasses import replace

import pytest
import torch

from flawsmith.models.presets.fewshot.trainer import FewshotConfig, FewshotTrainer

CONFIG = FewshotConfig(
    resolution=32,
    channels=1,
    seed=3,
    latent_size=8,
    generator_width=2,
    discriminator_width=4,
    learning_rate=4e-4,
    gradient_penalty=5.0,
    average_images=10_000,
    augment_probability=0.7,
    augment_shift=0.125,
    augment_brightness=0.2,
    augment_contrast=0.25,
    batch_size=4,
)


def trainer(config: FewshotConfig = CONFIG, types: int = 2, count: int = 10, device: str = "cpu") -> FewshotTrainer:
    images = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return FewshotTrainer(config, images, torch.arange(count) % types, types, torch.device(device))


def test_a_step_tells_losses_penalties_and_how_the_pairs_are_told_apart() -> None:
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
def test_a_saved_run_goes_on_bit_by_bit_as_if_it_had_never_stopped(stop: int) -> None:
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


def test_looking_changes_nothing_of_the_run() -> None:
    looked_at, left_alone = trainer(), trainer()
    for _ in range(2):
        looked_at.step(0.5)
        looked_at.preview()
        looked_at.evaluate()
        left_alone.step(0.5)
    wanted = left_alone.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in looked_at.state_dict().items())


def test_another_seed_is_another_run() -> None:
    assert trainer().step(0.5) != trainer(replace(CONFIG, seed=4)).step(0.5)


def test_the_generator_to_draw_with_is_the_moving_average() -> None:
    run = trainer(replace(CONFIG, average_images=4, batch_size=4))
    run.completed_steps = 1000  # so that the half-life is no longer bound by the images seen
    before = run.networks()["generator"]
    run.step(0.5)
    after, newest = run.networks()["generator"], run.generator.state_dict()
    for name, value in after.items():
        if name != "conditioning":
            torch.testing.assert_close(value, (before[name] + newest[name]) / 2)
    assert not torch.equal(after["last.weight"], newest["last.weight"])


def test_early_the_average_is_of_few_steps() -> None:
    run = trainer()
    run.step(0.5)
    assert torch.equal(run.generator_ema.first.weight, run.generator.first.weight)


def test_penalties_weigh_as_much_at_the_end_as_at_first() -> None:
    first, last = (trainer(types=1).step(progress) for progress in (0.0, 1.0))
    assert first["real_penalty"] > 0
    assert first["real_penalty"] == last["real_penalty"]
    assert first["fake_penalty"] == last["fake_penalty"]


def test_rates_fall_and_the_type_comes_in_over_the_run() -> None:
    run = trainer()
    rates, told = [], []
    for progress in (0.0, 0.27, 0.5, 1.0):
        run.step(progress)
        rates.append(run.generator_optimiser.param_groups[0]["lr"])
        told.append(run.generator_ema.conditioning.item())
    assert rates[0] == CONFIG.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(CONFIG.learning_rate / 4)
    assert told == pytest.approx([0, 0.48, 1, 1])


def test_a_run_of_one_type_is_told_no_type() -> None:
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
    assert torch.equal(run.preview(), trainer(replace(CONFIG, seed=9)).samples.preview(origin.generator_ema))


def test_an_evaluation_tells_the_signals_of_the_run() -> None:
    run = trainer(count=140)
    run.step(0.5)
    signals = run.evaluate()
    assert {
        "distance",
        "diversity",
        "near_duplicates",
        "memorization_rate",
        "nearest_distance",
        "overfitting_r_v",
    } == set(signals)
    assert signals == run.evaluate()


def test_photographs_kept_aside_are_never_trained_on() -> None:
    run = trainer(types=1, count=140)
    assert len(run.images) == 126
    assert len(run.holdout) == 14
    assert run.steps_per_epoch == 35
    distances = torch.cdist(run.images.flatten(1).float(), run.holdout.flatten(1).float())
    assert distances.min() > 0
    assert len(trainer(types=1, count=20).holdout) == 0


def test_the_turns_that_are_used_are_found_out_or_as_the_configuration_says() -> None:
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


def test_a_run_can_be_made_gentler_and_stays_so_when_it_is_taken_up_again() -> None:
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
def test_a_recorded_step_gives_the_weights_and_penalties_of_the_step_as_it_is() -> None:
    """Through the warm steps, the recording, a change of rates and penalties, and a return to gentler settings."""
    as_it_is, recorded = (trainer(replace(CONFIG, cuda_graph=graph), device="cuda") for graph in (False, True))
    for number in range(16):
        expected, measured = as_it_is.step(number / 16), recorded.step(number / 16)
        assert measured["real_penalty"] > 0
        assert measured["fake_penalty"] > 0
        for name, value in expected.items():
            torch.testing.assert_close(measured[name], value, rtol=1e-3, atol=1e-4)
        if number == 8:
            as_it_is.reduce_learning_rate()
            recorded.reduce_learning_rate()
    assert recorded.captured is not None
    assert recorded.captured.recorded
    for name, weights in as_it_is.state_dict().items():
        torch.testing.assert_close(recorded.state_dict()[name], weights, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_recorded_run_that_is_taken_up_again_goes_on_as_it_would_have() -> None:
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
