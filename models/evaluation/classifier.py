"""A classifier of defect types, trained from nothing on photographs, generated images, or both."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.pixels import from_bytes
from flawsmith.models.training.augmentation import Strength, Symmetries, augment, sample_augmentation
from flawsmith.models.training.balanced_batches import BalancedBatches
from flawsmith.models.training.state import flat_state, load_flat_state, to_device

BATCH = 32
WIDTHS = (32, 64, 128, 128)  # channels of each convolution; each halves the side
MOST_RATE = 3e-3  # AdamW's learning rate rises to it and falls again
LABEL_SMOOTHING = 0.1
# Mirrors keep a direction such as "along the rolling direction"; an exchange of rows and columns would not.
AUGMENTATION = Strength(probability=0.7, shift=0.125, brightness=0.2, contrast=0.25)
CLASSIFIED_AT_ONCE = 256


class Classifier:
    """A small convolutional network in training, with the usual augmentation and every type equally often in a batch.

    Its random numbers come from one generator of its own: the same images and seed give the same network on the same
    kind of device, and so does a training that was saved and loaded in between.

    Args:
        images: (N, C, side, side) uint8, on the CPU.
        type_index: (N,) int64, 0 … types - 1, each at least once.
        types: how many there are.
        seed: decides the first weights and the order of the images.
        device: where the network lives.
        steps: how long it trains, however many images there are: what is compared differs in its images only.
    """

    def __init__(
        self, images: Tensor, type_index: Tensor, types: int, seed: int, device: torch.device, steps: int
    ) -> None:
        self.images, self.steps, self.device = images, steps, device
        self.completed_steps = 0
        self.random = torch.Generator().manual_seed(seed)
        self.batches = BalancedBatches(type_index, types, self.random)
        mirrors = torch.ones(types, dtype=torch.bool)
        self.symmetries = Symmetries(mirrors, mirrors, ~mirrors)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = _network(images.shape[1], types)
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=0.05)

    @property
    def over(self) -> bool:
        return self.completed_steps >= self.steps

    def step(self) -> None:
        """Updates the network once."""
        chosen, type_index = self.batches.next(BATCH)
        side = self.images.shape[-1]
        parameters = sample_augmentation(type_index, side, AUGMENTATION, self.symmetries, self.random)
        images = augment(from_bytes(self.images[chosen]), parameters)
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(self.completed_steps / self.steps)
        self.network.train()
        logits = self.network(to_device(images, self.device).contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, to_device(type_index, self.device), label_smoothing=LABEL_SMOOTHING)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.completed_steps += 1

    def classify(self, images: Tensor) -> Tensor:
        """The type that the network finds likeliest: (N, C, side, side) uint8 -> (N,) int64, on the CPU."""
        self.network.eval()
        with torch.inference_mode():
            found = [
                self.network(to_device(from_bytes(some), self.device)).argmax(1).cpu()
                for some in images.split(CLASSIFIED_AT_ONCE)
            ]
        return torch.cat(found)

    def state_dict(self) -> dict[str, Tensor]:
        """The whole training, flat: network, optimiser, random state, order of the images."""
        return {
            "random": self.random.get_state(),
            "completed_steps": torch.tensor(self.completed_steps),
            **{f"batches.{name}": each for name, each in self.batches.state_dict().items()},
            **flat_state({"network": self.network}, {"optimiser": self.optimiser}),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Loads what `state_dict` returned for the same images.

        Raises:
            KeyError, RuntimeError: the state is of others.
        """
        load_flat_state(state, {"network": self.network}, {"optimiser": self.optimiser})
        self.batches.load_state_dict({name: state[f"batches.{name}"] for name in ("orders", "positions")})
        self.random.set_state(state["random"])
        self.completed_steps = int(state["completed_steps"])


def _network(channels: int, types: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *WIDTHS)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], types))


def _rate(progress: float) -> float:
    """The learning rate at 0 … 1 of the training: up for a tenth, then down to zero, linearly."""
    return MOST_RATE * min(progress / 0.1 + 0.01, (1 - progress) / 0.9)
