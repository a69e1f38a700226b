"""The figures of a comparison: one value for each figure, contender and round."""

import math
import statistics
from collections import defaultdict

FLAWSMITH = "Flawsmith"

P50 = "one image, 1 client: p50, ms"
P99 = "one image, 1 client: p99, ms"
ONE_HITS = "share from the pool, %"
FROM_POOL = "one image, 32 clients, pool full: requests/s"
POOL_REQUESTS = "requests in this measurement"
POOL_HITS = "share from the pool, %, 32 clients"
DRAINED = "one image, 32 clients, pool drained: images/s"
DRAINED_HITS = "share from the pool, %, while drained"
ZIP = "256 images in a zip, 1 client, pool drained: images/s"
COLD = "first image of a cold model, ms"
FAILED = "answers other than 200"
IDLE_CPU = "CPU use of the idle contenders, % of one core"


class Figures:
    """Values by figure and contender, in the order of the rounds."""

    def __init__(self) -> None:
        self.values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, figure: str, contender: str, value: float) -> None:
        """Adds the value of a round, and prints it."""
        self.values[figure, contender].append(value)
        print(f"  {contender}: {figure}: {value:.5g}", flush=True)

    def of(self, figure: str, contender: str = FLAWSMITH) -> list[float]:
        """The values of all rounds; empty if it was not measured."""
        return self.values.get((figure, contender), [])

    def median(self, figure: str, contender: str = FLAWSMITH) -> float:
        """NaN if it was not measured."""
        values = self.of(figure, contender)
        return statistics.median(values) if values else math.nan

    def names(self) -> list[str]:
        """The measured figures, in the order of their first values."""
        return list(dict.fromkeys(figure for figure, _ in self.values))

    def contenders(self) -> list[str]:
        return list(dict.fromkeys(contender for _, contender in self.values))
