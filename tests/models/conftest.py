"""Every test draws the same random numbers, in whatever order the tests run."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
