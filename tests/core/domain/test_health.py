"""How a run is judged by thresholds, and what is said of its photographs."""

from collections.abc import Sequence
from dataclasses import dataclass

from flawsmith.core.domain.crops import Around
from flawsmith.core.domain.health import data_warnings, diverged, judge
from flawsmith.core.domain.records import CropEffect, Dataset, Health, HealthState, SizeRange, now


@dataclass(frozen=True)
class Threshold:
    """A criterion for the tests."""

    name: str
    better: str = "lower"
    warning: float | None = 1.0
    failing: float | None = 2.0
    each_step: bool = False
    relative_to: str | None = None
    sentence: str = "{value:g} at step {step:g}"

    def divergence_reason(self, values: Sequence[float], last: Sequence[float]) -> str | None:
        return f"best {min(values)}" if self.name == "blur" and min(last) > 10 else None


BLUR, SHARPNESS = Threshold("blur"), Threshold("sharpness", better="higher", warning=2.0, failing=1.0)
LOSS_SHARE = Threshold("penalty", warning=20.0, failing=None, each_step=True, relative_to="loss")
CRITERIA = (BLUR, SHARPNESS, LOSS_SHARE)


def history(*blurs: float, **others: float) -> list[dict[str, float]]:
    return [{"step": 10 * number, "blur": blur, **others} for number, blur in enumerate(blurs, 1)]


def verdict(*blurs: float, progress: float = 0.75, **others: float) -> Health:
    return judge([], [], history(*blurs, **others), progress, CRITERIA)


CONFIG = {"resolution": 64, "crop": {"around": "middle"}}


def dataset(classes: dict[str, int], warnings: list[str] | None = None) -> Dataset:
    return Dataset(
        id="ds-1", name="d", digest="", image_count=sum(classes.values()), classes=classes, mode="L", rejected=[],
        size=SizeRange(min=(64, 64), max=(64, 64)), warnings=warnings or [], created_at=now(),
    )  # fmt: skip


def test_a_run_within_its_thresholds_is_good() -> None:
    assert verdict(1, 1, 1, sharpness=2, penalty=20, loss=1) == Health(state=HealthState.GOOD, reasons=[])


def test_of_one_or_two_evaluations_the_last_is_judged_and_of_more_the_median_of_three() -> None:
    assert verdict(3).state == "failing"
    assert verdict(3, 0.5).state == "good"
    assert verdict(0, 3) == Health(state=HealthState.FAILING, reasons=["3 at step 20"])
    assert verdict(0, 0, 3).state == "good"


def test_thresholds_hold_in_the_direction_of_the_signal() -> None:
    assert verdict(1.5, 1.5, 1.5) == Health(state=HealthState.WARNING, reasons=["1.5 at step 30"])
    assert verdict(2.5, 2.5, 2.5) == Health(state=HealthState.FAILING, reasons=["2.5 at step 30"])
    assert verdict(0, 0, 0, sharpness=1.5).state == "warning"
    assert verdict(0, 0, 0, sharpness=0.5).state == "failing"


def test_a_threshold_may_be_a_multiple_of_another_signal() -> None:
    assert verdict(0, penalty=21, loss=1).state == "warning"
    assert verdict(0, penalty=21, loss=2).state == "good"
    assert verdict(0, penalty=21).state == "good"  # nothing to compare with


def test_signals_of_each_step_are_averaged_over_steps_without_an_evaluation_too() -> None:
    steps = [{"step": 1.0, "blur": 0.0, "penalty": 0.0, "loss": 1.0}, {"step": 2.0, "penalty": 50.0, "loss": 1.0}]
    assert judge([], [], steps, 0.75, CRITERIA).reasons == ["25 at step 1"]


def test_one_bad_evaluation_among_good_ones_is_no_reason() -> None:
    assert verdict(0, 0, 3).state == "good"
    assert verdict(3, 0, 3).state == "failing"


def test_a_run_that_has_just_begun_is_not_judged_until_it_is_over() -> None:
    assert verdict(3, progress=0.39).state == "good"
    assert verdict(3, progress=0.4).state == "failing"
    assert verdict(3, progress=1.0).state == "failing"


def test_data_warnings_and_rollbacks_are_warnings_from_the_start() -> None:
    assert judge(["few"], ["went back"]) == Health(state=HealthState.WARNING, reasons=["few", "went back"])


def test_the_same_reason_is_given_once() -> None:
    assert judge([], [], history(1.5), 1.0, (BLUR, BLUR)).reasons == ["1.5 at step 10"]


def test_a_run_diverged_only_after_three_evaluations_since_its_last_rollback() -> None:
    away = history(1, 50, 60, 70)
    assert diverged(away, 0, CRITERIA) == "best 1"
    assert diverged(away, 10, CRITERIA) == "best 1"
    assert diverged(away, 20, CRITERIA) is None
    assert diverged(history(1, 50, 2, 70), 0, CRITERIA) is None


def test_a_diverged_run_is_failing() -> None:
    assert "best 1" in verdict(1, 50, 60, 70).reasons


def test_few_photographs_and_uneven_types_are_doubtful() -> None:
    assert data_warnings(dataset({"a": 100}), CONFIG) == []
    assert "20 photographs of 'a'" in data_warnings(dataset({"a": 20}), CONFIG)[0]
    few, uneven = data_warnings(dataset({"a": 3, "b": 500}), CONFIG)
    assert "3 photographs of 'a'" in few
    assert "beside 500 of 'b'" in uneven
    assert data_warnings(dataset({"a": 100}, ["odd"]), CONFIG) == ["odd"]


def cropped(**effects: CropEffect) -> Dataset:
    crops = {Around(name): effect for name, effect in effects.items()}
    return dataset({"a": 100}).model_copy(update={"crops": crops})


def test_a_crop_that_loses_much_is_said_with_one_that_keeps_more() -> None:
    long = cropped(
        middle=CropEffect(images=100, pixels_lost=0.6, defects_lost=31, defect_size=None),
        grid=CropEffect(images=300, pixels_lost=0, defects_lost=0, defect_size=None),
    )
    (warning,) = data_warnings(long, CONFIG)
    assert "loses 60% of the photographs' pixels and 31 labelled defects" in warning and "'grid'" in warning
    assert data_warnings(long, {"resolution": 64, "crop": {"around": "grid"}}) == []
    assert "60%" in data_warnings(long, {"resolution": 64})[0]  # stored by a release that cut the middle only


def test_little_that_is_lost_is_not_said() -> None:
    nearly_square = cropped(middle=CropEffect(images=100, pixels_lost=0.1, defects_lost=0, defect_size=None))
    assert data_warnings(nearly_square, CONFIG) == []


def test_defects_below_four_pixels_at_the_training_size_are_said() -> None:
    small = cropped(middle=CropEffect(images=100, pixels_lost=0, defects_lost=0, defect_size=10 / 640))
    assert "smaller than 1.0 pixels at resolution 64" in data_warnings(small, CONFIG)[0]
    assert data_warnings(small, {**CONFIG, "resolution": 256}) == []
