"""What a request leaves open is filled in from its dataset."""

import pytest

from flawsmith.core.domain.presets import TrainingRequest, resolve
from flawsmith.core.domain.records import Dataset, SizeRange, now


def dataset(photographs: int) -> Dataset:
    return Dataset(
        id="ds-1",
        name="steel",
        digest="",
        image_count=photographs,
        classes={"scratches": photographs},
        size=SizeRange(min=(64, 64), max=(64, 64)),
        mode="L",
        rejected=[],
        created_at=now(),
    )


@pytest.mark.parametrize(("photographs", "penalty"), [(20, 1.0), (400, 0.5), (2000, 0.2)])
def test_the_more_photographs_the_weaker_the_penalty(photographs: int, penalty: float) -> None:
    request = TrainingRequest(dataset="steel", model="m")
    assert resolve(request, dataset(photographs))["gradient_penalty"] == penalty


def test_a_penalty_that_was_asked_for_is_taken() -> None:
    request = TrainingRequest(dataset="steel", model="m", overrides={"gradient_penalty": 3.0})
    assert resolve(request, dataset(400))["gradient_penalty"] == 3.0
