"""Distances between two sets of images in their power spectra and gray values."""

import torch
from torch import Tensor

LOWEST_POWER = 1e-12  # of a band, on values 0 … 1: below the power of any 8-bit image that is not uniform


def radial_power_spectrum(images: Tensor) -> Tensor:
    """The mean of the images' `radial_power_spectra`, so a few bright images do not dominate: (side // 2,) float32.

    Args:
        images: (N, C, side, side) uint8.
    """
    return radial_power_spectra(images).mean(0)


def radial_power_spectra(images: Tensor) -> Tensor:
    """log10 of the power at each integer spatial frequency, from 1 cycle a side to Nyquist: (N, side // 2) float32.

    Power is that of the brightness, averaged over directions, under a Hann window because images are not periodic.

    Args:
        images: (N, C, side, side) uint8.
    """
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False)
    gray = images.float().mean(1) / 255
    waves = (gray - gray.mean((1, 2), keepdim=True)) * torch.outer(window, window)
    power = torch.fft.fft2(waves).abs().square() / side**2
    frequency = torch.fft.fftfreq(side) * side
    band = torch.hypot(frequency[:, None], frequency).round().long().flatten()
    inside = (band >= 1) & (band <= side // 2)
    sums = torch.zeros(len(images), side // 2 + 1).index_add_(1, band[inside], power.flatten(1)[:, inside])
    counts = torch.bincount(band[inside], minlength=side // 2 + 1)
    return (sums[:, 1:] / counts[1:]).clamp_min(LOWEST_POWER).log10()


def spectrum_distance(real: Tensor, fake: Tensor) -> float:
    """The largest difference between two sets' `radial_power_spectrum` at any frequency, in decades."""
    return (radial_power_spectrum(real) - radial_power_spectrum(fake)).abs().max().item()


def histogram_distance(real: Tensor, fake: Tensor) -> float:
    """Wasserstein-1 distance between two sets' gray values, in gray levels, 0 … 255.

    Args:
        real, fake: (N, C, H, W), (M, C, H, W) uint8; all channels have equal weight.
    """
    shares = [torch.bincount(each.flatten().long(), minlength=256) / each.numel() for each in (real, fake)]
    return (shares[0].cumsum(0) - shares[1].cumsum(0)).abs().sum().item()
