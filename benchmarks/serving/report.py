"""Writes a comparison as Markdown."""

from datetime import UTC, datetime

from benchmarks.serving.figures import Figures
from benchmarks.serving.machine import machine
from benchmarks.serving.requirements import REQUIREMENTS, Requirement

VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


def report(figures: Figures, command: str, rounds: int) -> str:
    """The page: how it was made, the requirements, and every figure."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"`{command}` wrote this on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, on {machine()}.",
            "",
            f"All values are medians of {rounds} rounds. Each round measured every contender once, while the other",
            "peers were paused and Flawsmith was idle. The load generator and the contender shared the cores. All",
            "contenders serve the same weights with the same PNG setting.",
            "",
            "| measure | requirement | measured | met |",
            "|---|---|---|---|",
            *(_requirement_row(each, figures) for each in REQUIREMENTS),
            "",
            "## All figures",
            "",
            "Each cell has the median, and in brackets the lowest and the highest round.",
            "",
            "| figure | " + " | ".join(figures.contenders()) + " |",
            "|---|" + "---|" * len(figures.contenders()),
            *(_figure_row(name, figures) for name in figures.names()),
            "",
        ]
    )


def requirements_met(figures: Figures) -> bool:
    """Whether every requirement that was measured is met."""
    return all(each.met(figures) is not False for each in REQUIREMENTS)


def _requirement_row(requirement: Requirement, figures: Figures) -> str:
    met = requirement.met(figures)
    value = "" if met is None else f"{_number(requirement.value(figures))}{requirement.unit}"
    return f"| {requirement.what} | {requirement.text} | {value} | {VERDICTS[met]} |"


def _figure_row(name: str, figures: Figures) -> str:
    cells = []
    for contender in figures.contenders():
        values = figures.of(name, contender)
        spread = f" ({_number(min(values))} … {_number(max(values))})" if len(values) > 1 else ""
        cells.append(f"{_number(figures.median(name, contender))}{spread}" if values else "")
    return f"| {name} | " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
