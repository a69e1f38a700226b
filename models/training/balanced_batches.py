"""The order in which photographs are shown: all types equally often, and all photographs of a type before a repeat."""

from collections.abc import Mapping

import torch
from torch import Tensor


class BalancedBatches:
    """Endless batches of photographs in which the types alternate.

    Types come in rounds, each in a new random order; so do the photographs of a type. With one type, a round is an
    epoch.

    Args:
        type_index: (N,) int64, each photograph's defect type; every type 0 … types - 1 has photographs.
        types: number of defect types.
        random: on the CPU; its state is part of the order's state, beside `state_dict`.
    """

    def __init__(self, type_index: Tensor, types: int, random: torch.Generator) -> None:
        self.random = random
        self._members = [(type_index == each).nonzero().squeeze(1) for each in range(types)]
        self._types = _Round(torch.arange(types), random)
        self._photographs = [_Round(each, random) for each in self._members]

    def next(self, count: int) -> tuple[Tensor, Tensor]:
        """The next photographs: (count,) int64 indices, and (count,) int64 types."""
        types = [self._types.next() for _ in range(count)]
        return torch.tensor([self._photographs[each].next() for each in types]), torch.tensor(types)

    def state_dict(self) -> dict[str, Tensor]:
        """Order and position of every round, flat."""
        rounds = [self._types, *self._photographs]
        return {
            "orders": torch.cat([each.order for each in rounds]),
            "positions": torch.tensor([each.position for each in rounds]),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Loads what `state_dict` returned for the same photographs.

        Raises:
            KeyError, RuntimeError: it is of others.
        """
        rounds = [self._types, *self._photographs]
        orders = state["orders"].split([len(each.order) for each in rounds])
        for each, order, position in zip(rounds, orders, state["positions"].tolist(), strict=True):
            each.order, each.position = order.clone(), position


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
