"""The order in which photographs are shown."""

import torch

from flawsmith.models.training.balanced_batches import BalancedBatches


def batches(*counts: int, seed: int = 0) -> BalancedBatches:
    types = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return BalancedBatches(types, len(counts), torch.Generator().manual_seed(seed))


def test_every_photograph_is_shown_once_a_round() -> None:
    order = batches(9)
    for _ in range(3):
        shown = torch.cat([order.next(count)[0] for count in (4, 4, 1)])
        assert sorted(shown.tolist()) == list(range(9))


def test_a_rare_type_is_shown_as_often_as_a_common_one() -> None:
    order = batches(3, 50)
    chosen, types = (torch.cat(each) for each in zip(*(order.next(16) for _ in range(10)), strict=True))
    assert torch.bincount(types).tolist() == [80, 80]
    assert torch.equal(types, (chosen >= 3).long())
    assert set(chosen.tolist()) >= {0, 1, 2}


def test_a_resumed_order_continues_as_if_it_had_never_stopped() -> None:
    whole, half = batches(3, 7), batches(3, 7)
    expected = [whole.next(4) for _ in range(10)][5:]
    for _ in range(5):
        half.next(4)
    rest = batches(3, 7, seed=5)
    rest.load_state_dict({name: value.clone() for name, value in half.state_dict().items()})
    rest.random.set_state(half.random.get_state())
    for mine, theirs in zip([rest.next(4) for _ in range(5)], expected, strict=True):
        assert torch.equal(mine[0], theirs[0])
