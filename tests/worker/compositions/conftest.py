"""Fixtures of compositions without a service."""

from pathlib import Path

import pytest
from tests.worker.compositions.material import Workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Datasets that tests only read."""
    root: Path = tmp_path_factory.mktemp("workshop")
    return Workshop(root)
