"""Fixtures of exports without a service."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.worker.exports.labelled_source import Site

from flawsmith.core.domain.export_layouts import ExportLayout, LabelKind

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """Makes a site with a job."""

    def make(
        layout: ExportLayout, count: int = 12, labels: LabelKind = LabelKind.MASKS, name: str = "site", **config: Any
    ) -> Site:
        return Site(tmp_path / name, layout, count, labels, **config)

    return make
