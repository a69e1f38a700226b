"""The documentation lists the signals that the code declares."""

from pathlib import Path

import pytest

from flawsmith.models.quality.registry import MEASURES
from flawsmith.models.quality.signal_table import signal_table, with_signal_table

PRESETS = Path(__file__).parents[2] / "docs" / "presets.md"


def test_the_table_in_the_documentation_is_the_current_one() -> None:
    text = PRESETS.read_text()
    assert text == with_signal_table(text), "out of date; run: python docs/write_signal_table.py"


def test_every_measure_has_a_row_with_its_thresholds() -> None:
    rows = signal_table().splitlines()
    assert len(rows) == 2 + len(MEASURES)
    (distance,) = (row for row in rows if row.startswith("| `distance` |"))
    assert "over 0.1 a warning, over 0.5 failing; more than 10 times the best" in distance
    (penalty,) = (row for row in rows if row.startswith("| `real_penalty` |"))
    assert "over 20 times `discriminator_loss` a warning" in penalty


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the markers"):
        with_signal_table("no table here")
