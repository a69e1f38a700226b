"""A generator made ready to draw: the same images, whatever their neighbours."""

import pytest
import torch
from torch import Tensor, nn

from flawsmith.models.inference.session import InferenceSession, Precision, fuse_batch_norm, qualified_precision
from flawsmith.models.pixels import render
from flawsmith.models.presets.dcgan.networks import Generator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generator() -> Generator:
    """With running statistics and contrast as training leaves them."""
    torch.manual_seed(0)
    network = Generator(32, 1, 20, 8, 2)
    with torch.no_grad():
        for layer in network.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.mul_(3)
        for _ in range(30):
            network(torch.randn(16, 20), torch.arange(16) % 2)
    return network.eval()


def latents(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(1)), torch.arange(count) % 2


def test_folding_changes_no_image_by_more_than_rounding(generator: Generator) -> None:
    told = latents(16)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fuse_batch_norm(generator).modules())
    drawn = InferenceSession(generator, 20, 16, "float32", CPU)(*told)
    assert (drawn.permute(0, 3, 1, 2).int() - render(generator, *told).int()).abs().max() <= 1
    assert drawn.float().std() > 10


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_image_does_not_depend_on_its_neighbours(generator: Generator, precision: Precision) -> None:
    draw = InferenceSession(generator, 20, 16, precision, CPU)
    z, types = latents(16)
    pipeline = draw(z, types)
    for place in (0, 7, 15):
        assert torch.equal(draw(z[place : place + 1], types[place : place + 1])[0], pipeline[place])
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    assert torch.equal(draw(z[order], types[order]), pipeline[order])


def test_a_faster_precision_is_taken_only_where_its_images_are_within_a_gray_level(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawsmith.models.inference.session._has_bfloat16", lambda device: True)
    told = latents(32)
    exact, fast = (
        InferenceSession(generator, 20, 16, each, CPU)(told[0][:16], told[1][:16]) for each in ("float32", "bfloat16")
    )
    apart = (exact.int() - fast.int()).abs().max().item()
    assert qualified_precision(generator, *told, 16, CPU) == ("float32" if apart > 1 else "bfloat16")
    with torch.no_grad():
        flat = Generator(32, 1, 20, 8, 2).eval()
        flat.layers[-2].weight.zero_()
    assert qualified_precision(flat, *told, 16, CPU) == "bfloat16"
    monkeypatch.setattr("flawsmith.models.inference.session._has_bfloat16", lambda device: False)
    assert qualified_precision(flat, *told, 16, CPU) == "float32"
