"""Generator and discriminator for few photographs: residual, without normalisation, with grain from noise inputs.

After R3GAN (Huang et al. 2024, arXiv:2501.05441, section 4): residual branches that are zero at first, no
normalisation, and resampling with a low-pass filter against checkerboards. Differences for small images on a CPU:

- The generator's branches are two plain 3x3 convolutions.
- The discriminator halves the side by strided 4x4 convolutions, as DCGAN does (Radford et al. 2015, arXiv:1511.06434),
  after one 3x3 convolution at full resolution. Without the latter it hardly sees single pixels, and grain becomes a
  weave.
- Noise per pixel enters at 32 pixels a side and above, and again just before the output. The grain of metal is random;
  without noise the generator would have to make it from the latent (Karras et al. 2018, arXiv:1812.04948, section 3.2).
- Rolling marks and scratches are straight, and convolutions bend long lines. So noise per row and per column enters at
  every resolution, each block receives the means of its features' rows and columns (strip pooling: Hou et al. 2020,
  arXiv:2003.13328), and there is no noise per pixel below 32 pixels.
- Networks with `direction` are told the direction of an image's lines. Noise then enters per line in this direction,
  and means are taken of rows or of columns, by how level or upright it is: noise of rows and of columns at once makes
  level and upright lines cross.
- Networks with `narrow_ends` have half as many channels at the image's own resolution as at half of it, and no
  residual block there: almost all their work is on feature maps of at most half the side.
- Networks with `wavelet`, which an earlier release trained, end in a Haar transform. It leaves dots along edges.
- The style scales channels and noise at every resolution, not only at the first (Karras et al. 2018, section 3, but
  without normalisation): images differ in the direction of their lines and the strength of their grain.

There are no batch statistics: no image depends on the others of its batch.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.blocks import (
    FIRST_NOISE,
    SLOPE,
    BandConvolution,
    DirectedResidual,
    MaskHead,
    NoisyResidual,
    Upsample,
    initialise,
    pixel_line_noise,
    pixel_row_column_noise,
)
from flawsmith.models.presets.fewshot.directions import (
    DRAWN_BY,
    ENTRIES,
    FEATURES,
    VECTOR,
    direction_features,
    draw_directions,
)
from flawsmith.models.presets.fewshot.haar import BANDS, haar, inverse_haar
from flawsmith.models.presets.fewshot.lines import line_noise, weighted_noise
from flawsmith.models.presets.generator import PresetGenerator

SMALLEST = 4  # height and width of the generator's first and the discriminator's last feature map, in pixels
# The widest feature maps have so many times the channels of the narrowest. The generator needs its channels for detail,
# the discriminator for coarse layout.
GENERATOR_WIDEST, DISCRIMINATOR_WIDEST = 4, 8


def resolutions(resolution: int) -> list[int]:
    """Sides of the feature maps, from 4 to the image's."""
    return [SMALLEST * 2**level for level in range(int(math.log2(resolution // SMALLEST)) + 1)]


def noise_sizes(resolution: int, direction: bool = False) -> list[int]:
    """Noise values of each resolution above the first."""
    noise = pixel_line_noise if direction else pixel_row_column_noise
    return [sum(noise(side)) for side in resolutions(resolution)[1:]]


def one_hot(type_index: Tensor, types: int, dtype: torch.dtype, directions: Tensor | None = None) -> Tensor:
    """The type of each image, and its kind where ``directions`` tell it: (B,) int64, (B, 2 + K) -> (B, types * K)."""
    of_type = F.one_hot(type_index, types).to(dtype)
    if directions is None or directions.shape[1] == VECTOR:
        return of_type
    return (of_type[:, :, None] * directions[:, None, VECTOR:]).flatten(1)


class Generator(PresetGenerator):
    """Latents to images.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        style_size: how many of a latent's numbers are the style; the others are noise, for grain and lines.
        width: channels of the largest feature maps; doubled at each resolution below, up to `GENERATOR_WIDEST` times.
        types: number of defect types.
        direction: whether images have a direction that is given or drawn, see `directions`.
        wavelet: whether the largest feature maps have half the images' side, and a Haar transform follows.
        narrow_ends: whether the last residual block has half the images' side and ``width`` channels, and a doubling to
            half as many channels follows.
        masks: whether it can make the mask of each image as well, see `with_masks`; not with ``wavelet``.
        kinds: of photographs in each type; several only with ``direction``.

    Raises:
        ValueError: both ``masks`` and ``wavelet``, or several ``kinds`` without ``direction``.

    Attributes:
        latent_size: length of a latent; each number is standard normal. The style comes first, then `noise_sizes`, with
            ``wavelet`` or ``narrow_ends`` the noise of the image's own resolution, with ``direction`` the numbers that
            draw one.
        conditioning: 0 … 1, how much type and kind matter. It starts at 0: with full conditioning from the start, the
            images of a type collapse on small sets (Shahbazi et al. 2022, arXiv:2201.06578).
        directions: with ``direction``, the photographs' directions of each type, (types, `ENTRIES`, 2), or with several
            kinds (types, `ENTRIES`, 2 + kinds).
    """

    conditioning: Tensor
    directions: Tensor

    def __init__(
        self,
        resolution: int,
        channels: int,
        style_size: int,
        width: int,
        types: int,
        direction: bool = False,
        wavelet: bool = False,
        narrow_ends: bool = False,
        masks: bool = False,
        kinds: int = 1,
    ) -> None:
        super().__init__()
        if masks and wavelet:
            raise ValueError("a generator with wavelet makes no masks")
        if kinds > 1 and not direction:
            raise ValueError("a generator without direction knows no kinds")
        self.resolution, self.style_size, self.types, self.masks = resolution, style_size, types, masks
        self.direction, self.wavelet, self.narrow_ends = direction, wavelet, narrow_ends
        ends = wavelet or narrow_ends
        self.sides = resolutions(resolution // 2 if ends else resolution)
        self._noise_sizes = noise_sizes(self.sides[-1], direction)
        self._end_sizes = ([resolution**2, resolution] if direction else [resolution**2]) if ends else []
        drawing = DRAWN_BY if direction else 0
        self.latent_size = style_size + sum(self._noise_sizes) + sum(self._end_sizes) + drawing
        widths = [width * min(GENERATOR_WIDEST, self.sides[-1] // side) for side in self.sides]
        self.embedding = nn.Linear(types * kinds, style_size, bias=False)
        self.first = nn.Linear(2 * style_size, widths[0] * SMALLEST**2)
        self.doublings = nn.ModuleList(Upsample(wide, narrow) for wide, narrow in pairwise(widths))
        block = DirectedResidual if direction else NoisyResidual
        self.blocks = nn.ModuleList(
            block(side, wide, 2 * style_size) for side, wide in zip(self.sides[1:], widths[1:], strict=True)
        )
        if narrow_ends:
            widths.append(max(1, width // 2))
            self.last_doubling = Upsample(widths[-2], widths[-1], repeat_edges=True)
        grains = max(1, len(self._end_sizes)) * (BANDS if wavelet else 1)
        self.grain = nn.Linear(2 * style_size, grains * widths[-1])  # strength of the noise before the last convolution
        if masks:  # before the last convolution of an image, which has the precision of the first one
            self.mask_head = MaskHead(widths[-1])
        self.last = _last_convolution(widths[-1], channels, wavelet, narrow_ends)
        self.register_buffer("conditioning", torch.zeros(()))
        nn.init.normal_(self.embedding.weight)
        initialise(self.first, 1.0)
        if not wavelet:
            initialise(self.last, 1.0)
        nn.init.zeros_(self.grain.weight)
        nn.init.constant_(self.grain.bias, FIRST_NOISE)
        if direction:
            self.embedding_of_direction = nn.Linear(FEATURES, style_size, bias=False)
            nn.init.normal_(self.embedding_of_direction.weight)
            self.register_buffer("directions", torch.zeros(types, ENTRIES, VECTOR + (kinds if kinds > 1 else 0)))

    def forward(self, latents: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        """Makes images.

        Args:
            latents: (B, latent_size).
            type_index: (B,) int64.
            directions: (B, 2 + K), see `directions`; None: those of `drawn_directions`. Only with ``direction``.

        Returns:
            (B, channels, resolution, resolution), of the latents' dtype.
        """
        features, grain = self._features(latents, type_index, directions)
        return self._image(features + grain)

    def with_masks(self, latents: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        features, grain = self._features(latents, type_index, directions)
        return torch.cat([self._image(features + grain), self.mask_head(features)], 1)

    def _image(self, features: Tensor) -> Tensor:
        images: Tensor = self.last(F.leaky_relu(features, SLOPE))
        return inverse_haar(images) if self.wavelet else images

    def _features(self, latents: Tensor, type_index: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        """The largest feature maps, and the noise that is added to them before the last convolution."""
        style, noise = latents[:, : self.style_size], latents[:, self.style_size :]
        if self.direction and directions is None:
            directions = self.drawn_directions(latents, type_index)
        condition = self.embedding(self.conditioning * one_hot(type_index, self.types, latents.dtype, directions))
        if directions is not None:
            condition = condition + self.embedding_of_direction(direction_features(directions))
        styled = torch.cat([style, condition], 1)
        features = self.first(styled).unflatten(1, (-1, SMALLEST, SMALLEST))
        for upsample, block, size in zip(self.doublings, self.blocks, self._noise_sizes, strict=True):
            its_noise, noise = noise[:, :size], noise[:, size:]
            features = upsample(features)
            features = block(features, its_noise, styled, *([] if directions is None else [directions]))
        if self.narrow_ends:
            features = self.last_doubling(features)
        return features, self._last_noise(noise if self._end_sizes else its_noise, styled, directions)

    def drawn_directions(self, latents: Tensor, type_index: Tensor, angle: Tensor | None = None) -> Tensor:
        """The direction that each latent draws, (B, 2 + K); it depends on latent, type and angle alone.

        Args:
            latents: (B, latent_size).
            type_index: (B,) int64.
            angle: (B, 2) degrees, the lowest and the highest allowed; the range wraps round where the lowest is the
                greater. None: as the photographs have them.
        """
        drawing = latents[:, self.latent_size - DRAWN_BY :]
        return draw_directions(self.directions[type_index], drawing, angle)

    def feature_layers(self) -> list[nn.Module]:
        return [*self.blocks, *([self.last_doubling] if self.narrow_ends else [])]

    def _last_noise(self, noise: Tensor, styled: Tensor, directions: Tensor | None) -> Tensor:
        """What noise adds to the largest feature maps before the last convolution."""
        strengths: Tensor = self.grain(styled)
        side = self.resolution
        pixels = noise[:, : side**2].view(-1, 1, side, side)
        if not self._end_sizes:
            return strengths[:, :, None, None] * pixels
        pictures = [pixels]
        if directions is not None:
            pictures.append(line_noise(noise[:, side**2 : side**2 + side], directions))
        noisy = torch.cat([haar(each) for each in pictures] if self.wavelet else pictures, 1)
        return weighted_noise(strengths.unflatten(1, (noisy.shape[1], -1)), noisy)


class WithMasks(nn.Module):
    """A generator that makes masks with its images when it is called."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        return self.generator.with_masks(latents, type_index, directions)


def _last_convolution(width: int, channels: int, wavelet: bool, narrow_ends: bool) -> nn.Conv2d:
    """The generator's."""
    if wavelet:
        return BandConvolution(width, channels)
    # Zeros beyond the edges darken them; elsewhere a residual block makes up for it.
    return nn.Conv2d(width, channels, 3, padding=1, padding_mode="replicate" if narrow_ends else "zeros")


class Discriminator(nn.Module):
    """Images to one logit each: convolutions and leaky ReLUs, then the inner product with a head.

    The head is one for all types plus, weighted by `conditioning`, one for the image's type, which is zero at first
    (projection: Miyato, Koyama 2018, arXiv:1802.05637, section 3).

    The network is linear around almost every image, which `discriminator_pass` relies on.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        width: channels at half the image's resolution, from 2; half as many at the image's own, and doubled at each one
            below, up to `DISCRIMINATOR_WIDEST` times.
        types: number of defect types.
        direction: whether images have a direction that it is told; the head then depends on it as on the type, but
            always, and without that weight.
        wavelet: whether it sees the bands of a Haar transform in place of the image. Its layers are then those for half
            the resolution.
        masks: whether it sees the mask of each image as one more channel. A mask of zeros is one that it is not told,
            and at first it ignores all.
        kinds: of photographs in each type; there is then a head for each kind in place of one for each type.
    """

    conditioning: Tensor

    def __init__(
        self,
        resolution: int,
        channels: int,
        width: int,
        types: int,
        direction: bool = False,
        wavelet: bool = False,
        masks: bool = False,
        kinds: int = 1,
    ) -> None:
        super().__init__()
        self.types, self.direction, self.wavelet = types, direction, wavelet
        self.of_image, self.masks = channels, masks
        channels += masks
        if wavelet:
            resolution, channels = resolution // 2, BANDS * channels
        widths = [
            width * min(DISCRIMINATOR_WIDEST, resolution // 2 // side) for side in resolutions(resolution // 2)[::-1]
        ]
        finest = nn.Conv2d(channels, width // 2, 3, padding=1)
        strided = [nn.Conv2d(inputs, outputs, 4, 2, 1) for inputs, outputs in pairwise([width // 2, *widths])]
        self.convolutions = nn.ModuleList([finest, *strided, nn.Conv2d(widths[-1], widths[-1], SMALLEST)])
        self.head = nn.Linear(widths[-1], 1)
        self.heads_by_type = nn.Linear(types * kinds, widths[-1], bias=False)
        self.register_buffer("conditioning", torch.zeros(()))
        for layer in self.convolutions:
            initialise(layer, math.sqrt(2 / (1 + SLOPE**2)))
        if masks:
            with torch.no_grad():
                finest.weight.unflatten(1, (-1, self.of_image + 1))[:, :, self.of_image :] = 0
        initialise(self.head, 1.0)
        nn.init.zeros_(self.heads_by_type.weight)
        if direction:
            self.heads_by_direction = nn.Linear(FEATURES, widths[-1], bias=False)
            nn.init.zeros_(self.heads_by_direction.weight)

    def forward(self, images: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        """(B, channels, resolution, resolution) float32, (B,) int64, (B, 2 + K) -> (B,) float32 logits.

        With ``masks``, a channel more; images alone are images whose masks it is not told.
        """
        features = self.seen(images)
        for convolution in self.convolutions:
            features = F.leaky_relu(convolution(features), SLOPE)
        return (features.flatten(1) * self.heads(type_index, directions)).sum(1) + self.head.bias

    def seen(self, images: Tensor) -> Tensor:
        """What the first convolution receives of images; an orthonormal map."""
        if self.masks and images.shape[1] == self.of_image:
            images = F.pad(images, (0, 0, 0, 0, 0, 1))
        return haar(images) if self.wavelet else images

    def unseen(self, seen: Tensor) -> Tensor:
        """The inverse, and transpose, of `seen`."""
        return inverse_haar(seen) if self.wavelet else seen

    def heads(self, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        """(B,) int64, (B, 2 + K) -> (B, features): the logit is the inner product of features and head."""
        condition = self.conditioning * one_hot(type_index, self.types, self.head.weight.dtype, directions)
        heads: Tensor = self.head.weight + self.heads_by_type(condition)
        if directions is not None:
            heads = heads + self.heads_by_direction(direction_features(directions))
        return heads
