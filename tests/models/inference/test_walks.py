"""Walks stay as far from the origin as their ends."""

import torch

from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.walks import slerp

START, END = latent(1, "pits", 64), latent(2, "pits", 64)


def test_a_walk_has_both_ends_and_keeps_the_length() -> None:
    walk = slerp(START, END, 5)
    assert torch.allclose(walk[0], START, atol=1e-5)
    assert torch.allclose(walk[-1], END, atol=1e-5)
    lengths = walk.norm(dim=1)
    assert lengths.min() > 0.95 * min(START.norm(), END.norm())


def test_a_walk_makes_equal_steps() -> None:
    start, end = START / START.norm(), END / END.norm()
    steps = slerp(start, end, 6).diff(dim=0).norm(dim=1)
    assert torch.allclose(steps, steps[:1].expand(5), atol=1e-4)


def test_a_walk_to_itself_stays() -> None:
    assert torch.allclose(slerp(START, START, 3), START.expand(3, -1), atol=1e-5)
