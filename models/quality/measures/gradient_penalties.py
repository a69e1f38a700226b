"""R1 and R2 as they are added to the discriminator's loss, at each step."""

from functools import partial

from flawsmith.models.quality.measure import Measure

_penalty = partial(
    Measure,
    better="lower",
    warning=20.0,
    relative_to="discriminator_loss",
    sentence="the gradient penalties outweigh the loss by far: a lower gradient_penalty would let it learn",
    paper="Mescheder et al. 2018, arXiv:1801.04406, eq. 9 and 10",
)

MEASURES = (
    _penalty(name="real_penalty", meaning="R1: gradient penalty on photographs, as it is added to the loss"),
    _penalty(name="fake_penalty", meaning="R2: gradient penalty on samples, as it is added to the loss"),
)
