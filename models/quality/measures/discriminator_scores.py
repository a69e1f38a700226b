"""What a discriminator with a probability for each image makes of photographs and samples, at each step."""

from flawsmith.models.quality.measure import Measure

MEASURES = (
    Measure(
        name="real_score",
        meaning='`dcgan`: the discriminator\'s mean probability of "real" for photographs, before its update',
        better=None,
    ),
    Measure(
        name="fake_score",
        meaning='`dcgan`: the discriminator\'s mean probability of "real" for samples, before its update',
        better=None,
    ),
)
