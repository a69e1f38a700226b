"""The figures of a comparison: each of a contender, once a round."""

import math
import statistics
from collections import defaultdict

FLAWSMITH = "Flawsmith"

P50 = "one image, 1 client: p50, ms"
P99 = "one image, 1 client: p99, ms"
ONE_HITS = "of these from stock, %"
FROM_STOCK = "one image, 32 clients, stock full: requests/s"
STOCK_REQUESTS = "requests measured so"
STOCK_HITS = "of these from stock, %, 32 clients"
DRAINED = "one image, 32 clients, stock drained: images/s"
DRAINED_HITS = "of these from stock, %, while drained"
ZIP = "256 images to a zip, 1 client, stock drained: images/s"
COLD = "first image of a cold model, ms"
WRONG = "answers that were not 200, where there were any"
OTHERS = "what the idle others used of one core, %"


class Figures:
    """Values by figure and contender, in the order of their rounds."""

    def __init__(self) -> None:
        self.values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, figure: str, contender: str, value: float) -> None:
        """Takes one round's value, and says so."""
        self.values[figure, contender].append(value)
        print(f"  {contender}: {figure}: {value:.5g}", flush=True)

    def of(self, figure: str, contender: str = FLAWSMITH) -> list[float]:
        """All rounds' values; none where it was not measured."""
        return self.values.get((figure, contender), [])

    def median(self, figure: str, contender: str = FLAWSMITH) -> float:
        """NaN where it was not measured."""
        values = self.of(figure, contender)
        return statistics.median(values) if values else math.nan

    def names(self) -> list[str]:
        """The figures that were measured, in the order in which they first were."""
        return list(dict.fromkeys(figure for figure, _ in self.values))

    def contenders(self) -> list[str]:
        return list(dict.fromkeys(contender for _, contender in self.values))
