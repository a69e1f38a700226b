"""Every measure declares all that history, health and documentation need; one file adds a measure."""

from pathlib import Path

import pytest

from flawsmith.models.quality import measures, registry
from flawsmith.models.quality.measure import Measure

TOY = """
from flawsmith.models.quality.measure import Measure


def prepare(photographs):
    return lambda samples: samples.images.float().mean().item()

MEASURES = (Measure("{name}", "mean gray value", "higher", prepare=prepare),)
"""


@pytest.mark.parametrize("measure", registry.MEASURES, ids=lambda each: each.name)
def test_a_threshold_has_a_direction_and_a_sentence(measure: Measure) -> None:
    assert measure.meaning
    if measure.warning is not None or measure.failing is not None:
        assert measure.better in ("lower", "higher")
        assert measure.sentence.format(value=0.5, step=3, warning=measure.warning, failing=measure.failing)


def test_the_leading_measure_is_one_of_an_evaluation() -> None:
    assert not registry.BY_NAME[registry.LEADING].each_step


def test_a_file_in_the_package_adds_a_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_brightness.py").write_text(TOY.format(name="brightness"))
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    names = [each.name for each in registry.declared()]
    assert set(names) == {*registry.BY_NAME, "brightness"}


def test_two_measures_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_distance.py").write_text(TOY.format(name="distance"))
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match="declared twice: distance"):
        registry.declared()
