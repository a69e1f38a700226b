"""The table of signals in docs/presets.md, from what the measures declare."""

from flawsmith.models.quality.measure import Measure
from flawsmith.models.quality.registry import MEASURES

BEGIN, END = "<!-- signals -->", "<!-- /signals -->"
HEADER = ("signal", "recorded", "what it measures", "better", "needs", "`health`", "source")


def signal_table() -> str:
    """A Markdown table with a row for each measure."""
    rows = [HEADER, ("---",) * len(HEADER), *map(_row, MEASURES)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_signal_table(document: str) -> str:
    """The document with the current table between its markers.

    Raises:
        ValueError: the markers are missing.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document needs the markers {BEGIN} and {END} around its table of signals")
    return f"{before}{BEGIN}\n\n{signal_table()}\n\n{END}{after}"


def _row(measure: Measure) -> tuple[str, ...]:
    return (
        f"`{measure.name}`",
        "each recorded step" if measure.each_step else "each evaluation",
        measure.meaning,
        measure.better or "",
        ", ".join(each.value for each in measure.needs),
        _health(measure),
        measure.paper,
    )


def _health(measure: Measure) -> str:
    """The thresholds in words, such as ``over 0.1 a warning, over 0.5 failing``."""
    beyond = "under" if measure.better == "higher" else "over"
    unit = f" times `{measure.relative_to}`" if measure.relative_to else ""
    thresholds = ((measure.warning, "a warning"), (measure.failing, "failing"))
    words = ", ".join(f"{beyond} {value:g}{unit} {state}" for value, state in thresholds if value is not None)
    return f"{words}; {measure.divergence.rule}: rollback" if measure.divergence else words
