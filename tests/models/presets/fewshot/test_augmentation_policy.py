"""Which symmetries are used: as configured, else as tested."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.augmentation_policy import AugmentationPolicy
from flawsmith.models.training.augmentation import Strength

NONE = Strength(probability=0, shift=0, brightness=0, contrast=0)
LEFT_TO_TEST: dict[str, bool | None] = dict.fromkeys(("horizontal_flip", "vertical_flip", "transposition"))


def lit_from_the_left(count: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    light = torch.linspace(60, -60, 32).expand(32, 32)
    return (torch.rand(count, 1, 32, 32, generator=random) * 100 + 70 + light).byte()


def policy(photographs: Sequence[Tensor], **configured: bool) -> AugmentationPolicy:
    return AugmentationPolicy(NONE, 32, LEFT_TO_TEST | configured, lambda: photographs)


def test_each_type_uses_the_symmetries_that_its_photographs_pass() -> None:
    few_and_many = policy([lit_from_the_left(5), lit_from_the_left(100)])
    assert few_and_many.used.tolist() == [[True, False, False], [False, True, False]]
    of_few, of_many = few_and_many.analysis()
    assert of_few["horizontal_flip"] == {"used": True, "p_value": None}
    assert of_many["horizontal_flip"]["used"] is False
    assert of_many["horizontal_flip"]["p_value"] < 0.01 <= of_many["vertical_flip"]["p_value"]


def test_the_configuration_overrules_the_test() -> None:
    configured = policy([lit_from_the_left(100)], horizontal_flip=True, vertical_flip=False)
    assert configured.used.tolist() == [[True, False, False]]


def test_only_symmetries_that_are_used_are_sampled() -> None:
    parameters = policy([lit_from_the_left(100)]).sample(torch.zeros(200, dtype=torch.int64), torch.Generator())
    upright = torch.arange(32).expand(200, 32)
    assert torch.equal(parameters.columns, upright)
    assert not torch.equal(parameters.rows, upright)
    assert not parameters.transposed.any()


def test_loaded_p_values_take_the_place_of_the_test() -> None:
    resumed = AugmentationPolicy(NONE, 32, LEFT_TO_TEST, lambda: [][0])
    resumed.p_values = torch.tensor([[0.5, 0.001, 0.02]], dtype=torch.float64)
    assert resumed.used.tolist() == [[True, False, True]]


def test_postponed_tests_are_made_type_by_type_with_the_same_outcome() -> None:
    photographs = [lit_from_the_left(100), lit_from_the_left(5), lit_from_the_left(60)]
    at_once, postponed = policy(photographs), policy(photographs)
    postponed.postpone()
    assert postponed.used.tolist() == [[True, False, False]] * 3  # cautious until then
    assert postponed.analysis()[0]["horizontal_flip"] == {"used": True, "p_value": None}
    for left in ([0, 1, 2], [1, 2], [2], []):
        assert postponed.pending == left
        postponed.test_next()
    assert torch.equal(postponed.p_values, at_once.p_values)


def test_tests_that_were_made_are_not_postponed() -> None:
    tested = policy([lit_from_the_left(100)])
    before = tested.p_values.clone()
    tested.postpone()
    assert tested.pending == []
    assert torch.equal(tested.p_values, before)


def test_nothing_is_postponed_where_the_configuration_decides_on_every_symmetry() -> None:
    decided = policy([lit_from_the_left(100)], horizontal_flip=True, vertical_flip=False, transposition=False)
    decided.postpone()
    assert decided.pending == []
    assert decided.used.tolist() == [[True, False, False]]
