"""What is said of a run, in words."""

import pytest

from flawsmith.core.domain.health import data_warnings, diverged, judge
from flawsmith.core.domain.records import Dataset, Health, HealthState, SizeRange, now

GOOD = {"distance": 0.02, "diversity": 0.95, "near_duplicates": 0.0, "memorization_rate": 0.0, "overfitting_r_v": 0.1}
LOSSES = {"discriminator_loss": 0.6, "real_penalty": 0.1, "fake_penalty": 0.1, "sign_rate": 0.3}


def history(*signals: dict[str, float], losses: dict[str, float] = LOSSES) -> list[dict[str, float]]:
    return [{"step": 10 * (number + 1), **losses, **GOOD, **each} for number, each in enumerate(signals)]


def of(*signals: dict[str, float], progress: float = 0.75, losses: dict[str, float] = LOSSES) -> Health:
    return judge([], [], history(*signals, losses=losses), progress)


def dataset(classes: dict[str, int], warnings: list[str] | None = None) -> Dataset:
    return Dataset(
        id="ds-1", name="d", digest="", image_count=sum(classes.values()), classes=classes, mode="L", rejected=[],
        size=SizeRange(min=(64, 64), max=(64, 64)), warnings=warnings or [], created_at=now(),
    )  # fmt: skip


def test_a_run_without_a_reason_to_doubt_is_good() -> None:
    assert of({}, {}, {}) == Health(state=HealthState.GOOD, reasons=[])


@pytest.mark.parametrize(
    ("signals", "state", "words"),
    [
        ({"diversity": 0.5}, "warning", "alike"),
        ({"diversity": 0.2}, "failing", "alike"),
        ({"near_duplicates": 0.2}, "warning", "nearly the same"),
        ({"memorization_rate": 0.31}, "warning", "31% of the samples are near-copies"),
        ({"overfitting_r_v": 1.4}, "warning", "by heart"),
        ({"distance": 0.3}, "warning", "after 30 steps samples do not look like the photographs yet"),
        ({"distance": 0.8}, "failing", "do not look like the photographs"),
    ],
)
def test_each_signal_is_put_into_words(signals: dict[str, float], state: str, words: str) -> None:
    health = of(signals, signals, signals)
    assert health.state == state
    assert len(health.reasons) == 1
    assert words in health.reasons[0]


@pytest.mark.parametrize(
    ("losses", "words"), [({"sign_rate": 0.95}, "tells every photograph"), ({"real_penalty": 20.0}, "gradient_penalty")]
)
def test_so_is_what_the_losses_say(losses: dict[str, float], words: str) -> None:
    assert words in of({}, {}, {}, losses={**LOSSES, **losses}).reasons[0]


def test_one_bad_evaluation_among_good_ones_is_no_reason() -> None:
    assert of({}, {"diversity": 0.1}, {}).state == "good"


def test_a_run_that_has_just_begun_is_not_judged_until_it_is_over() -> None:
    assert of({"diversity": 0.0}, progress=1.0).state == "failing"
    assert of({"diversity": 0.0}, progress=0.1).state == "good"


def test_doubts_and_mishaps_are_warnings_from_the_start() -> None:
    assert judge(["few"], ["went back"], [], 0.0) == Health(state=HealthState.WARNING, reasons=["few", "went back"])


def test_a_run_whose_samples_went_away_has_diverged() -> None:
    away = history({}, {"distance": 50}, {"distance": 60}, {"distance": 70})
    assert "distance was 0.02, and is 70" in (diverged(away, since=0) or "")
    assert diverged(away, since=20) is None  # only two evaluations since it went on
    assert diverged(history({}, {"distance": 50}, {}, {"distance": 70}), since=0) is None


def test_a_run_whose_samples_became_alike_has_diverged_but_not_one_whose_never_differed() -> None:
    alike: dict[str, float] = {"diversity": 0.1}
    assert "alike" in (diverged(history({}, alike, alike, alike), since=0) or "")
    assert diverged(history(alike, alike, alike, alike), since=0) is None


def test_few_photographs_and_uneven_types_are_doubtful() -> None:
    assert data_warnings(dataset({"a": 100})) == []
    assert "20 photographs of 'a'" in data_warnings(dataset({"a": 20}))[0]
    few, uneven = data_warnings(dataset({"a": 3, "b": 500}))
    assert "3 photographs of 'a'" in few
    assert "beside 500 of 'b'" in uneven
    assert data_warnings(dataset({"a": 100}, ["odd"])) == ["odd"]
