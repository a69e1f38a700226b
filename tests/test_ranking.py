"""The ranking of samples by eye, without knowing their steps."""

import json
from pathlib import Path

import numpy
import pytest
from benchmarks.rank_correlation import print_correlations, spearman
from benchmarks.ranked_sheets import record, shuffle

STEPS = (50, 200, 800)


def _ranked(run: Path) -> Path:
    """A run whose second step was ranked best in both passes, then the third; returns the ranking."""
    random = numpy.random.default_rng(0)
    run.mkdir()
    for name in ("training", "holdout", *map(str, STEPS)):
        numpy.save(run / f"{name}.npy", random.integers(0, 256, (20, 1, 32, 32), dtype=numpy.uint8))
    for number in (1, 2):
        shuffle(run, number)
    keys = [json.loads((run / f"pass-{number}-key.json").read_text()) for number in (1, 2)]
    passes = [sorted(key, key=lambda name: (200, 800, 50).index(key[name])) for key in keys]
    written = {"shows": "noise", "passes": passes, "words": dict.fromkeys(keys[0], "noise")}
    (run / "by-eye.json").write_text(json.dumps(written))
    place = run.with_suffix(".json")
    place.write_text(json.dumps(record(run)))
    return place


def test_ranking_by_names_becomes_a_ranking_by_steps(tmp_path: Path) -> None:
    ranking = json.loads(_ranked(tmp_path / "a").read_text())

    assert {each["step"]: each["ranks"] for each in ranking["checkpoints"]} == {50: [3, 3], 200: [1, 1], 800: [2, 2]}


def test_sheets_that_tie_share_their_mean_rank(tmp_path: Path) -> None:
    _ranked(tmp_path / "a")
    place = tmp_path / "a" / "by-eye.json"
    written = json.loads(place.read_text())
    written["passes"] = [[best, rest] for best, *rest in written["passes"]]
    place.write_text(json.dumps(written))

    ranks = {each["step"]: each["ranks"] for each in record(tmp_path / "a")["checkpoints"]}

    assert ranks == {50: [2.5, 2.5], 200: [1, 1], 800: [2.5, 2.5]}


def test_names_of_sheets_differ_between_the_passes(tmp_path: Path) -> None:
    _ranked(tmp_path / "a")

    first, second = ({each.name for each in (tmp_path / "a" / f"pass-{number}").iterdir()} for number in (1, 2))
    assert len(first) == len(second) == len(STEPS)
    assert first != second


def test_pass_that_leaves_a_sheet_out_is_refused(tmp_path: Path) -> None:
    _ranked(tmp_path / "a")
    place = tmp_path / "a" / "by-eye.json"
    written = json.loads(place.read_text())
    left_out = written["passes"][1].pop()
    place.write_text(json.dumps(written))

    with pytest.raises(ValueError, match=left_out):
        record(tmp_path / "a")


def test_other_samples_than_those_ranked_are_refused(tmp_path: Path) -> None:
    ranking = _ranked(tmp_path / "a")
    numpy.save(tmp_path / "a" / "50.npy", numpy.zeros((20, 1, 32, 32), dtype=numpy.uint8))

    with pytest.raises(ValueError, match=r"50\.npy"):
        print_correlations([ranking], tmp_path)


def test_correlation_is_of_ranks_and_ties_share_theirs() -> None:
    assert spearman([1, 10, 100], [0.1, 0.2, 0.3]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # scipy.stats.spearmanr([1, 2, 2, 4], [1, 3, 2, 4]).statistic
    assert spearman([1, 2, 2, 4], [1, 3, 2, 4]) == pytest.approx(0.9486832980505138)
