"""The networks of the preset `toy`, and their training by gradient descent and ascent on one loss."""

import torch
from torch import nn

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.training.fixed_samples import FixedSamples
from flawsmith.models.training.state import copied_weights


class ToyGenerator(PresetGenerator):
    def __init__(self, config, types):
        super().__init__()
        self.latent_size, side = config["latent_size"], config["resolution"]
        self.layers = nn.Sequential(nn.Linear(self.latent_size, side**2), nn.Tanh(), nn.Unflatten(1, (1, side, side)))

    def forward(self, latents, type_index):
        return self.layers(latents)


class ToyTrainer(nn.Module):
    """A `Trainer`, but for what a rollback and init_from need."""

    analysis, completed_steps = dict, property(lambda self: int(self.steps))

    def __init__(self, config, images, type_index, types, device, photograph):
        super().__init__()
        self.images, self.batch_size = images, config["batch_size"]
        self.steps_per_epoch = -(-len(images) // self.batch_size)
        self.register_buffer("steps", torch.tensor(0))
        self.generator = ToyGenerator(config, types)
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 1))
        samples = FixedSamples(types, self.generator.latent_size, config["seed"], device)
        evaluator = Evaluator([images[type_index == each] for each in range(types)], [images[:0]] * types)
        self.preview = lambda: samples.preview(self.generator)
        self.evaluate = lambda: evaluator.signals(samples.evaluated(self.generator))

    def step(self, progress):
        real = from_bytes(self.images[torch.randint(len(self.images), (self.batch_size,))])
        fake = self.generator(torch.randn(self.batch_size, self.generator.latent_size), None)
        loss = nn.functional.softplus(self.discriminator(fake) - self.discriminator(real)).mean()
        self.zero_grad()
        loss.backward()
        for name, weights in self.named_parameters():
            weights.data.add_(weights.grad, alpha=0.01 if name.startswith("generator") else -0.01)
        self.steps += 1
        return {"discriminator_loss": loss.detach()}

    def networks(self):
        return {name: copied_weights(each) for name, each in self.named_children()}


BUILDER = PresetBuilder("toy", ToyTrainer, ToyGenerator)
