"""How surely the discriminator of a relativistic pairing tells photographs from samples, at each step."""

from flawsmith.models.quality.measure import Measure

MEASURES = (
    Measure(
        name="sign_rate",
        meaning="mean sign of D(photograph) - D(sample) over the pairs of a batch, -1 to 1",
        better="lower",
        warning=0.9,
        sentence="the discriminator tells every photograph from every sample: the generator learns little from it",
        paper="after r_t, Karras et al. 2020, arXiv:2006.06676, eq. 1",
    ),
    Measure(
        name="margin",
        meaning="mean of D(photograph) - D(sample) over the pairs of a batch",
        better=None,
    ),
)
