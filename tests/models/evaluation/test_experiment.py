"""What the arms of the experiment are trained on."""

from collections.abc import Iterator

import pytest
import torch
from tests.models.pictures import noise, streaks

from flawsmith.models.evaluation.experiment import Arm, Experiment, Subset, arms, derived_seed, run
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, split

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    """Two types of 20 photographs, of which 5 each are held out; only the first type is generated."""
    images, types = torch.cat([streaks(1, 20), noise(20)]), torch.arange(2).repeat_interleave(20)
    photographs = LabelledPhotographs(["pits", "good"], images, types, torch.arange(40), [None] * 40)
    return Experiment(photographs, split(photographs, [5, 5], 0), [0], 3, CPU, steps=2)


@pytest.fixture(scope="module")
def subset(experiment: Experiment) -> Subset:
    return experiment.subset(4, 0)


def test_subsets_are_balanced_nested_and_of_nothing_held_out(experiment: Experiment) -> None:
    small, large, other = (experiment.subset(*each) for each in ((4, 0), (15, 0), (4, 1)))
    of_type = experiment.photographs.type_index
    assert of_type[small.positions].bincount().tolist() == [4, 4]
    assert set(small.positions.tolist()) < set(large.positions.tolist())
    assert small.positions.tolist() != other.positions.tolist()
    assert not set(large.positions.tolist()) & set(experiment.split.held_out.tolist())


@pytest.mark.parametrize(
    ("arm", "counts"),
    [
        (Arm("real", 0.0), [4, 4]),
        (Arm("real+synthetic", 0.5), [4 + 2, 4]),
        (Arm("real+synthetic", 3.0), [4 + 12, 4]),
        (Arm("synthetic", 3.0), [12, 4]),  # clean photographs are always real
        (Arm("paste", 0.5), [4 + 2, 4]),
    ],
)
def test_what_an_arm_is_trained_on(experiment: Experiment, subset: Subset, arm: Arm, counts: list[int]) -> None:
    synthetic = {0: torch.full((12, 1, 32, 32), 7, dtype=torch.uint8)}
    images, types = experiment.training_images(subset, arm, synthetic)
    assert types.bincount().tolist() == counts
    of_synthetic = (images == 7).flatten(1).all(1)
    expected = round(4 * arm.ratio) if "synthetic" in arm.name else 0
    assert of_synthetic.sum() == expected
    assert (types[of_synthetic] == 0).all()
    assert (images[types == 1] == experiment.photographs.images[subset.positions[4:]]).all()


def test_arms_of_a_repeat_begin_with_the_same_weights_and_repeats_do_not(experiment: Experiment) -> None:
    synthetic = {0: noise(12)}
    first, second, other = (
        experiment.classifier(experiment.subset(4, repeat), arm, synthetic).state_dict()["network.0.weight"]
        for repeat, arm in ((0, Arm("real", 0.0)), (0, Arm("real+synthetic", 3.0)), (1, Arm("real", 0.0)))
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_whole_experiment_asks_for_images_once_for_each_subset(experiment: Experiment) -> None:
    asked = []

    def sample(subset: Subset, counts: dict[int, int]) -> dict[int, torch.Tensor]:
        asked.append((subset.per_type, subset.repeat, counts))
        return {each: noise(count) for each, count in counts.items()}

    found: Iterator[tuple[int, int, Arm]] = (key for key, _ in run(experiment, [2, 4], [0.5, 2.0], 2, sample))
    assert set(found) == {(count, repeat, arm) for count in (2, 4) for repeat in (0, 1) for arm in arms([0.5, 2.0])}
    assert asked == [(2, 0, {0: 4}), (4, 0, {0: 8}), (2, 1, {0: 4}), (4, 1, {0: 8})]


def test_derived_seeds_differ_by_purpose() -> None:
    seeds = {derived_seed(0, "images", 10, 1), derived_seed(0, "images", 1, 10), derived_seed(1, "images", 10, 1)}
    assert len(seeds) == 3
    assert all(0 <= each < 2**53 for each in seeds)
