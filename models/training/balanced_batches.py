"""The order in which photographs are shown: all types equally often, and all photographs of a kind before a repeat."""

from collections.abc import Mapping

import torch
from torch import Tensor


class BalancedBatches:
    """Endless batches of photographs in which the types alternate.

    Types come in rounds, each in a new random order; so do the photographs of a type. With one type, a round is an
    epoch. Where a type has several kinds, its kinds come in rounds as well, each as often as the square root of the
    number of its photographs says, so that a rare one is shown more often than it is there, and few photographs are
    not shown too often.

    Args:
        type_index: (N,) int64, each photograph's defect type; every type 0 … types - 1 has photographs.
        types: number of defect types.
        random: on the CPU; its state is part of the order's state, beside `state_dict`.
        kind: (N,) int64, each photograph's kind within its type; None: all are of one.
    """

    def __init__(self, type_index: Tensor, types: int, random: torch.Generator, kind: Tensor | None = None) -> None:
        self.random = random
        self._types = _Round(torch.arange(types), random)
        self._kinds: list[_Round | None] = []
        self._photographs: list[list[_Round]] = []
        for each in range(types):
            members = (type_index == each).nonzero().squeeze(1)
            of_kinds = [members] if kind is None else [members[kind[members] == one] for one in kind[members].unique()]
            self._photographs.append([_Round(one, random) for one in of_kinds])
            self._kinds.append(_Round(_often(of_kinds), random) if len(of_kinds) > 1 else None)

    def next(self, count: int) -> tuple[Tensor, Tensor]:
        """The next photographs: (count,) int64 indices, and (count,) int64 types."""
        types = [self._types.next() for _ in range(count)]
        return torch.tensor([self._next_of(each) for each in types]), torch.tensor(types)

    def _next_of(self, type_index: int) -> int:
        kinds = self._kinds[type_index]
        return self._photographs[type_index][kinds.next() if kinds else 0].next()

    @property
    def _rounds(self) -> list["_Round"]:
        photographs = [each for of_type in self._photographs for each in of_type]
        return [self._types, *photographs, *(each for each in self._kinds if each)]

    def state_dict(self) -> dict[str, Tensor]:
        """Order and position of every round, flat."""
        return {
            "orders": torch.cat([each.order for each in self._rounds]),
            "positions": torch.tensor([each.position for each in self._rounds]),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Loads what `state_dict` returned for the same photographs.

        Raises:
            KeyError, RuntimeError: it is of others.
        """
        orders = state["orders"].split([len(each.order) for each in self._rounds])
        for each, order, position in zip(self._rounds, orders, state["positions"].tolist(), strict=True):
            each.order, each.position = order.clone(), position


def _often(of_kinds: list[Tensor]) -> Tensor:
    """The kinds of a round: each by the square root of how many times it has as many photographs as the rarest."""
    counts = torch.tensor([len(each) for each in of_kinds])
    return torch.arange(len(of_kinds)).repeat_interleave((counts / counts.min()).sqrt().round().long())


class _Round:
    """Members in random order, reordered when all have been shown."""

    def __init__(self, members: Tensor, random: torch.Generator) -> None:
        self.members, self.random = members, random
        self.order, self.position = members, len(members)

    def next(self) -> int:
        if self.position == len(self.order):
            self.order = self.members[torch.randperm(len(self.members), generator=self.random)]
            self.position = 0
        self.position += 1
        return int(self.order[self.position - 1])
