"""Inference sessions: the images of the plain generator, whatever else is in the batch."""

import copy

import pytest
import torch
from torch import Tensor, nn

from flawsmith.models.inference.session import (
    InferenceSession,
    Precision,
    device_kind,
    fuse_batch_norm,
    native_precisions,
    qualified_precision,
)
from flawsmith.models.pixels import render
from flawsmith.models.presets.dcgan.networks import Generator
from flawsmith.models.presets.generator import PresetGenerator

CPU = torch.device("cpu")
LATENT_SIZE, BATCH = 20, 16


@pytest.fixture(scope="module")
def generator() -> Generator:
    """With running statistics and contrast as training leaves them."""
    torch.manual_seed(0)
    network = Generator(32, 1, LATENT_SIZE, 8, 2)
    with torch.no_grad():
        for layer in network.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.mul_(3)
        for _ in range(30):
            network(torch.randn(BATCH, LATENT_SIZE), torch.arange(BATCH) % 2)
    return network.eval()


def latents(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, LATENT_SIZE, generator=torch.Generator().manual_seed(1)), torch.arange(count) % 2


def session(generator: nn.Module, precision: Precision = "float32") -> InferenceSession:
    return InferenceSession(generator, LATENT_SIZE, BATCH, precision, CPU)


def test_a_session_samples_the_images_of_the_plain_generator_but_for_rounding(generator: Generator) -> None:
    given = latents(BATCH)
    sampled = session(generator).sample(*given)
    assert sampled.shape == (BATCH, 32, 32, 1)
    assert (sampled.permute(0, 3, 1, 2).int() - render(generator, *given).int()).abs().max() <= 1
    assert sampled.float().std() > 10


def test_a_session_leaves_the_generator_as_it_is(generator: Generator) -> None:
    before = {name: each.clone() for name, each in generator.state_dict().items()}
    session(generator, "bfloat16").sample(*latents(BATCH))
    assert all(torch.equal(before[name], each) for name, each in generator.state_dict().items())


def test_a_fused_generator_has_no_batch_norm(generator: Generator) -> None:
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fuse_batch_norm(generator).modules())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_image_does_not_depend_on_the_others_in_its_batch(generator: Generator, precision: Precision) -> None:
    sample = session(generator, precision).sample
    z, types = latents(BATCH)
    batch = sample(z, types)
    for place in (0, 7, 15):
        assert torch.equal(sample(z[place : place + 1], types[place : place + 1])[0], batch[place])
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(2))
    assert torch.equal(sample(z[order], types[order]), batch[order])


def qualified(generator: nn.Module, candidates: tuple[Precision, ...]) -> Precision:
    return qualified_precision(generator, *latents(40), BATCH, CPU, candidates)


def test_a_faster_precision_qualifies_if_no_pixel_differs_by_more_than_a_gray_level(generator: Generator) -> None:
    for contrast, precision in ((10.0, "float32"), (0.01, "bfloat16")):  # rounding errors grow with the contrast
        network = copy.deepcopy(generator)
        with torch.no_grad():
            network.layers[-2].weight.mul_(contrast)
        assert qualified(network, ("bfloat16", "float32")) == precision


def test_only_candidates_qualify() -> None:
    flat = Generator(32, 1, LATENT_SIZE, 8, 2).eval()
    with torch.no_grad():
        flat.layers[-2].weight.zero_()
    assert qualified(flat, ("float32",)) == "float32"


def test_bfloat16_is_native_where_the_cpu_has_instructions_for_it() -> None:
    fast = ("bfloat16", "float32") if device_kind(CPU) != "cpu" else ("float32",)
    assert native_precisions(CPU) == fast


class Directed(PresetGenerator):
    """Its images have one gray value: where in the range of angles their latent's first number lies."""

    direction, latent_size = True, LATENT_SIZE

    def forward(self, latents: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        assert directions is not None
        return (directions[:, :1, None, None] / 90 - 1).expand(-1, 1, 4, 4)

    def drawn_directions(self, latents: Tensor, type_index: Tensor, angle: Tensor | None = None) -> Tensor:
        assert angle is not None
        where = torch.special.ndtr(latents[:, 0])
        return torch.stack([angle[:, 0] + where * (angle[:, 1] - angle[:, 0]), where], 1)


def angle_of(images: Tensor) -> Tensor:
    return images[:, 0, 0, 0] / 255 * 180


def test_images_have_the_angle_that_was_asked_for() -> None:
    found = angle_of(session(Directed()).sample(*latents(5), torch.tensor([[30.0, 60.0]]).expand(5, 2)))
    assert ((found > 29) & (found < 61)).all()
    assert len(set(found.tolist())) == 5


def test_what_others_were_asked_to_be_changes_no_image() -> None:
    directed, given = session(Directed()), latents(4)
    plain = directed.sample(*given)
    angles = torch.tensor([[0.0, 180.0], [30.0, 60.0], [0.0, 180.0], [90.0, 100.0]])
    mixed = directed.sample(*given, angles)
    assert torch.equal(mixed[::2], plain[::2])
    for number in range(4):
        alone = directed.sample(*(each[number : number + 1] for each in given), angles[number : number + 1])
        assert torch.equal(alone[0], mixed[number])
    assert torch.equal(directed.sample(*given), plain)


def test_a_generator_without_direction_takes_no_angles(generator: Generator) -> None:
    plain = session(generator)
    assert not plain.takes_angles
    with pytest.raises(ValueError, match="takes no angles"):
        plain.sample(*latents(1), torch.tensor([[30.0, 60.0]]))
