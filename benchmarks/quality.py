"""Measures the quality of a preset's images after some seconds of training, against a holdout of photographs.

    python -m benchmarks.quality PHOTOGRAPHS --seconds 180 420 [--preset fewshot] [--types scratches] [--seed 0] …

PHOTOGRAPHS is a folder with photographs of one type, or an archive with a folder for each type. One model is trained on
all chosen types, on photographs that the seed selects. Time spent on measuring does not count as training; `--shown`
in place of `--seconds` counts photographs shown, which other work on the machine does not change. Prints one
table for each type; its last column has the same measures of the photographs trained on. `--picture` writes a picture
with photographs on the left and generated images on the right. `--verdict` prints what the judge of a version's verdict
says, with the photographs that were never trained on as the reference.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.adaptation import ADAPTATIONS
from benchmarks.photographs import Photographs, load_photographs
from benchmarks.serving.machine import machine
from benchmarks.starts import NOTHING, STARTS, load_start
from flawsmith.core.domain.evaluation_request import CLASSIFIER_STEPS
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import DEFAULT_PRESET, TrainingRequest
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.evaluation.classifier import Classifier
from flawsmith.models.pixels import render
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.presets.registry import build_generator, build_trainer
from flawsmith.models.quality.controls import HALF, modes
from flawsmith.models.quality.judgement import JudgedPhotographs, calibrate, judge_by
from flawsmith.models.quality.judging import Calibration
from flawsmith.models.quality.report import Quality, coverage_in, measure
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.wiping import blurred
from flawsmith.models.training.trainer import Trainer

COLUMNS, SHOWN = 8, 64  # in the picture, of photographs and of images each
RENDERED_AT_ONCE = 16


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path)
    options.add_argument("--types", nargs="+", help="folders of the archive; default: all")
    options.add_argument("--preset", choices=PRESETS.with_networks, default=DEFAULT_PRESET)
    options.add_argument("--override", nargs="*", default=[], metavar="NAME=VALUE", help="the preset's numbers")
    options.add_argument("--start", choices=STARTS, default=NOTHING, help="of the training")
    options.add_argument("--adapt", choices=ADAPTATIONS, help="train the start further in another way, of `fewshot`")
    options.add_argument("--resolution", type=int, default=64)
    length = options.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, nargs="+", help="of training, after which to measure")
    length.add_argument("--shown", type=int, nargs="+", help="photographs shown, after which to measure")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--device", default="cpu")
    options.add_argument("--training", type=int, help="photographs of each type to train on; default: all others")
    options.add_argument("--holdout", type=int, default=100, help="photographs of each type that are never trained on")
    options.add_argument("--images", type=int, default=300, help="generated images of each type to measure")
    options.add_argument("--picture", type=Path, help="where to write PNGs; type and length are added to the name")
    options.add_argument("--verdict", action="store_true", help="judge the images as a version's are")
    return options.parse_args()


def main() -> None:
    given = _arguments()
    torch.set_num_threads(given.threads)

    photographs = load_photographs(
        given.photographs,
        given.types,
        given.resolution,
        training=given.training,
        holdout=given.holdout,
        seed=given.seed,
    )
    print(f"{machine()}; {given.threads} threads, {given.device}")
    overrides = {name: json.loads(value) for name, value in (each.split("=") for each in given.override)}
    request = TrainingRequest(
        dataset=photographs.dataset.id,
        model="benchmark",
        preset=given.preset,
        resolution=given.resolution,
        seed=given.seed,
        overrides=overrides,
        **_length(given, overrides),
    )
    config = trainer_config(given.preset, resolve(request, photographs.dataset))
    run, spent = _trainer(given.preset, config, photographs, given.device), 0.0
    load_start(run, given.start, given.preset, config)
    if given.adapt:
        assert isinstance(run, FewshotTrainer)
        ADAPTATIONS[given.adapt](run)
    lengths = sorted(given.seconds or given.shown)
    for until in lengths:
        spent = _train(run, spent, until, lengths[-1], of_seconds=given.seconds is not None)
        shown = run.completed_steps * run.batch_size
        print(
            f"\n{given.preset} {given.override} from {given.start}, seed {given.seed}: "
            f"{spent:.0f} s, step {run.completed_steps}, {shown:,} photographs shown, {shown / spent:.0f} a second"
        )
        _show(run, given, config, photographs, until)
        if given.verdict:
            _print_verdict(run, given, config, photographs)


def _length(given: argparse.Namespace, overrides: dict[str, Any]) -> dict[str, Any]:
    """Of the job that would be as long, which decides the number of kinds."""
    if given.seconds:
        return {"max_seconds": max(given.seconds)}
    batch_size = PRESETS[given.preset].overrides.model_validate(overrides).model_dump()["batch_size"]
    return {"steps": -(-max(given.shown) // batch_size)}


def _trainer(preset: str, config: dict[str, Any], photographs: Photographs, device: str) -> Trainer:
    images, type_index = _joined(photographs)
    return build_trainer(preset, config, images, type_index, len(photographs.training), torch.device(device))


def _joined(photographs: Photographs) -> tuple[Tensor, Tensor]:
    """The photographs trained on, (N, C, side, side), and their type indices, (N,)."""
    counts = torch.tensor([len(each) for each in photographs.training.values()])
    return torch.cat(list(photographs.training.values())), torch.arange(len(counts)).repeat_interleave(counts)


def _train(run: Trainer, spent: float, until: float, length: float, of_seconds: bool) -> float:
    """Trains until ``until`` of the planned ``length`` is done; returns the seconds spent in all.

    Args:
        run: is trained.
        spent: seconds, so far.
        until: seconds, or photographs shown.
        length: of the whole run, in the same unit.
        of_seconds: which of the two.
    """
    begun, signals = time.perf_counter() - spent, dict[str, Tensor | float]()
    while (done := spent if of_seconds else run.completed_steps * run.batch_size) < until:
        signals.update(run.step(done / length))
        spent = time.perf_counter() - begun
    signals |= run.evaluate()
    print(" ".join(f"{name} {value:.3g}" for name, value in signals.items()))
    return spent


def _show(
    run: Trainer, given: argparse.Namespace, config: dict[str, Any], photographs: Photographs, until: float
) -> None:
    classified_share = _classified_share(photographs)
    generator = build_generator(given.preset, config, len(photographs.training))
    generator.load_state_dict(run.networks()["generator"])
    for index, (name, others) in enumerate(photographs.holdout.items()):
        holdout = others[: len(photographs.training[name])]  # coverage is comparable only for equal numbers
        latents = torch.randn(given.images, generator.latent_size, generator=torch.Generator().manual_seed(index))
        types = torch.full((RENDERED_AT_ONCE,), index)
        images = torch.cat([render(generator, each, types[: len(each)]) for each in latents.split(RENDERED_AT_ONCE)])
        training = photographs.training[name]
        _print_table(name, measure(images, holdout, training), measure(training, holdout, training))
        if classified_share:
            generated, real = (classified_share(each, index) for each in (images, holdout))
            print(f"| classified as {name} | {generated:.2f} | {real:.2f} |")
        if given.picture:
            place = given.picture.with_stem(f"{given.picture.stem}-{name}-{until:g}")
            place.write_bytes(encode_png(_picture(holdout, images)))


def _print_verdict(run: Trainer, given: argparse.Namespace, config: dict[str, Any], photographs: Photographs) -> None:
    generator = build_generator(given.preset, config, len(photographs.training))
    generator.load_state_dict(run.networks()["generator"])
    calibration = calibrate(_judged(photographs))
    judgement = judge_by(calibration, partial(_seeded_samples, generator))
    for reason in [judgement.state, judgement.sentence, *judgement.reasons]:
        print(reason)
    for each in judgement.measures:
        controls = ", ".join(f"{name} {value:.2f}" for name, value in each.controls.items())
        print(f"{each.type}, {each.name}: {each.value:.3f}; photographs {each.photographs:.3f}, {controls}")
    for index, name in enumerate(photographs.holdout):
        _print_leading_coverage(calibration, photographs, name, _seeded_samples(generator, index, 0, given.images))


def _print_leading_coverage(calibration: Calibration, photographs: Photographs, name: str, images: Tensor) -> None:
    """Coverage in the spaces that lead the verdict, that of the photographs trained on, and of these made worse."""
    training = photographs.training[name]
    holdout = photographs.holdout[name][: len(training)]
    compared = {"": images, "photographs": training, "blurred 1 px": blurred(training.float(), 1.0).round().byte()}
    compared[HALF] = training[modes(training)]
    for space in (each.name for each in SPACES if each.leads and each.name in calibration.spaces):
        features = calibration.spaces[space][0].features
        found = {of: coverage_in(features, each, holdout, training) for of, each in compared.items()}
        ours = found.pop("")
        others = ", ".join(f"{of} {value:.2f}" for of, value in found.items())
        print(f"{name}, coverage in {space}: {ours:.2f}; {others}; share {ours / found['photographs']:.2f}")


def _judged(photographs: Photographs) -> JudgedPhotographs:
    training, holdout = list(photographs.training.values()), list(photographs.holdout.values())
    return JudgedPhotographs(
        classes=list(photographs.training),
        training=training,
        holdout=holdout,
        training_masks=[[None] * len(each) for each in training],
        holdout_masks=[[None] * len(each) for each in holdout],
    )


def _seeded_samples(generator: PresetGenerator, type_index: int, first: int, count: int) -> Tensor:
    """(count, C, side, side) uint8: a sample for each seed from the first on."""
    seeds = (torch.Generator().manual_seed(seed) for seed in range(first, first + count))
    latents = torch.stack([torch.randn(generator.latent_size, generator=each) for each in seeds])
    parts = latents.split(RENDERED_AT_ONCE)
    return torch.cat([render(generator, each, torch.full((len(each),), type_index)) for each in parts])


def _classified_share(photographs: Photographs) -> Callable[[Tensor, int], float] | None:
    """Returns which share of images a classifier, trained on the photographs trained on, assigns to a type."""
    if len(photographs.training) == 1:
        return None
    types = len(photographs.training)
    classifier = Classifier(*_joined(photographs), types, 0, torch.device("cpu"), CLASSIFIER_STEPS)
    while not classifier.over:
        classifier.step()
    return lambda images, type_index: (classifier.classify(images) == type_index).float().mean().item()


def _print_table(name: str, images: Quality, training: Quality) -> None:
    rows = [(f"{name}", "generated", "photographs"), ("---", "---", "---")]
    for space in images.mmd_poly:
        theirs, real = (each.mmd_poly[space] for each in (images, training))
        rows.append((f"mmd_poly, {space}", _spread(theirs), _spread(real)))
        rows.append((f"density, {space}", f"{images.density[space]:.2f}", f"{training.density[space]:.2f}"))
        rows.append((f"coverage, {space}", f"{images.coverage[space]:.2f}", f"{training.coverage[space]:.2f}"))
    rows += [
        ("spectrum, decades", f"{images.spectrum_decades:.2f}", f"{training.spectrum_decades:.2f}"),
        ("histogram, gray levels", f"{images.histogram_levels:.1f}", f"{training.histogram_levels:.1f}"),
        ("nearest training photograph", f"{images.nearest_distance:.2f}", ""),
        ("authenticity", f"{images.authenticity:.2f}", ""),
        ("memorization rate", f"{images.memorization_rate:.2f}", ""),
    ]
    for row in rows:
        print("| " + " | ".join(row) + " |")


def _spread(values: list[float]) -> str:
    return f"{fmean(values):.3f} ({min(values):.3f} … {max(values):.3f})"


def _picture(photographs: Tensor, images: Tensor) -> Image.Image:
    """Photographs on the left, generated images on the right, a gap between them."""
    sheets = [
        grid([Image.fromarray(each.permute(1, 2, 0).squeeze().numpy()) for each in some[:SHOWN]], COLUMNS)
        for some in (photographs, images)
    ]
    return grid(sheets, 2, gap=12)


if __name__ == "__main__":
    main()
