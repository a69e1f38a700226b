"""Scores of a classifier, computed by hand."""

import pytest
import torch

from flawsmith.models.evaluation.scores import Scores, mean_scores, scores


def test_scores() -> None:
    truth = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    found = torch.tensor([0, 0, 0, 1, 1, 1, 2, 0])
    # precision 3/4, 2/3, 1; recall 3/4, 1, 1/2; F1 3/4, 4/5, 2/3
    assert scores(found, truth, 3) == Scores(
        pytest.approx(6 / 8), pytest.approx((3 / 4 + 4 / 5 + 2 / 3) / 3), pytest.approx(1 / 2)
    )


def test_a_type_that_is_never_found_counts_as_zero() -> None:
    assert scores(torch.tensor([0, 0]), torch.tensor([0, 1]), 2) == Scores(0.5, pytest.approx(1 / 3), 0.0)


def test_their_mean() -> None:
    assert mean_scores([Scores(0.5, 0.2, 0.0), Scores(1.0, 0.4, 1.0)]) == Scores(0.75, pytest.approx(0.3), 0.5)
