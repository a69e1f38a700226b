"""The quality report of a model version, as GET /models/{name}/versions/{v}/report shows it."""

from typing import Literal

from pydantic import ConfigDict, Field

from flawsmith.core.domain.known_images import KnownImages
from flawsmith.core.domain.records import Moment, Record, Verdict

Interval = tuple[float, float]


class MeasureResult(Record):
    """One measure of a version's samples, on the scale of photographs made worse.

    Attributes:
        name: of the measure.
        type: the defect type; None for all types.
        value: of the samples against the photographs.
        photographs: of photographs against other photographs, as many.
        controls: of photographs made worse, by what was done to them ("blurred 2 px", "defects removed").
        interval: of ``value``, 95 %; None where it was not estimated.
        better: which direction is better.
        n: images that were compared on either side.
        counts: whether it ranks photographs before every control that it claims to see.
    """

    name: str
    type: str | None
    value: float
    photographs: float
    controls: dict[str, float]
    interval: Interval | None
    better: Literal["lower", "higher"]
    n: int
    counts: bool = True


class TwoSample(Record):
    """A classifier's accuracy in telling held-out photographs from fresh samples; 0.5: it cannot."""

    accuracy: float
    interval: Interval
    n: int


class NearPair(Record):
    """A sample and its nearest training photograph. ``distance`` is Euclidean, of images of mean 0 and norm 1."""

    seed: int
    defect_type: str
    file: str
    distance: float


class Copies(Record):
    """Whether samples are copies of training photographs.

    ``memorization_rate`` is the share nearer to one photograph than genuine photographs are, ``authenticity`` the share
    farther from its nearest photograph than that is from its own nearest; None where the photographs are too few to be
    compared. ``worst`` holds the nearest pairs.
    """

    memorization_rate: float | None
    authenticity: float | None
    worst: list[NearPair]


class Share(Record):
    """How often a property lies in a range, among photographs and among samples, 0 … 1 each."""

    from_: float = Field(alias="from")
    to: float
    photographs: float
    samples: float

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class QualityReport(Record):
    """What is known of a version's images. ``coverage`` has the shares by property: ``direction``, ``brightness``.

    ``known_images`` tells later whether the same addresses still give the same pixels.
    """

    version: str
    created_at: Moment
    verdict: Verdict
    leading: str
    measures: list[MeasureResult]
    copies: Copies
    coverage: dict[str, list[Share]]
    two_sample: TwoSample | None
    known_images: KnownImages | None = None
