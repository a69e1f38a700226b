"""Measures how fast samples leave the prior that training starts from, by the figures of the verdict.

    python -m benchmarks.start_likeness ARCHIVE PRIOR.safetensors --type scratches [--steps 0 5 20 60 150] [--sheet PNG]

It trains on photographs of one type and prints the figures of `models.quality.start_likeness` at each of the steps. The
sheet has images of the start above those of the last step, of the same latents.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.photographs import load_photographs
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.store.images import encode_png, grid, to_image
from flawsmith.core.store.priors import Priors
from flawsmith.models.pixels import render
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.quality.start_likeness import start_figures
from flawsmith.worker.prior_file import load_prior

TRAINING, HOLDOUT = 200, 50  # photographs
SAMPLES, BATCH, ON_SHEET = 120, 16, 16
CPU = torch.device("cpu")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("archive", type=Path)
    options.add_argument("prior", type=Path)
    options.add_argument("--type", required=True, help="a folder of the archive")
    options.add_argument("--steps", type=int, nargs="+", default=[0, 5, 20, 60, 150])
    options.add_argument("--job-steps", type=int, default=6000, help="of the job that these are the first steps of")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--sheet", type=Path)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    priors = Priors(given.prior.parent)
    [shape] = [each.config for each in priors.cards if priors.path(each.weights_sha256) == given.prior]
    photographs = load_photographs(
        given.archive, [given.type], shape["resolution"], training=TRAINING, holdout=HOLDOUT, seed=0
    )
    request = TrainingRequest(dataset="d", model="m", resolution=shape["resolution"], overrides=_overrides(shape))
    config = trainer_config("fewshot", resolve(request, photographs.dataset))
    images = torch.cat([photographs.training[given.type], photographs.holdout[given.type]])
    trainer = FewshotTrainer(FewshotConfig(**config), images, torch.zeros(len(images), dtype=torch.int64), 1, CPU)
    trainer.load_prior(load_prior(given.prior))
    latents = torch.randn(2 * SAMPLES, trainer.generator.latent_size, generator=torch.Generator().manual_seed(0))
    start, others = _drawn(trainer, latents).split(SAMPLES)
    samples = start
    for step in sorted(given.steps):
        while trainer.completed_steps < step:
            trainer.step(trainer.completed_steps / given.job_steps)
        samples = _drawn(trainer, latents[:SAMPLES])
        figures = start_figures(images[:TRAINING], samples, start, others)
        print(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in vars(figures).items()), flush=True)
    if given.sheet:
        pictures = torch.cat([start[:ON_SHEET], samples[:ON_SHEET]]).permute(0, 2, 3, 1).numpy()
        given.sheet.write_bytes(encode_png(grid(list(map(to_image, pictures)), ON_SHEET)))


def _overrides(shape: dict[str, object]) -> dict[str, object]:
    names = ("latent_size", "generator_width", "discriminator_width", "direction", "wavelet", "narrow_ends")
    return {name: shape[name] for name in names if name in shape}


def _drawn(trainer: FewshotTrainer, latents: Tensor) -> Tensor:
    """Images of the averaged generator, (N, C, side, side) uint8."""
    types = torch.zeros(BATCH, dtype=torch.int64)
    return torch.cat([render(trainer.ema.module, each, types[: len(each)]) for each in latents.split(BATCH)])


if __name__ == "__main__":
    main()
