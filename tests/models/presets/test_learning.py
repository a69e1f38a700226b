"""A short seeded run learns what its photographs look like, by a check that noise and an untrained generator fail."""

import torch
from tests.models.pictures import blots, noise
from torch import Tensor

from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.quality.evaluator import Evaluator

CONFIG = FewshotConfig(
    resolution=32,
    channels=1,
    seed=0,
    latent_size=16,
    generator_width=8,
    discriminator_width=16,
    learning_rate=1e-3,
    gradient_penalty=1.0,
    ema_half_life_images=500,
    augment_probability=0.3,
    augment_shift=0.125,
    augment_brightness=0.1,
    augment_contrast=0.1,
    batch_size=16,
    horizontal_flip=True,
    vertical_flip=True,
    transposition=True,
    cuda_graph=False,
    direction=False,
    wavelet=False,
    narrow_ends=False,
    kinds=1,
)
STEPS = 300


def learnt(distance: float) -> bool:
    """The check: samples are near photographs that the run never saw."""
    return distance < 0.15


def shuffled(images: Tensor) -> Tensor:
    """The same gray values at random places."""
    order = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).flatten(1).argsort(1)
    return images.flatten(1).gather(1, order).view_as(images)


def test_a_short_run_comes_near_to_photographs_that_it_never_saw() -> None:
    """What it starts from, an untrained generator, is far from them."""
    run = FewshotTrainer(CONFIG, blots(0, 200), torch.zeros(200, dtype=torch.int64), 1, torch.device("cpu"))
    assert len(run.holdout) == 20
    untrained = run.evaluate()["distance"]
    for step in range(STEPS):
        run.step(step / STEPS)
    trained = run.evaluate()
    assert not learnt(untrained)
    assert learnt(trained["distance"])
    assert trained["distance"] < untrained / 5
    assert trained["memorization_rate"] < 0.05


def test_noise_does_not_pass_as_learnt() -> None:
    evaluator = Evaluator([blots(0, 180)], [blots(1, 20)])
    assert learnt(evaluator.signals([blots(2, 64)])["distance"])
    assert not learnt(evaluator.signals([noise(64)])["distance"])
    assert not learnt(evaluator.signals([shuffled(blots(2, 64))])["distance"])
    assert not learnt(evaluator.signals([blots(2, 64).flip(0)[:1].expand(64, -1, -1, -1)])["distance"])
