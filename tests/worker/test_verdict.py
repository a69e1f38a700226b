"""The verdict in the worker: of the samples as they are served, and its part in the health of the run."""

from typing import Any, NoReturn, cast

import pytest
import torch

from flawsmith.core.domain.records import Health, HealthState, Verdict, VerdictState
from flawsmith.worker import verdict
from flawsmith.worker.verdict import health_with, judged_photographs, verdict_in_steps
from flawsmith.worker.version_photographs import VersionPhotographs


def test_no_run_is_good_whose_version_is_failing() -> None:
    failing = Verdict(state=VerdictState.FAILING, sentence="Samples do not show the scratches.")
    health = health_with(Health(state=HealthState.WARNING, reasons=["12 photographs"]), failing)
    assert health == Health(state=HealthState.FAILING, reasons=["Samples do not show the scratches.", "12 photographs"])


def test_a_version_that_is_not_failing_leaves_the_health_as_it_is() -> None:
    for state in (VerdictState.GOOD, VerdictState.WARNING):
        assert health_with(Health(), Verdict(state=state, sentence="As photographs.")) == Health()


def test_an_error_in_a_measure_is_a_warning_and_costs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> NoReturn:
        raise RuntimeError("singular matrix")

    empty = VersionPhotographs(["pits"], torch.zeros(0), torch.zeros(0), torch.zeros(0, dtype=torch.bool), [], [])
    monkeypatch.setattr(verdict, "load_photographs", lambda *_: empty)
    monkeypatch.setattr(verdict, "calibrating", fails)
    nothing = cast(Any, None)
    steps = verdict_in_steps(nothing, preset="dcgan", config={}, dataset_digest="", services=nothing)
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    judged, scores = end.value.value
    assert (judged.verdict.state, scores) == (VerdictState.WARNING, None)
    assert "could not be judged" in judged.verdict.sentence


def test_photographs_and_masks_are_split_by_type_and_holdout() -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    photographs = VersionPhotographs(
        classes=["pits", "scratches"],
        images=torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 32, 32),
        type_index=torch.tensor([1, 0, 1, 0]),
        held_out=torch.tensor([False, False, True, False]),
        files=["a", "b", "c", "d"],
        masks=[None, mask, mask, None],
    )
    judged = judged_photographs(photographs)
    assert [each[:, 0, 0, 0].tolist() for each in judged.training] == [[1, 3], [0]]
    assert [each[:, 0, 0, 0].tolist() for each in judged.holdout] == [[], [2]]
    assert judged.training_masks == [[mask, None], [None]]
    assert judged.holdout_masks == [[], [mask]]
