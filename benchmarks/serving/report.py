"""The comparison in Markdown."""

from datetime import UTC, datetime

from benchmarks.serving.demands import DEMANDS, Demand
from benchmarks.serving.figures import Figures
from benchmarks.serving.machine import machine

VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


def report(figures: Figures, command: str, rounds: int) -> str:
    """The page: where it comes from, what must hold, and every figure."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"`{command}` wrote this on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, on {machine()}.",
            "",
            f"Medians of {rounds} rounds. In each, every contender had its turn; meanwhile the other peers were paused",
            "and Flawsmith idled. Load generator and contender share the cores. All serve the same weights with the",
            "same PNG setting.",
            "",
            "| what | must | measured | holds |",
            "|---|---|---|---|",
            *(_demand_row(demand, figures) for demand in DEMANDS),
            "",
            "## All figures",
            "",
            "The median, and the lowest and highest round.",
            "",
            "| figure | " + " | ".join(figures.contenders()) + " |",
            "|---|" + "---|" * len(figures.contenders()),
            *(_figure_row(name, figures) for name in figures.names()),
            "",
        ]
    )


def holding(figures: Figures) -> bool:
    """Whether nothing that was measured fails."""
    return all(demand.holds(figures) is not False for demand in DEMANDS)


def _demand_row(demand: Demand, figures: Figures) -> str:
    verdict = demand.holds(figures)
    value = "" if verdict is None else f"{_number(demand.value(figures))}{demand.unit}"
    return f"| {demand.what} | {demand.words} | {value} | {VERDICTS[verdict]} |"


def _figure_row(name: str, figures: Figures) -> str:
    cells = []
    for contender in figures.contenders():
        values = figures.of(name, contender)
        spread = f" ({_number(min(values))} … {_number(max(values))})" if len(values) > 1 else ""
        cells.append(f"{_number(figures.median(name, contender))}{spread}" if values else "")
    return f"| {name} | " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
