"""The page of a report: self-contained, without script, and safe whatever types and files are named."""

import base64
from html.parser import HTMLParser

import pytest

from flawsmith.core.domain.quality_report import Copies, MeasureResult, NearPair, QualityReport, Share
from flawsmith.core.domain.records import ModelVersion, Verdict, VerdictState, now
from flawsmith.worker.reports.analysis import (
    CopyAnalysis,
    CopyShares,
    Curve,
    Judged,
    Lacking,
    PairPicture,
    PropertyAnalysis,
    ReportAnalysis,
    TypeCopies,
    TypePictures,
)
from flawsmith.worker.reports.charts import percent, ticks
from flawsmith.worker.reports.page import placed, render_page, training_charts

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
PNG = base64.b64encode(b"png").decode()
VERDICT = Verdict(
    state=VerdictState.FAILING,
    sentence=f"samples of '{HOSTILE}' show no defect",
    reasons=[f"samples of '{HOSTILE}' show no defect", "they are blurred"],
)


def measure(**changed: object) -> MeasureResult:
    fields = {
        "name": "ridges",
        "type": HOSTILE,
        "value": 0.5,
        "photographs": 0.1,
        "controls": {"blurred 2 px": 0.3, "defects removed": 0.9},
        "interval": (0.4, 0.6),
        "better": "lower",
        "n": 30,
    }
    return MeasureResult.model_validate(fields | changed)


def page(classes: list[str], version: int = 1) -> str:
    """The page of a version whose types have these names."""
    pair = NearPair(seed=7, defect_type=classes[0], file=f"{HOSTILE}.png", distance=0.2)
    shares = CopyShares(authenticity=0.5, memorization_rate=0.01, nearer=0.003)
    curve = Curve(
        type=classes[0],
        x=[1, 2, 4],
        photographs=[0, 1, 2],
        samples=[1, 1, 1],
        difference=1,
        ordinary=0.1,
        photographs_n=300,
        samples_n=300,
    )
    ranges = [
        Share(from_=165, to=15, photographs=0.3, samples=0.0),
        Share(from_=75, to=105, photographs=0.7, samples=1),
    ]
    measures = [measure(type=each) for each in classes]
    analysis = ReportAnalysis(
        judged=Judged(verdict=VERDICT, leading="ridges", measures=measures, two_sample=None),
        copies=CopyAnalysis(
            types=[
                TypeCopies(
                    type=classes[0],
                    samples=shares,
                    genuine=shares,
                    distance=0.9,
                    genuine_distance=0.8,
                    n=300,
                    genuine_n=30,
                    held_out=True,
                )
            ],
            worst=[PairPicture(pair=pair, png=PNG)],
            random=[PairPicture(pair=pair, png=PNG)],
        ),
        coverage=[
            PropertyAnalysis(
                property="direction",
                type=classes[0],
                ranges=ranges,
                lacking=[Lacking(what="level", photographs=0.3, samples=0.003)],
                photographs_n=300,
                samples_n=300,
            )
        ],
        spectra=[curve],
        histograms=[curve],
        pictures=[TypePictures(type=classes[0], photographs=PNG, samples=PNG, shown=6, first_seed=1000000, walks=PNG)],
    )
    report = QualityReport(
        version="steel@1",
        created_at=now(),
        verdict=VERDICT,
        leading="ridges",
        measures=measures,
        copies=Copies(memorization_rate=0.01, authenticity=0.5, worst=[pair]),
        coverage={"direction": ranges},
        two_sample=None,
    )
    card = ModelVersion(
        model="steel",
        version=version,
        classes=classes,
        resolution=64,
        mode="L",
        preset="fewshot",
        config={},
        training_job="job-1",
        dataset_digest="digest",
        weights_sha256="weights",
        step=20,
        created_at=now(),
    )
    return render_page(card, report, analysis, [{"step": 10.0, "generator_loss": 1.0}, {"step": 20.0, "distance": 0.3}])


class Elements(HTMLParser):
    """Collects tags and where their attributes point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.opened = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.opened += ("open", None) in attrs
        self.attributes |= {name for name, _ in attrs}
        self.targets |= {str(value) for name, value in attrs if name in ("src", "href")}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("classes", [[HOSTILE], [HOSTILE, "pits"]], ids=["one type", "two types"])
def test_names_of_strangers_stay_text(classes: list[str]) -> None:
    found = Elements(page(classes))
    assert "script" not in found.tags
    assert not any(name.startswith("on") for name in found.attributes)
    assert HOSTILE in found.text
    assert found.opened == (len(classes) > 1)  # of several types, the leading measure is open, the others are folded
    assert "<script" not in page(classes)


def test_the_page_loads_nothing() -> None:
    found = Elements(page(["pits"]))
    assert not found.tags & {"link", "iframe", "object", "embed", "form", "base"}
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in found.targets)
    assert {each for each in found.targets if each.startswith("#")} >= {"#samples", "#copies", "#coverage"}


def test_it_links_to_the_comparison_with_the_version_before() -> None:
    assert "compare?with=2" in Elements(page(["pits"], version=3)).targets
    assert not any("compare" in each and "?" in each for each in Elements(page(["pits"])).targets)


def test_the_verdict_and_what_is_missing_are_said_in_words() -> None:
    text = " ".join(Elements(page(["pits"])).text.split())
    assert "failing" in text
    assert text.count("show no defect") == 1  # the first reason only repeats the sentence
    assert "No level pits: 30 % of photographs, 0.3 % of samples." in text
    assert "Worse than “blurred 2 px”, but better than “defects removed”." in text
    assert "n = 30" in text


def test_places_on_the_scale() -> None:
    assert placed(measure(value=0.05)) == "Samples are as good as photographs by this measure."
    assert placed(measure(value=0.2)) == "Worse than photographs, but better than “blurred 2 px”."
    assert placed(measure(value=2.0)) == "Worse than all photographs made worse, even than “defects removed”."
    assert "“blurred 2 px”" in placed(measure(photographs=0.4, counts=False))
    higher = measure(better="higher", value=0.5, photographs=0.9, controls={"blurred 2 px": 0.7, "noise added": 0.2})
    assert placed(higher) == "Worse than “blurred 2 px”, but better than “noise added”."


def test_a_run_that_diverged_has_training_curves() -> None:
    history = [{"step": 1.0, "generator_loss": 2.0}, {"step": 2.0, "generator_loss": float("nan")}, {"step": 3.0}]
    [chart] = training_charts(history, step=1)
    assert "nan" not in chart.svg
    assert training_charts([], step=1) == []


def test_shares_in_words() -> None:
    assert [percent(each) for each in (0, 0.003, 0.09, 0.5, 0.994, 0.9999, 1)] == [
        "0 %", "0.3 %", "9 %", "50 %", "99.4 %", "100 %", "100 %",
    ]  # fmt: skip


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.5, 1.0])
    assert all(-3.1 <= each <= 17.3 for each in ticks(-3.1, 17.3))
    assert ticks(2.0, 2.0) == [2.0]
