"""Charts of a report as inline SVG. Colours and fonts come from the page's style sheet, so that they follow its theme.

Every text passes through ElementTree, which escapes it: names of types and files come from strangers.
"""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from flawsmith.core.domain.quality_report import MeasureResult
from flawsmith.worker.reports.meanings import label_of

WIDTH = 360  # units of a chart: about the pixels of a telephone
ROW = 19
LABEL_WIDTH, VALUE_WIDTH = 156, 52
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 34  # margins of a chart with axes
HEIGHT = 190
TICKS = 4
ROUNDING = 1e-6  # what is nearer to 0 is written as 0

Point = tuple[float, float]


def measure_chart(measure: MeasureResult) -> Markup:
    """Samples among photographs and photographs made worse, the best first; the distances are square roots."""
    rows = [("photographs", measure.photographs, "photographs"), ("samples", measure.value, "samples")]
    rows += [(name, value, "control") for name, value in measure.controls.items()]
    rows.sort(key=lambda row: row[1], reverse=measure.better == "higher")
    bounds = [value for _, value, _ in rows] + [*(measure.interval or ())]
    low, high = min(0.0, *bounds), max(*bounds, 1e-9)
    svg = _svg(len(rows) * ROW + 6, f"{measure.name}: samples among photographs and photographs made worse")

    def x(value: float) -> float:
        left, right, at = (math.copysign(math.sqrt(abs(each)), each) for each in (low, high, value))
        return LABEL_WIDTH + 8 + (at - left) / (right - left) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 16)

    for index, (name, value, kind) in enumerate(rows):
        y = index * ROW + ROW / 2 + 3
        _text(svg, LABEL_WIDTH, y + 4, label_of(name), f"{kind} end")
        _line(svg, (x(low), y), (x(high), y), "rule")
        if kind == "samples" and measure.interval:
            _line(svg, (x(measure.interval[0]), y), (x(measure.interval[1]), y), "interval")
        SubElement(svg, "circle", {"cx": _n(x(value)), "cy": _n(y), "r": "4.5", "class": f"dot {kind}"})
        _text(svg, WIDTH - 2, y + 4, short(value), f"{kind} end")
    return _markup(svg)


def curve_chart(
    title: str,
    lines: Sequence[tuple[str, Sequence[Point]]],
    x_label: str,
    *,
    log_x: bool = False,
    mark: float | None = None,
) -> Markup:
    """Curves over a common axis.

    Args:
        title: for readers who do not see it.
        lines: the class of each curve, and its points.
        x_label: below the axis.
        log_x: whether that axis is logarithmic.
        mark: a place on that axis to mark with a vertical line.
    """
    svg = _svg(HEIGHT, title)
    points = [point for _, line in lines for point in line]
    if not points:
        _text(svg, WIDTH / 2, HEIGHT / 2, "nothing was recorded", "middle")
        return _markup(svg)
    frame = _Frame(points, log_x)
    frame.draw(svg)
    _text(svg, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, x_label, "middle")
    if mark is not None and frame.first <= mark <= frame.last:
        x, _ = frame.place((mark, frame.low))
        _line(svg, (x, TOP), (x, HEIGHT - BOTTOM), "mark")
    for kind, line in lines:
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in map(frame.place, line))
        SubElement(svg, "polyline", {"points": path, "class": f"curve {kind}"})
    return _markup(svg)


class _Frame:
    """Where the points of curves lie in a chart, with some room above and below them."""

    def __init__(self, points: Sequence[Point], log_x: bool) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        room = 0.04 * ((max(ys) - min(ys)) or max(abs(max(ys)), 1.0))
        self.first, self.last = min(xs), max(xs)
        self.low, self.high = min(ys) - room if min(ys) else 0.0, max(ys) + room
        self.log_x = log_x

    def place(self, point: Point) -> Point:
        first, last, at = (math.log(each) if self.log_x else each for each in (self.first, self.last, point[0]))
        along = (at - first) / ((last - first) or 1.0)
        up = (point[1] - self.low) / (self.high - self.low)
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def draw(self, svg: Element) -> None:
        """The lines and numbers of both axes."""
        for tick in ticks(self.low, self.high):
            _, y = self.place((self.first, tick))
            _line(svg, (LEFT, y), (WIDTH - RIGHT, y), "rule")
            _text(svg, LEFT - 4, y + 4, short(tick), "end")
        for tick in octaves(self.first, self.last) if self.log_x else ticks(self.first, self.last):
            x, _ = self.place((tick, self.low))
            _text(svg, x, HEIGHT - BOTTOM + 14, short(tick), "middle")


def share_chart(title: str, rows: Sequence[tuple[str, float, float]]) -> Markup:
    """Pairs of bars: a label, the share of photographs and the share of samples, 0 … 1 each."""
    height, most = 30, max(max(real, fake) for _, real, fake in rows) or 1.0
    svg = _svg(len(rows) * height + 4, title)
    for index, (label, *shares) in enumerate(rows):
        top = index * height + 4
        _text(svg, LABEL_WIDTH, top + 16, label, "end")
        for offset, share, kind in zip((0, 12), shares, ("photographs", "samples"), strict=True):
            width = share / most * (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 8)
            box = {"x": _n(LABEL_WIDTH + 8), "y": _n(top + offset), "width": _n(width), "height": "10"}
            SubElement(svg, "rect", box | {"class": f"bar {kind}"})
            _text(svg, LABEL_WIDTH + 13 + width, top + offset + 9, percent(share), f"small {kind}")
    return _markup(svg)


def short(value: float) -> str:
    """A number in at most three significant digits."""
    if abs(value) < ROUNDING or not math.isfinite(value):
        return "0" if abs(value) < ROUNDING else str(value)
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share in words: ``9 %``, ``0.3 %``."""
    value = 100 * share
    digits = 1 if 0 < value < 0.95 or 99.05 <= value < 99.95 else 0
    return f"{value:.{digits}f} %"


def ticks(low: float, high: float) -> list[float]:
    """About `TICKS` round numbers within a range."""
    if not high > low:
        return [low]
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first = math.ceil(low / step)
    return [each * step for each in range(first, math.floor(high / step) + 1)]


def octaves(low: float, high: float) -> list[float]:
    """The powers of two within a range."""
    return [2.0**each for each in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]


def _svg(height: float, title: str) -> Element:
    svg = Element("svg", {"viewBox": f"0 0 {WIDTH} {_n(height)}", "role": "img", "class": "chart"})
    SubElement(svg, "title").text = title
    return svg


def _line(svg: Element, start: Point, end: Point, kind: str) -> None:
    (x1, y1), (x2, y2) = start, end
    SubElement(svg, "line", {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2), "class": kind})


def _text(svg: Element, x: float, y: float, text: str, kind: str = "") -> None:
    SubElement(svg, "text", {"x": _n(x), "y": _n(y), "class": kind}).text = text


def _n(value: float) -> str:
    return f"{value:.1f}"


def _markup(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode"))
