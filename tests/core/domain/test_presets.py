"""The registry of presets."""

import pytest

from flawsmith.core.domain.presets.preset import Length, Overrides, Preset
from flawsmith.core.domain.presets.registry import PRESETS, PresetRegistry


class BatchSizeAlone(Overrides):
    batch_size: int = 1


class Another(Preset):
    name = "dcgan"
    overrides = BatchSizeAlone


def test_two_presets_of_one_name_are_refused() -> None:
    registry = PresetRegistry()
    registry.add(PRESETS["dcgan"])
    registry.add(PRESETS["dcgan"])
    with pytest.raises(ValueError, match="two presets are named 'dcgan'"):
        registry.add(Another())
    assert registry["dcgan"] is PRESETS["dcgan"]


def test_overrides_without_a_batch_size_are_refused() -> None:
    preset = Another()
    preset.overrides = Overrides
    with pytest.raises(ValueError, match="'dcgan' must have a batch_size"):
        PresetRegistry().add(preset)


class WithASeed(BatchSizeAlone):
    seed: int = 0


def test_overrides_named_as_a_field_of_every_job_are_refused() -> None:
    preset = Another()
    preset.overrides = WithASeed
    with pytest.raises(ValueError, match="every job has a seed"):
        PresetRegistry().add(preset)


@pytest.mark.parametrize("both", [(None, None), (1, 1)])
def test_a_length_has_either_epochs_or_steps(both: tuple[int | None, int | None]) -> None:
    with pytest.raises(ValueError, match="either epochs or steps"):
        Length(*both)
