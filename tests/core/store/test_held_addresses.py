"""Which addresses an archive holds, in whichever order they came."""

import random

import pytest

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.export_files import HeldAddresses


@pytest.mark.parametrize("order", range(20))
def test_addresses_of_any_order_are_kept_as_few_ranges(order: int) -> None:
    choices = random.Random(order)
    seeds = choices.choices(range(60), k=choices.randint(1, 90))
    held = HeldAddresses()
    for seed in seeds:
        held.add("m@1", "pits", seed)
    asked = [Address("pits", seed) for seed in range(-2, 64)]
    assert [each.seed for each in held.among("m@1", asked)] == sorted(set(seeds))
    in_order = HeldAddresses()
    for seed in sorted(set(seeds)):
        in_order.add("m@1", "pits", seed)
    assert held.to_bytes() == in_order.to_bytes(), "neighbours are one range"
    assert held.among("m@1", [Address("dents", seeds[0])]) == held.among("m@2", asked) == []
