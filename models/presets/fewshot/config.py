"""The configuration of a `fewshot` run."""

from dataclasses import dataclass

PENALTY_RESOLUTION = 64  # side in pixels at which ``gradient_penalty`` is meant as it is


@dataclass(frozen=True, kw_only=True)
class FewshotConfig:
    """The configuration of a run; for bounds, defaults and units see `core.domain.presets.fewshot`.

    No field has a default here: a missing one is an error.
    """

    resolution: int
    channels: int
    seed: int
    latent_size: int
    generator_width: int
    discriminator_width: int
    learning_rate: float
    gradient_penalty: float
    ema_half_life_images: int
    augment_probability: float
    augment_shift: float
    augment_brightness: float
    augment_contrast: float
    horizontal_flip: bool | None
    vertical_flip: bool | None
    transposition: bool | None
    batch_size: int
    cuda_graph: bool
    direction: bool
    wavelet: bool
    narrow_ends: bool
    kinds: int

    @property
    def haar_bands(self) -> bool:
        """Whether the discriminator sees the bands of a Haar transform."""
        return self.wavelet or self.narrow_ends

    @property
    def penalty_scale(self) -> float:
        """How much larger gamma is at this resolution.

        A pattern drawn with twice as many pixels a side has four times the squared norm, so the squared norm of the
        logit's gradient by the image falls to a quarter: for the same smoothness gamma grows by the number of pixels,
        as in StyleGAN2 (arXiv:1912.04958; 0.0002 pixels / batch in its code). Networks without ``wavelet`` keep the
        gamma of earlier runs.
        """
        return (self.resolution / PENALTY_RESOLUTION) ** 2 if self.haar_bands else 1.0
