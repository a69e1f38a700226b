"""Fixtures of exports without a service."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.worker.exports.labelled_source import Site

from flawsmith.core.domain.export_layouts import ExportLayout, LabelKind
from flawsmith.worker import export

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
    """Makes a site with a job; the newest one's store is the worker's."""

    def make(
        layout: ExportLayout, count: int = 12, labels: LabelKind = LabelKind.MASKS, name: str = "site", **config: Any
    ) -> Site:
        site = Site(tmp_path / name, layout, count, labels, **config)
        monkeypatch.setattr(export, "services", lambda: SimpleNamespace(store=site.store))
        return site

    return make
