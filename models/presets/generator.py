"""What the generator of every preset has in common."""

from torch import Tensor, nn


class PresetGenerator(nn.Module):
    """A network that makes images of latents and defect types.

    It maps (B, latent_size) float32 and (B,) int64 to (B, C, H, W) float32, where photographs are in [-1, 1].

    Attributes:
        latent_size: length of a latent.
        direction: whether images have a direction, which latents draw. Its forward then takes directions as its
            third argument.
        masks: whether it makes the mask of each image as well, see `with_masks`.
    """

    latent_size: int
    direction: bool = False
    masks: bool = False

    def with_masks(self, latents: Tensor, type_index: Tensor, directions: Tensor | None = None) -> Tensor:
        """Images and their masks, for generators with ``masks``; arguments as those of the forward.

        Returns:
            (B, C + 1, H, W) float32: the image that the forward makes, and a channel that is above zero where its
            defect is.
        """
        raise NotImplementedError

    def drawn_directions(self, latents: Tensor, type_index: Tensor, angle: Tensor | None = None) -> Tensor:
        """The directions that latents draw, for generators with ``direction``.

        Args:
            latents: (B, latent_size).
            type_index: (B,) int64.
            angle: (B, 2) degrees counter-clockwise from level, the lowest and the highest; the range wraps where the
                lowest is the greater. From 0 to 180, or None: every angle.

        Returns:
            (B, D), what the forward takes; each depends on nothing but its latent, its type and its angle.
        """
        raise NotImplementedError

    def feature_layers(self) -> list[nn.Module]:
        """The layers whose outputs are an image's feature maps, (B, W, S, S) from coarse to fine.

        Labels of pixels are learned from them; versions of a preset without any learn none from masks of their images.
        """
        return []
