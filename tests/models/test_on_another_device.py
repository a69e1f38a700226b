"""Trainers, evaluator, classifier and sampling on a pretended accelerator: they give what they give on the CPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.presets.dcgan.runs import CONFIG as DCGAN
from tests.models.presets.fewshot.runs import CONFIG, DIRECTED, KINDS, NARROW, WAVELET, scratches
from tests.pretended_device import PRETENDED, PretendedDevice
from torch import Tensor

from flawsmith.models.evaluation.classifier import Classifier
from flawsmith.models.inference.session import InferenceSession, qualified_precision
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.presets.dcgan.trainer import DcganTrainer
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.fewshot.prior_trainer import PriorTrainer
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.training.photograph_masks import PhotographMasks

CPU = torch.device("cpu")
COUNT, TYPES = 20, 2
EVALUATED = 140  # of which some are held out
MASKED = replace(NARROW, channels=3)
DECIDED = dict.fromkeys(("horizontal_flip", "vertical_flip", "transposition"), True)  # so that nothing is tested

AnyTrainer = FewshotTrainer | DcganTrainer
Build = Callable[[torch.device], AnyTrainer]
Careful = Callable[[], AbstractContextManager[None]]


def types_of(count: int = COUNT) -> Tensor:
    return torch.arange(count) % TYPES


def fewshot(
    device: torch.device, config: FewshotConfig = CONFIG, masks: bool = False, count: int = COUNT
) -> FewshotTrainer:
    images = scratches(count)
    known = PhotographMasks((images > 200).byte() * 255, torch.arange(count) % 2 == 0) if masks else None
    return FewshotTrainer(config, images.repeat(1, config.channels, 1, 1), types_of(count), TYPES, device, masks=known)


def dcgan(device: torch.device, count: int = COUNT) -> DcganTrainer:
    return DcganTrainer(DCGAN, scratches(count), types_of(count), TYPES, device)


FEWSHOT: dict[str, Callable[[torch.device], FewshotTrainer]] = {
    "fewshot": fewshot,
    "fewshot with directions": lambda device: fewshot(device, DIRECTED),
    "fewshot with kinds": lambda device: fewshot(device, KINDS, count=80),
    "fewshot as from 128 px": lambda device: fewshot(device, NARROW),
    "fewshot with bands": lambda device: fewshot(device, WAVELET),
    "fewshot with masks": lambda device: fewshot(device, MASKED, masks=True),
}
TRAINERS: dict[str, Build] = {**FEWSHOT, "dcgan": dcgan}


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, each in wanted.items():
        torch.testing.assert_close(found[name], each, rtol=1e-5, atol=1e-6, msg=name)


def state_of(run: AnyTrainer) -> dict[str, Tensor]:
    return {name: each.cpu().contiguous() for name, each in run.state_dict().items()}


def life_of(build: Build, device: torch.device, steady: Careful) -> tuple[AnyTrainer, dict[str, float]]:
    """A run that is resumed where a CPU left it, goes on, is rolled back and goes on; and its last losses."""
    first, run = build(CPU), build(device)
    first.step(0.3)
    run.load_state_dict(state_of(first))
    for progress in (0.4, 0.5, 0.6):
        with steady():
            run.step(progress)
    run.load_networks(first.networks())
    run.reduce_learning_rate()
    losses = run.step(0.7)
    with steady():
        losses = run.step(0.8)
    return run, {name: float(each) for name, each in losses.items()}


@pytest.mark.parametrize("build", TRAINERS.values(), ids=list(TRAINERS))
def test_a_run_is_that_of_the_cpu_and_its_steps_wait_for_nothing(build: Build) -> None:
    wanted, wanted_losses = life_of(build, CPU, nullcontext)
    with PretendedDevice() as device:
        run, losses = life_of(build, PRETENDED, device.steady)
        assert {each.device for each in run.generator.parameters()} == {PRETENDED}
        assert_same(state_of(run), state_of(wanted))
        assert losses == pytest.approx(wanted_losses, rel=1e-4)
        assert (run.preview().int() - wanted.preview().int()).abs().max() <= 1
        assert run.analysis() == wanted.analysis()


@pytest.mark.parametrize(
    "build",
    [lambda device: fewshot(device, replace(MASKED, **DECIDED), masks=True, count=EVALUATED), dcgan],
    ids=["fewshot with masks", "dcgan"],
)
def test_an_evaluation_measures_what_it_measures_on_the_cpu(build: Build) -> None:
    wanted = build(CPU)
    wanted.step(0.5)
    with PretendedDevice():
        run = build(PRETENDED)
        run.step(0.5)
        assert run.evaluate() == pytest.approx(wanted.evaluate(), rel=1e-4)


@pytest.mark.parametrize("build", FEWSHOT.values(), ids=list(FEWSHOT))
def test_what_a_graph_records_of_a_step_takes_nothing_from_the_host(
    build: Callable[[torch.device], FewshotTrainer],
) -> None:
    with PretendedDevice() as device:
        run = build(PRETENDED)
        run.step(0.5)  # makes the optimisers' state
        inputs = run._draw_inputs()
        with device.recording():
            run._update_both(inputs)


def test_masks_are_previewed_as_on_the_cpu() -> None:
    wanted = fewshot(CPU, MASKED, masks=True).preview_masks()
    with PretendedDevice():
        found = fewshot(PRETENDED, MASKED, masks=True).preview_masks()
    assert found is not None
    assert wanted is not None
    assert torch.equal(found, wanted)


def test_a_prior_draws_its_latents_on_the_device() -> None:
    with PretendedDevice() as device:
        run = PriorTrainer(vars(NARROW), scratches(COUNT), PRETENDED)
        run.step(0.2)
        with device.steady():
            run.step(0.3)
        assert {each.device.type for each in run.prior()["generator"].values()} == {"cpu"}


def test_a_classifier_learns_what_it_learns_on_the_cpu() -> None:
    def trained(device: torch.device, steady: Careful) -> tuple[dict[str, Tensor], Tensor]:
        first, second = (Classifier(scratches(COUNT), types_of(), TYPES, 0, device, steps=6) for _ in range(2))
        first.step()
        second.load_state_dict({name: each.cpu() for name, each in first.state_dict().items()})
        for _ in range(2):
            with steady():
                second.step()
        return {name: each.cpu() for name, each in second.state_dict().items()}, second.classify(scratches(COUNT))

    wanted, wanted_types = trained(CPU, nullcontext)
    with PretendedDevice() as device:
        found, types = trained(PRETENDED, device.steady)
    assert_same(found, wanted)
    assert torch.equal(types, wanted_types)


def generator(config: FewshotConfig = NARROW) -> Generator:
    """With noise and directions, as training leaves them."""
    return fewshot(CPU, config).ema.module.eval()


def given(network: Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    angles = torch.tensor([[0.0, 180.0], [30.0, 60.0], [170.0, 10.0]])[torch.arange(count) % 3]
    return torch.randn(count, network.latent_size, generator=random), torch.arange(count) % TYPES, angles


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_session_samples_what_it_samples_on_the_cpu(precision: Any) -> None:
    network, asked = generator(), given(generator(), 5)
    with PretendedDevice() as device:
        session, plain = (
            InferenceSession(network, network.latent_size, 8, precision, each) for each in (PRETENDED, CPU)
        )
        assert torch.equal(session.sample(*asked), plain.sample(*asked))
        assert torch.equal(session.sample(*asked[:2]), plain.sample(*asked[:2]))
        with device.recording():  # as a captured pass
            session._pass(session.latents, session.type_index, session.angles)


def test_a_precision_is_qualified_on_the_device() -> None:
    network = generator()
    latents, types, _ = given(network, 20)
    with PretendedDevice():
        for candidates in (("bfloat16", "float32"), ("float32",)):
            wanted, found = (
                qualified_precision(network, latents, types, 8, each, candidates) for each in (CPU, PRETENDED)
            )
            assert found == wanted


def test_feature_maps_and_learned_masks_are_those_of_the_cpu() -> None:
    network = fewshot(CPU, MASKED, masks=True).ema.module
    asked = given(network, 3)
    with PretendedDevice():
        there, here = (FeatureMaps(network, each) for each in (PRETENDED, CPU))
        for inputs in (asked, asked[:2]):
            images_there, maps = there(*inputs)
            images_here, wanted = here(*inputs)
            for found, expected in zip([images_there, *maps], [images_here, *wanted], strict=True):
                torch.testing.assert_close(found.cpu(), expected)
            torch.testing.assert_close(there.masks(*inputs).cpu(), here.masks(*inputs))
