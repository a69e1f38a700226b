"""Runs of the preset for few photographs that learn masks together with the images."""

from dataclasses import replace

import pytest
import torch
from tests.models.presets.fewshot.runs import CONFIG, DIRECTED, NARROW, noise, scratches, trainer
from torch import Tensor

from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.networks import Discriminator
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.presets.fewshot.updates import Pairs, View, update_discriminator
from flawsmith.models.training.augmentation import Strength, Symmetries, augment, sample_augmentation
from flawsmith.models.training.objectives import relativistic_discriminator_loss
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.models.training.share import Share

CONFIGS = [CONFIG, DIRECTED, NARROW, replace(NARROW, channels=3)]
CPU = torch.device("cpu")
GAMMA, PAIRS = 3.0, 4


def half_known(images: Tensor) -> PhotographMasks:
    """Every second image has a mask: the bright pixels."""
    bright = (images[:, :1] > 200).byte() * 255
    return PhotographMasks(bright, torch.arange(len(images)) % 2 == 0)


def masked(config: FewshotConfig = DIRECTED, count: int = 12, device: str = "cpu") -> FewshotTrainer:
    images = scratches(count).repeat(1, config.channels, 1, 1)
    types = torch.arange(count) % 2
    return FewshotTrainer(config, images, types, 2, torch.device(device), masks=half_known(images))


@pytest.mark.parametrize("config", CONFIGS)
def test_images_are_those_of_the_same_generator_with_masks_behind(config: FewshotConfig) -> None:
    run = masked(config)
    for _ in range(3):
        run.step(0.5)
    network = run.ema.module.eval()
    latents, types = torch.randn(5, network.latent_size), torch.arange(5) % 2
    with torch.no_grad():
        both = network.with_masks(latents, types)
        assert torch.equal(both[:, :-1], network(latents, types))
    assert both.shape == (5, config.channels + 1, 32, 32)
    assert both[:, -1].std() > 0
    assert run.preview().shape == (16, config.channels, 32, 32)  # pictures and figures show images alone
    masks = run.preview_masks()
    assert masks is not None
    assert masks.shape == (16, 1, 32, 32)
    assert set(masks.unique().tolist()) <= {0, 255}
    assert trainer().preview_masks() is None
    assert run.evaluate()["distance"] > 0


@pytest.mark.parametrize("config", [CONFIG, NARROW])
@pytest.mark.parametrize("stop", [1, 5])
def test_a_resumed_run_continues_bit_by_bit(config: FewshotConfig, stop: int) -> None:
    whole, first, rest = masked(config), masked(config), masked(config)
    for _ in range(8):
        whole.step(0.5)
    for _ in range(stop):
        first.step(0.5)
    rest.load_state_dict({name: value.contiguous().clone() for name, value in first.state_dict().items()})
    for _ in range(8 - stop):
        rest.step(0.5)
    final, wanted = rest.state_dict(), whole.state_dict()
    assert final.keys() == wanted.keys()
    assert all(torch.equal(final[name], wanted[name]) for name in wanted)


def test_photographs_without_a_mask_teach_images_alone() -> None:
    images, unknown = scratches(12), torch.zeros(12, dtype=torch.bool)
    blank, other = (
        FewshotTrainer(
            DIRECTED, images, torch.zeros(12, dtype=torch.int64), 1, CPU, masks=PhotographMasks(each, unknown)
        )
        for each in (torch.zeros_like(images), noise(12))
    )
    before = other.networks()
    for _ in range(3):
        assert blank.step(0.5) == other.step(0.5)  # what lies in place of a mask has no effect
    after = other.networks()
    assert all(
        torch.equal(before["generator"][name], each) for name, each in after["generator"].items() if "mask" in name
    )
    assert not torch.equal(before["generator"]["last.weight"], after["generator"]["last.weight"])
    own = torch.tensor([channel == 1 for channel in range(2)])
    assert not after["discriminator"]["convolutions.0.weight"][:, own].any()


def test_masks_of_known_photographs_teach_both_networks() -> None:
    run = masked()
    for _ in range(4):
        run.step(0.5)
    assert run.generator.mask_head.mask.weight.abs().max() > 0
    assert run.discriminator.convolutions[0].weight[:, -1].abs().max() > 0


@pytest.mark.parametrize("bands", [False, True])
def test_gradients_with_hidden_masks_agree_with_automatic_differentiation(bands: bool) -> None:
    torch.manual_seed(0)
    network = Discriminator(32, 2, width=4, types=1, wavelet=bands, masks=True).double()
    torch.nn.init.normal_(network.convolutions[0].weight, std=0.3)
    flips = torch.ones(1, dtype=torch.bool)
    types, shown = torch.zeros(PAIRS, dtype=torch.int64), torch.tensor([True, False, False, True])
    parameters = sample_augmentation(
        types, 32, Strength(1, 0.2, 0.3, 0.3), Symmetries(flips, flips, flips), torch.Generator().manual_seed(1)
    )
    real, fake = torch.randn(2, PAIRS, 3, 32, 32, dtype=torch.float64)

    # An image whose mask is hidden is an image alone, and its penalty that of the gradient by the image.
    images, masks = (each.requires_grad_() for each in torch.cat([real, fake]).tensor_split([2], 1))
    seen = masks * shown.repeat(2)[:, None, None, None]
    moved = augment(torch.cat([images, seen], 1), parameters, 2)
    logits = network(moved, types.repeat(2))
    gradients = torch.autograd.grad(logits.sum(), [images, masks], create_graph=True)
    norms = sum(each.square().sum((1, 2, 3)) for each in gradients)
    assert not gradients[1][1].any()
    (relativistic_discriminator_loss(*logits.chunk(2)) + GAMMA / 2 * norms.sum() / PAIRS).backward()
    expected = {name: each.grad.clone() for name, each in network.named_parameters()}
    network.zero_grad()

    still = torch.optim.SGD(network.parameters(), lr=0.0)
    pairs, gamma = Pairs(real, fake, types, None), torch.tensor(GAMMA, dtype=torch.float64)
    measured = update_discriminator(network, still, pairs, View(parameters, shown), gamma, Share())
    for name, each in network.named_parameters():
        torch.testing.assert_close(each.grad, expected[name], msg=name)
    torch.testing.assert_close(measured["real_penalty"], GAMMA / 2 * norms[:PAIRS].mean().detach())


@pytest.mark.parametrize("config", CONFIGS)
def test_a_prior_gives_all_but_what_makes_and_sees_masks(config: FewshotConfig) -> None:
    photographs = scratches(12).repeat(1, config.channels, 1, 1)
    prior = trainer(replace(config, seed=9), photographs=photographs)
    prior.step(0.5)
    half = {name: {key: value.half() for key, value in each.items()} for name, each in prior.networks().items()}
    run, plain = masked(config), trainer(config, photographs=photographs)
    for each in (run, plain):
        each.load_prior(half)
        assert not each.generator.conditioning
    assert torch.equal(run.preview(), plain.preview())
    images, types = torch.randn(4, config.channels, 32, 32), torch.zeros(4, dtype=torch.int64)
    told = torch.ones(4, 2) if config.direction else None
    with torch.no_grad():
        alone = plain.discriminator(images, types, told)
        torch.testing.assert_close(run.discriminator(images, types, told), alone)
        behind = torch.cat([images, torch.randn(4, 1, 32, 32)], 1)
        torch.testing.assert_close(run.discriminator(behind, types, told), alone)  # it ignores masks at first
        both = run.generator.with_masks(torch.randn(2, run.generator.latent_size), types[:2])
    assert not both[:, -1].any()
    run.step(0.5)


def test_a_run_goes_on_from_a_version_that_knows_no_masks_and_from_one_that_does() -> None:
    plain, run, again = trainer(DIRECTED, photographs=scratches(12)), masked(), masked(replace(DIRECTED, seed=8))
    plain.step(0.5)
    run.load_networks(plain.networks())
    assert torch.equal(run.generator.last.weight, plain.ema.module.last.weight)
    run.step(0.5)
    again.load_networks(run.networks())
    for name, each in again.networks()["generator"].items():
        assert name == "directions" or torch.equal(each, run.networks()["generator"][name]), name
    with pytest.raises(RuntimeError):
        plain.load_networks(run.networks())


def test_a_prior_of_other_colours_is_refused() -> None:
    gray = trainer(DIRECTED, photographs=scratches(12)).networks()
    with pytest.raises((KeyError, RuntimeError)):
        masked(replace(DIRECTED, channels=3)).load_prior(gray)


@pytest.mark.gpu
def test_a_recorded_step_gives_the_same_weights_as_an_eager_one() -> None:
    eager, recorded = (masked(replace(NARROW, cuda_graph=graph), device="cuda") for graph in (False, True))
    for number in range(16):
        eager.step(number / 16)
        recorded.step(number / 16)
    assert recorded.captured is not None
    assert recorded.captured.recorded
    for name, weights in eager.state_dict().items():
        torch.testing.assert_close(recorded.state_dict()[name], weights, rtol=1e-3, atol=1e-4)
