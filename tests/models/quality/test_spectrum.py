"""Power spectra and histograms of images whose difference is known."""

import math

import pytest
import torch

from flawsmith.models.quality.spectrum import histogram_distance, radial_power_spectrum, spectrum_distance


def test_a_wave_has_its_power_at_its_own_frequency() -> None:
    place = torch.arange(64) / 64
    wave = (128 + 100 * torch.sin(2 * math.pi * 9 * place)).expand(1, 1, 64, 64).to(torch.uint8)
    assert radial_power_spectrum(wave).argmax().item() + 1 == 9
    assert radial_power_spectrum(wave.transpose(2, 3)).argmax().item() + 1 == 9
    assert len(radial_power_spectrum(wave)) == 32


def test_half_the_amplitude_is_six_tenths_of_a_decade() -> None:
    grain = torch.randn(50, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    strong, weak = ((128 + scale * grain).clamp(0, 255).to(torch.uint8) for scale in (30, 15))
    assert spectrum_distance(strong, weak) == pytest.approx(math.log10(4), abs=0.03)
    assert spectrum_distance(strong, strong) == 0


def test_a_uniform_image_has_a_finite_spectrum() -> None:
    assert radial_power_spectrum(torch.full((2, 1, 32, 32), 90, dtype=torch.uint8)).isfinite().all()


def test_the_histogram_distance_is_how_far_gray_must_be_moved() -> None:
    dark = torch.full((2, 1, 8, 8), 40, dtype=torch.uint8)
    half_moved = dark.clone()
    half_moved[1] += 10
    assert histogram_distance(dark, half_moved) == pytest.approx(5)
    assert histogram_distance(dark, dark) == 0
