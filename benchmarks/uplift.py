"""Measures what generated images add to a classifier of defect types, and whether that measurement is honest.

    python -m benchmarks.uplift classifier PHOTOGRAPHS
    python -m benchmarks.uplift honesty PHOTOGRAPHS --out FOLDER [--tries 20]
    python -m benchmarks.uplift table PHOTOGRAPHS --out FOLDER [--seconds 300] [--only 10/0 50/3] …

PHOTOGRAPHS is an archive with a folder for each type.

`classifier` trains the classifier of evaluations on as many photographs of each type as are not held out, and prints
its scores. `honesty` puts something else in the place of generated images: fresh photographs, which must help with 10
of a type; noise, which must never be said to help; nothing, under another seed, whose intervals must cover zero.
`table` trains a generator for each subset, with the preset's defaults, and prints the whole table.

The last two keep the scores of each finished classifier in FOLDER, and go on from there: stop them at any time, and
give `--minutes` to make a piece. `table --only` makes some of the subsets: several such commands, with other subsets
each, may run at once, also on several machines whose FOLDERs are merged; without it the command prints the table.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.kept_scores import KeptScores, OutOfTime, write_whole
from benchmarks.serving.machine import machine
from benchmarks.starts import NOTHING, STARTS, load_start
from flawsmith.core.domain.evaluation_request import CLASSIFIER_STEPS, held_out_count
from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.training_config import resolve, trainer_config
from flawsmith.core.domain.training_request import DEFAULT_PRESET, TrainingRequest
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.models.evaluation.experiment import (
    REAL,
    WITH_SYNTHETIC,
    Arm,
    Experiment,
    Key,
    Sampler,
    Subset,
    arms,
    derived_seed,
)
from flawsmith.models.evaluation.labelled_photographs import LabelledPhotographs, split
from flawsmith.models.evaluation.scores import Scores
from flawsmith.models.pixels import render
from flawsmith.models.presets.registry import build_generator, build_trainer
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker.uplift import uplift

CPU = torch.device("cpu")
RENDERED_AT_ONCE = 16
FRESH_PER_TYPE, FRESH_RATIOS = 10, (1.0, 4.0)


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("classifier", "honesty", "table"))
    options.add_argument("photographs", type=Path)
    options.add_argument("--out", type=Path, help="folder for what is finished")
    options.add_argument("--minutes", type=float, help="stop after so many, between two classifiers")
    options.add_argument("--tries", type=int, default=20, help="of nothing added; half as many of noise")
    options.add_argument("--preset", choices=PRESETS.with_networks, default=DEFAULT_PRESET)
    options.add_argument("--start", choices=STARTS, default=NOTHING, help="of the generators")
    length = options.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=300, help="of training for each subset")
    length.add_argument("--shown", type=int, help="photographs shown for each subset, in place of --seconds")
    options.add_argument("--per-type", type=int, nargs="+", default=[10, 50])
    options.add_argument("--ratios", type=float, nargs="+", default=[0.5, 1.0, 2.0, 4.0])
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--only", nargs="+", type=_subset_name, metavar="PER_TYPE/REPEAT", help="subsets to make")
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    if given.what != "classifier" and given.out is None:
        options.error(f"{given.what} needs --out")
    given.end = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    return given


def _subset_name(word: str) -> tuple[int, int]:
    """From ``10/0``: photographs of each type, and the repeat."""
    per_type, _, repeat = word.partition("/")
    return int(per_type), int(repeat)


def main() -> None:
    given = _arguments()
    torch.set_num_threads(given.threads)
    if given.out:
        _keep_settings(given)
    photographs, dataset = load(given.photographs, given.resolution)
    print(f"{machine()}; {given.threads} threads")
    try:
        {"classifier": _classifier, "honesty": _honesty, "table": _table}[given.what](given, photographs, dataset)
    except OutOfTime:
        print(f"out of time; the same command goes on from {given.out}")


def _keep_settings(given: argparse.Namespace) -> None:
    """Ends the program where the folder has results of other settings."""
    names = (
        ("preset", "start", "seconds", "shown", "ratios", "resolution", "seed")
        if given.what == "table"
        else ("resolution", "seed")
    )
    settings = {"photographs": given.photographs.name, "classifier_steps": CLASSIFIER_STEPS}
    settings |= {name: getattr(given, name) for name in names}
    path = given.out / f"{given.what}-settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and (kept := json.loads(path.read_bytes())) != settings:
        raise SystemExit(f"{given.out} has results of {kept}; choose another folder")
    write_whole(path, json.dumps(settings))


def load(archive: Path, resolution: int) -> tuple[LabelledPhotographs, Dataset]:
    """The photographs of an archive, and the record of the dataset that they make."""
    with tempfile.TemporaryDirectory() as folder:
        datasets = Datasets(ArtifactStore(Path(folder)), Settings())
        dataset, _ = datasets.add_archive("photographs", archive)
        squares = datasets.load(dataset.id, resolution, dataset.crop)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    numbers, type_index = torch.from_numpy(squares.photograph), torch.from_numpy(squares.type_index)
    return LabelledPhotographs(squares.classes, images, type_index, numbers, [None] * len(images)), dataset


def experiment_of(photographs: LabelledPhotographs, seed: int, steps: int = CLASSIFIER_STEPS) -> Experiment:
    """The experiment that an evaluation with this seed makes."""
    numbers = [
        len(photographs.photograph[photographs.type_index == each].unique()) for each in range(len(photographs.types))
    ]
    chosen = split(photographs, [held_out_count(each) for each in numbers], derived_seed(seed, "held out"))
    return Experiment(photographs, chosen, range(len(numbers)), seed, CPU, steps)


def _trained(
    experiment: Experiment, subset: Subset, arm: Arm, images: Mapping[int, Tensor], seed: int | None
) -> Scores:
    classifier = experiment.classifier(subset, arm, images, seed)
    while not classifier.over:
        classifier.step()
    return experiment.scores(classifier)


def _classifier(given: argparse.Namespace, photographs: LabelledPhotographs, dataset: Dataset) -> None:
    for seed in range(given.repeats):
        experiment = experiment_of(photographs, seed)
        for per_type in (*given.per_type, experiment.split.fewest_left):
            found = _trained(experiment, experiment.subset(per_type, 0), Arm(REAL, 0.0), {}, None)
            print(f"seed {seed}, {per_type} of a type: {found}", flush=True)


def _honesty(given: argparse.Namespace, photographs: LabelledPhotographs, dataset: Dataset) -> None:
    kept = KeptScores(Scores, given.out / "honesty.json", given.end)
    fresh = compared(photographs, fresh_photographs, FRESH_RATIOS, given.repeats, given.seed, kept, "fresh")
    print(f"fresh photographs: {fresh.verdict}; {fresh.reason}", flush=True)
    noisy = []
    for attempt in range(given.tries // 2):
        found = compared(photographs, noise, (1.0,), given.repeats, given.seed + attempt, kept, "noise")
        noisy.append(found.verdict)
        print(f"noise, seed {attempt}: {found.verdict}; {found.reason}", flush=True)
    covers = []
    for attempt in range(given.tries):
        found = compared(photographs, nothing, (1.0,), given.repeats, given.seed + attempt, kept, "nothing")
        accuracy = found.differences[0].accuracy
        covers.append(accuracy.low <= 0 <= accuracy.high)
        print(f"nothing, seed {attempt}: {found.verdict}; {found.reason}", flush=True)
    print(
        f"noise helps in {noisy.count('helps')} of {len(noisy)}; nothing covers zero in {sum(covers)} of {len(covers)}"
    )


def compared(
    photographs: LabelledPhotographs,
    sampler_of: Callable[[Experiment], Sampler | None],
    ratios: tuple[float, ...],
    repeats: int,
    seed: int,
    kept: KeptScores[Scores],
    name: str,
    steps: int = CLASSIFIER_STEPS,
) -> EvaluationResult:
    """The verdict on something in the place of generated images, with 10 photographs of a type.

    Only ``real`` and ``real+synthetic`` are trained; the other arms get the scores of ``real``.
    """
    experiment = experiment_of(photographs, seed, steps)
    sample = sampler_of(experiment)
    scored: dict[Key, Scores] = {}
    for repeat in range(repeats):
        subset = experiment.subset(FRESH_PER_TYPE, repeat)
        images = sample(subset, experiment.counts(subset, max(ratios))) if sample else {}
        for arm in arms(ratios):
            used, own_seed = arm, None
            if arm.name != WITH_SYNTHETIC:
                used = Arm(REAL, 0.0)
            elif sample is None:
                used, own_seed = Arm(REAL, 0.0), derived_seed(seed, "another", repeat)
            kind = "real" if used.name == REAL and own_seed is None else f"{name}/{arm.ratio:g}"
            scored[FRESH_PER_TYPE, repeat, arm] = kept.scores(
                f"{seed}/{repeat}/{kind}", _deferred(experiment, subset, used, images, own_seed)
            )
    return uplift(scored, [FRESH_PER_TYPE], ratios, repeats, experiment.held_out_by_type(), leaks=False)


def _deferred(
    experiment: Experiment, subset: Subset, arm: Arm, images: Mapping[int, Tensor], seed: int | None
) -> Callable[[], Scores]:
    return lambda: _trained(experiment, subset, arm, images, seed)


def fresh_photographs(experiment: Experiment) -> Sampler:
    """Photographs that are neither held out nor in the subset."""

    def sample(subset: Subset, counts: Mapping[int, int]) -> dict[int, Tensor]:
        images, used = experiment.photographs.images, set(subset.positions.tolist())
        fresh: dict[int, Tensor] = {}
        for each, count in counts.items():
            left = [at for squares in experiment.split.left[each] for at in squares.tolist() if at not in used]
            random = torch.Generator().manual_seed(derived_seed(experiment.seed, "fresh", subset.repeat, each))
            order = torch.randperm(len(left), generator=random)[:count]
            fresh[each] = images[torch.tensor(left)[order]]
        return fresh

    return sample


def noise(experiment: Experiment) -> Sampler:
    """Every pixel by itself, of any gray value."""

    def sample(subset: Subset, counts: Mapping[int, int]) -> dict[int, Tensor]:
        random = torch.Generator().manual_seed(derived_seed(experiment.seed, "noise", subset.repeat))
        shape = experiment.photographs.images.shape[1:]
        return {
            each: torch.randint(0, 256, (count, *shape), generator=random, dtype=torch.uint8)
            for each, count in counts.items()
        }

    return sample


def nothing(experiment: Experiment) -> None:
    """No images: the same photographs again, with another seed of the classifier."""


def _table(given: argparse.Namespace, photographs: LabelledPhotographs, dataset: Dataset) -> None:
    experiment = experiment_of(photographs, given.seed)
    subsets = given.only or [(per_type, repeat) for repeat in range(given.repeats) for per_type in given.per_type]
    scored = {key: scores for each in subsets for key, scores in _scored(given, experiment, dataset, *each)}
    if given.only:
        return
    held_out = experiment.held_out_by_type()
    result = uplift(scored, given.per_type, given.ratios, given.repeats, held_out, leaks=False)
    (given.out / "result.json").write_text(result.model_dump_json(indent=1))
    _print(result)


def _scored(
    given: argparse.Namespace, experiment: Experiment, dataset: Dataset, per_type: int, repeat: int
) -> Iterator[tuple[Key, Scores]]:
    """The scores of each arm with one subset."""
    kept = KeptScores(Scores, given.out / f"scores-{per_type}-{repeat}.json", given.end)
    subset, images = experiment.subset(per_type, repeat), dict[int, Tensor]()

    def compute(arm: Arm) -> Scores:
        if not images:
            images.update(_generated(given, experiment, subset, dataset))
        return _trained(experiment, subset, arm, images, None)

    for arm in arms(given.ratios):
        name = f"{arm.name}/{arm.ratio:g}"
        yield (per_type, repeat, arm), kept.scores(name, partial(compute, arm))
        print(f"{per_type} of a type, repeat {repeat}, {name}: {kept.scored[name]}", flush=True)


def _generated(
    given: argparse.Namespace, experiment: Experiment, subset: Subset, dataset: Dataset
) -> dict[int, Tensor]:
    """Trains a generator on the subset, and samples it; a file in the folder keeps the images."""
    kept = given.out / f"images-{subset.per_type}-{subset.repeat}.pt"
    if kept.exists():
        found: dict[int, Tensor] = torch.load(kept, weights_only=True)
        return found
    config = _config(given, experiment, subset, dataset)
    config["seed"] = derived_seed(given.seed, "generator", subset.per_type, subset.repeat)
    images, type_index = (getattr(experiment.photographs, name)[subset.positions] for name in ("images", "type_index"))
    trainer = build_trainer(given.preset, config, images, type_index, experiment.types, CPU)
    load_start(trainer, given.start, given.preset, config)
    _train(given, trainer)
    print(f"{subset.per_type} of a type, repeat {subset.repeat}: {trainer.completed_steps} steps", flush=True)
    generator = build_generator(given.preset, config, experiment.types)
    generator.load_state_dict(trainer.networks()["generator"])
    sampled = {}
    for each, count in experiment.counts(subset, max(given.ratios)).items():
        random = torch.Generator().manual_seed(derived_seed(given.seed, "images", subset.per_type, subset.repeat, each))
        latents = torch.randn(count, generator.latent_size, generator=random).split(RENDERED_AT_ONCE)
        sampled[each] = torch.cat([render(generator, some, torch.full((len(some),), each)) for some in latents])
    torch.save(sampled, kept)
    return sampled


def _train(given: argparse.Namespace, trainer: Trainer) -> None:
    begun = time.monotonic()
    while True:
        shown = trainer.completed_steps * trainer.batch_size
        done = shown / given.shown if given.shown else (time.monotonic() - begun) / given.seconds
        if done >= 1:
            return
        trainer.step(done)


def _config(given: argparse.Namespace, experiment: Experiment, subset: Subset, dataset: Dataset) -> dict[str, Any]:
    """What a training job on the subset would be resolved to."""
    request = TrainingRequest(
        dataset=dataset.id, model="benchmark", preset=given.preset, resolution=given.resolution, steps=1
    )
    types = experiment.photographs.type_index[subset.positions].bincount().tolist()
    counts = dict(zip(experiment.photographs.types, types, strict=True))
    selected = {"image_count": sum(types), "classes": counts, "distinct": counts, "crops": {}}
    return trainer_config(given.preset, resolve(request, dataset.model_copy(update=selected)))


def _print(result: EvaluationResult) -> None:
    print("\n| arm | photographs a type | ratio | accuracy | macro-F1 | worst recall |\n|---|---|---|---|---|---|")
    for arm in result.arms:
        scores = " | ".join(f"{100 * each:.1f}" for each in (arm.accuracy, arm.macro_f1, arm.worst_recall))
        print(f"| {arm.name} | {arm.per_type} | {arm.ratio:g} | {scores} |")
    print("\n| photographs a type | ratio | accuracy | macro-F1 | worst recall |\n|---|---|---|---|---|")
    for each in result.differences:
        cells = [
            f"{100 * one.mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
            for one in (each.accuracy, each.macro_f1, each.worst_recall)
        ]
        print(f"| {each.per_type} | {each.ratio:g} | {' | '.join(cells)} |")
    print(f"\n{result.verdict}, recommended ratio {result.recommended_ratio}: {result.reason}")


if __name__ == "__main__":
    main()
