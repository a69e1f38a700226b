"""How a number changes over a run."""

import math


def cosine_decay(progress: float, final: float) -> float:
    """A factor that falls from 1 to ``final`` along half a cosine (Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5).

    Args:
        progress: how far the run is, 0 to 1.
        final: the factor at the end.
    """
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def linear_ramp(progress: float, start: float, end: float) -> float:
    """0 up to ``start``, 1 from ``end`` on, linear between the two; all are shares of the run, 0 to 1."""
    return min(1.0, max(0.0, (progress - start) / (end - start)))
