"""What the stages of a report find out: all that its JSON and its page are made of, and what its checkpoints keep."""

from pydantic import Field

from flawsmith.core.domain.quality_report import MeasureResult, NearPair, Share, TwoSample
from flawsmith.core.domain.records import Record, Verdict


class Judged(Record):
    """What the judge says of the samples."""

    verdict: Verdict
    leading: str
    measures: list[MeasureResult]
    two_sample: TwoSample | None


class CopyShares(Record):
    """Shares that say whether images copy photographs; see `models.quality.nearest_photographs.CopyFigures`."""

    authenticity: float
    memorization_rate: float | None
    nearer: float


class TypeCopies(Record):
    """The copies of one type. ``genuine`` are the same shares of photographs, ``held_out`` or else trained on.

    ``distance`` and ``genuine_distance`` are the median distances to the nearest training photograph.
    """

    type: str
    samples: CopyShares
    genuine: CopyShares
    distance: float
    genuine_distance: float
    n: int
    genuine_n: int
    held_out: bool


class PairPicture(Record):
    """A sample, its nearest training photograph turned like it, and the difference of their gray values, as one PNG."""

    pair: NearPair
    png: str  # base64


class CopyAnalysis(Record):
    """Copies of all types: the nearest pairs, and as many random ones."""

    types: list[TypeCopies]
    worst: list[PairPicture]
    random: list[PairPicture]


class Lacking(Record):
    """What samples lack, such as ``slanted``: the shares of photographs and of samples that have it."""

    what: str
    photographs: float
    samples: float


class PropertyAnalysis(Record):
    """How a property is distributed among the images of a type; ``type`` None: among all."""

    property: str
    type: str | None
    ranges: list[Share]
    lacking: list[Lacking]
    photographs_n: int
    samples_n: int


class Curve(Record):
    """A curve of photographs and one of samples. ``difference`` is between them, in the unit of the measure."""

    type: str
    x: list[float]
    photographs: list[float]
    samples: list[float]
    difference: float
    ordinary: float  # the same difference between two halves of the photographs
    photographs_n: int
    samples_n: int


class TypePictures(Record):
    """Pictures of one type, PNG in base64: photographs and as many samples, and walks, one row each.

    There are no walks of a version without networks.
    """

    type: str
    photographs: str
    samples: str
    shown: int
    first_seed: int
    walks: str | None


class ReportAnalysis(Record):
    """Everything that the stages up to now found out."""

    judged: Judged | None = None
    neighbourhoods: list[MeasureResult] = Field(default_factory=list)
    copies: CopyAnalysis | None = None
    coverage: list[PropertyAnalysis] = Field(default_factory=list)
    spectra: list[Curve] = Field(default_factory=list)
    histograms: list[Curve] = Field(default_factory=list)
    pictures: list[TypePictures] = Field(default_factory=list)
