"""Random features pooled by mean: what an image is made of, and roughly where. They overlook what is small."""

from flawsmith.models.quality.controls import NOISY, SHIFTED, SMOOTHED, STATIC
from flawsmith.models.quality.random_features import CombinedFeatures, Features
from flawsmith.models.quality.space import Lesson, Space, at_once


def _prepare(lesson: Lesson) -> Features:
    return CombinedFeatures(lesson.images)


SPACES = (
    Space(
        name="mean_pooled",
        meaning="random convolutions, pooled by mean and standard deviation, and in a 4x4 grid",
        claims=(SMOOTHED, "blurred 4 px", NOISY, SHIFTED, STATIC),
        prepare=at_once(_prepare),
        paper="Naeem et al. 2020, arXiv:2002.09797, section 4",
    ),
)
