"""The page of a report: one HTML file with everything in it, no script, nothing loaded from elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flawsmith.core.domain.quality_report import MeasureResult, QualityReport, Share
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.job_history import Point
from flawsmith.worker.reports.analysis import Curve, PropertyAnalysis, ReportAnalysis
from flawsmith.worker.reports.charts import curve_chart, measure_chart, percent, share_chart, short
from flawsmith.worker.reports.meanings import label_of, legend_of, meaning_of, title_of

_FOLDER = Path(__file__).parent
_TRAINING_CHARTS = {
    "Losses": ("generator_loss", "discriminator_loss"),
    "Distance to photographs": ("distance", "defect_distance"),
    "Share of samples that show a defect": ("defect_shown",),
    "Share of copies": ("memorization_rate",),
    "Diversity of samples": ("diversity",),
}
_COLOURS = ("samples", "photographs", "control")


@dataclass(frozen=True)
class TrainingChart:
    """Recorded values of a run over its steps."""

    title: str
    names: list[str]
    svg: Markup


def render_page(
    version: ModelVersion, report: QualityReport, analysis: ReportAnalysis, history: Sequence[Point]
) -> str:
    """The page of a report, as HTML.

    Args:
        history: the recorded steps of the training job; empty where they are gone.
    """
    pages = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters.update(percent=percent, short=short)
    several = len(version.classes) > 1
    by_type = [each for each in analysis.coverage if each.type is not None] if several else []
    return pages.get_template("page.html.jinja").render(
        version=version,
        report=report,
        analysis=analysis,
        style=Markup((_FOLDER / "page.css").read_text()),
        several=several,
        copies_n=sum(each.n for each in analysis.copies.types) if analysis.copies else 0,
        measures=_by_name(report),
        reasons=[each for each in report.verdict.reasons if not _said(each, report.verdict.sentence)],
        meaning_of=meaning_of,
        title_of=title_of,
        legend_of=legend_of,
        measure_chart=measure_chart,
        placed=placed,
        overall=[each for each in analysis.coverage if each.type is None or not several],
        by_type=by_type,
        property_chart=property_chart,
        lacking=[sentence for each in analysis.coverage for sentence in lacking_sentences(each, version.classes)],
        spectrum_chart=spectrum_chart,
        histogram_chart=histogram_chart,
        training=training_charts(history, version.step),
    )


def placed(measure: MeasureResult) -> str:
    """Where the samples are on the scale of photographs made worse, in words."""
    sign = 1 if measure.better == "lower" else -1
    if not measure.counts:
        missed = [name for name, value in measure.controls.items() if sign * value <= sign * measure.photographs]
        blind = f", such as {', '.join(f'“{label_of(each)}”' for each in missed[:3])}" if missed else ""
        return f"Does not count here: on these photographs it misses what it should see{blind}."
    if sign * measure.value <= sign * measure.photographs:
        return "Samples are as good as photographs by this measure."
    controls = sorted(measure.controls.items(), key=lambda each: sign * each[1])
    worse = [label_of(name) for name, value in controls if sign * value >= sign * measure.value]
    better = [label_of(name) for name, value in controls if sign * value < sign * measure.value]
    if not controls:
        return "There are no photographs made worse to compare with."
    if not worse:
        return f"Worse than all photographs made worse, even than “{better[-1]}”."
    if not better:
        return f"Worse than photographs, but better than “{worse[0]}”."
    return f"Worse than “{better[-1]}”, but better than “{worse[0]}”."


def _said(reason: str, sentence: str) -> bool:
    """Whether a verdict's sentence, which joins the gravest reasons, has this one."""
    return reason.rstrip(".").casefold() in sentence.casefold()


def _by_name(report: QualityReport) -> dict[str, list[MeasureResult]]:
    """The measures of each name: first that which leads, last those that do not count."""
    names = list(dict.fromkeys(each.name for each in report.measures))
    groups = {name: [each for each in report.measures if each.name == name] for name in names}
    order = sorted(names, key=lambda name: (name != report.leading, not any(each.counts for each in groups[name])))
    return {name: groups[name] for name in order}


def property_chart(found: PropertyAnalysis) -> Markup:
    """The shares of each range of a property."""
    rows = [(_range_label(found.property, each), each.photographs, each.samples) for each in found.ranges]
    return share_chart(f"{found.property} of photographs and samples", rows)


def lacking_sentences(found: PropertyAnalysis, classes: Sequence[str]) -> list[str]:
    """What is missing, such as "no slanted scratches: 9 % of photographs, 0.3 % of samples"."""
    if found.type is None:  # each type says it for itself
        return []
    sentences = []
    for each in found.lacking:
        amount = "No" if each.samples < each.photographs / 10 else "Few"
        what = (
            f"{each.what} {found.type}"
            if found.property == "direction"
            else f"images of {found.type} with a mean gray level of {each.what}"
        )
        shares = f"{percent(each.photographs)} of photographs, {percent(each.samples)} of samples"
        sentences.append(f"{amount} {what}: {shares}.")
    return sentences


def spectrum_chart(curve: Curve) -> Markup:
    """Power over frequency."""
    return curve_chart(f"power spectrum of {curve.type}", _lines(curve), "cycles a picture", log_x=True)


def histogram_chart(curve: Curve) -> Markup:
    """Shares of gray levels."""
    return curve_chart(f"gray levels of {curve.type}", _lines(curve), "gray level, 0 black to 255 white")


def training_charts(history: Sequence[Point], step: int | None) -> list[TrainingChart]:
    """What the run recorded, with the published step marked."""
    charts = []
    names = {name for point in history for name in point}
    for title, wanted in _TRAINING_CHARTS.items():
        chosen = [name for name in wanted if name in names]
        lines = [
            (colour, [(point["step"], point[name]) for point in history if math.isfinite(point.get(name, math.nan))])
            for colour, name in zip(_COLOURS, chosen, strict=False)
        ]
        if chosen:
            charts.append(TrainingChart(title, chosen, curve_chart(title, lines, "training step", mark=step)))
    return charts


def _lines(curve: Curve) -> list[tuple[str, list[tuple[float, float]]]]:
    sides = (("photographs", curve.photographs), ("samples", curve.samples))
    return [(name, list(zip(curve.x, values, strict=True))) for name, values in sides]


def _range_label(name: str, share: Share) -> str:
    if name != "direction":
        return f"{share.from_:.0f} to {share.to:.0f}"
    angles = f"{share.from_:.0f}° to {share.to:.0f}°"
    if share.from_ > share.to:
        return f"level, {angles}"
    return f"upright, {angles}" if share.from_ < 90 < share.to else f"slanted, {angles}"
