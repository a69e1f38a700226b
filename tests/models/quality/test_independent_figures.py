"""Density, coverage and KID equal an independent implementation on the same features.

The expected figures were made once, with ``pip install prdc==0.2 torchmetrics==1.9.0 torch``:

    for seed, shift in ((0, 0.3), (1, 1.0)):
        random = numpy.random.default_rng(seed)
        real, fake = random.standard_normal((40, 6)), random.standard_normal((40, 6)) * 0.8 + shift
        print(prdc.compute_prdc(real, fake, nearest_k=5))
        print(torchmetrics.image.kid.poly_mmd(torch.tensor(real), torch.tensor(fake), degree=3, gamma=None, coef=1.0))
"""

import numpy as np
import pytest
import torch

from flawsmith.models.quality.two_sample import density_and_coverage, mmd_poly

FIGURES = {(0, 0.3): (1.32, 0.975, 0.17968669084735778), (1, 1.0): (0.275, 0.25, 8.213906580791882)}


@pytest.mark.parametrize(("seed", "shift"), FIGURES)
def test_they_are_equal(seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    real = torch.from_numpy(random.standard_normal((40, 6)))
    fake = torch.from_numpy(random.standard_normal((40, 6)) * 0.8 + shift)
    density, coverage, kid = FIGURES[seed, shift]
    assert density_and_coverage(real, fake) == pytest.approx((density, coverage), abs=1e-6)
    assert mmd_poly(real, fake) == pytest.approx(kid, abs=1e-6)
