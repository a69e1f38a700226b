"""How numbers change over a run."""

import pytest

from flawsmith.models.training.schedule import cosine_decay, linear_ramp


def test_cosine_decay() -> None:
    assert [cosine_decay(progress, 0.25) for progress in (0, 0.5, 1)] == pytest.approx([1, 0.625, 0.25])


def test_linear_ramp() -> None:
    assert [linear_ramp(progress, 0.2, 0.6) for progress in (0, 0.2, 0.3, 0.6, 1)] == pytest.approx([0, 0, 0.25, 1, 1])
