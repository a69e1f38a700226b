"""What samples lack of the photographs' directions and brightness."""

import pytest
import torch
from tests.models.pictures import blots, brighter, streaks

from flawsmith.models.quality.property_shares import (
    brightness_shares,
    direction_shares,
    lacking_directions,
)


def test_a_direction_that_no_sample_has_is_lacking() -> None:
    upright, level = streaks(seed=0), streaks(seed=1).transpose(2, 3)
    shares = direction_shares(torch.cat([upright, level]), streaks(seed=2))
    assert [(each.low, each.high) for each in shares] == [
        (165, 15),
        (15, 45),
        (45, 75),
        (75, 105),
        (105, 135),
        (135, 165),
    ]
    [(name, share)] = lacking_directions(shares)
    assert name == "level"
    assert share.photographs == pytest.approx(0.5, abs=0.02)
    assert share.samples == 0


def test_nothing_is_lacking_where_samples_are_alike() -> None:
    assert lacking_directions(direction_shares(streaks(seed=0), streaks(seed=2))) == []
    assert not any(each.lacking for each in brightness_shares(blots(seed=0, count=200), blots(seed=1, count=200)))


def test_brightness_ranges_cover_both_sides() -> None:
    photographs, samples = blots(seed=0, count=200), brighter(brighter(blots(seed=1, count=200)))
    shares = brightness_shares(photographs, samples)
    assert sum(each.photographs for each in shares) == pytest.approx(1)
    assert sum(each.samples for each in shares) == pytest.approx(1)
    assert any(each.lacking for each in shares)


def test_few_samples_cannot_show_that_something_is_lacking() -> None:
    both = torch.cat([streaks(seed=0, count=5), streaks(seed=1, count=5).transpose(2, 3)])
    assert lacking_directions(direction_shares(both, streaks(seed=2, count=5))) == []
