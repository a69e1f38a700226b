"""What the measures' thresholds say of a run, in words."""

import pytest

from flawsmith.core.domain.health import judge
from flawsmith.core.domain.records import Health, HealthState
from flawsmith.models.quality.registry import MEASURES

GOOD = {"distance": 0.02, "diversity": 0.95, "near_duplicates": 0.0, "memorization_rate": 0.0, "overfitting_r_v": 0.1}
LOSSES = {"discriminator_loss": 0.6, "real_penalty": 0.1, "fake_penalty": 0.1, "sign_rate": 0.3}


def verdict(**signals: float) -> Health:
    history = [{"step": 10 * number, **LOSSES, **GOOD, **signals} for number in (1, 2, 3)]
    return judge([], history=history, progress=0.75, criteria=MEASURES)


def test_a_run_within_all_thresholds_is_good() -> None:
    assert verdict() == Health(state=HealthState.GOOD, reasons=[])


@pytest.mark.parametrize(
    ("signal", "value", "state", "words"),
    [
        ("diversity", 0.5, "warning", "samples are too much alike: they differ 50% as much"),
        ("diversity", 0.2, "failing", "samples are too much alike: they differ 20% as much"),
        ("near_duplicates", 0.2, "warning", "20% of the pairs of samples are nearly the same"),
        ("memorization_rate", 0.31, "warning", "31% of the samples are near-copies"),
        ("overfitting_r_v", 1.4, "warning", "by heart"),
        (
            "distance",
            0.3,
            "warning",
            "after 30 steps samples do not look like the photographs yet: their distance is 0.30",
        ),
        ("distance", 0.8, "failing", "their distance is 0.80, where 0.1 is near"),
        ("sign_rate", 0.95, "warning", "tells every photograph from every sample"),
        ("real_penalty", 20.0, "warning", "a lower gradient_penalty would let it learn"),
        ("fake_penalty", 20.0, "warning", "a lower gradient_penalty would let it learn"),
    ],
)
def test_each_signal_beyond_its_threshold_is_one_reason(signal: str, value: float, state: str, words: str) -> None:
    health = verdict(**{signal: value})
    assert health.state == state
    assert len(health.reasons) == 1
    assert words in health.reasons[0]


def test_both_penalties_are_one_reason() -> None:
    assert len(verdict(real_penalty=20.0, fake_penalty=20.0).reasons) == 1
