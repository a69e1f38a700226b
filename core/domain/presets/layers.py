"""What the networks of a preset cost, from the shapes of their layers alone: for estimates without PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer, for one image.

    Attributes:
        weights: how many.
        multiplications: of a forward pass.
        values: of its feature maps.
    """

    weights: int
    multiplications: int
    values: int


@dataclass(frozen=True)
class NetworkLayers:
    """The layers of both networks that count; embeddings, biases and norms are left out."""

    generator: Sequence[Layer]
    discriminator: Sequence[Layer]

    @property
    def generator_weights(self) -> int:
        return sum(each.weights for each in self.generator)

    @property
    def discriminator_weights(self) -> int:
        return sum(each.weights for each in self.discriminator)

    @property
    def multiplications(self) -> int:
        """Of a forward pass of both networks with one image; a training step takes a fixed multiple."""
        return sum(each.multiplications for each in (*self.generator, *self.discriminator))

    @property
    def values(self) -> int:
        """Of all feature maps of one image."""
        return sum(each.values for each in (*self.generator, *self.discriminator))


def convolution(inputs: int, outputs: int, taps: int, places: int) -> Layer:
    """A layer whose outputs stand at so many places; a linear layer has one tap and one place.

    Args:
        inputs, outputs: channels.
        taps: of the kernel, such as 9 for 3x3.
        places: pixels of the feature map that it makes.
    """
    weights = inputs * outputs * taps
    return Layer(weights, weights * places, outputs * places)


def transposed_convolution(inputs: int, outputs: int, taps: int, places: int, made: int) -> Layer:
    """A layer that multiplies at the ``places`` pixels of the feature map it receives, and makes one of ``made``."""
    weights = inputs * outputs * taps
    return Layer(weights, weights * places, outputs * made)
