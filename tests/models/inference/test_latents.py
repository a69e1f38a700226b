"""Latents from addresses."""

import torch

from flawsmith.models.inference.latents import latent


def test_a_latent_is_standard_normal() -> None:
    values = torch.cat([latent(seed, "scratches", 101) for seed in range(500)])
    assert abs(values.mean().item()) < 0.02
    assert abs(values.std().item() - 1) < 0.02
    assert abs((values.abs() < 1.96).float().mean().item() - 0.95) < 0.01


def test_every_part_of_the_address_counts() -> None:
    one = latent(7, "scratches", 10)
    assert torch.equal(one, latent(7, "scratches", 10))
    assert not torch.equal(one, latent(8, "scratches", 10))
    assert not torch.equal(one, latent(7, "dents", 10))
    candidates = [latent(7, "scratches", 10, each) for each in range(32)]
    assert torch.equal(candidates[0], one)
    assert len({tuple(each.tolist()) for each in candidates}) == 32


def test_the_latent_of_an_address_never_changes() -> None:
    """If a new version of a library changed these numbers, it would change every image ever given out."""
    values = latent(2**53 - 1, "scratches", 3)
    assert [round(value, 6) for value in values.tolist()] == [-0.692515, 0.221915, -0.69818]
    values = latent(2**53 - 1, "scratches", 3, 31)
    assert [round(value, 6) for value in values.tolist()] == [1.051748, -0.714222, -0.879477]
