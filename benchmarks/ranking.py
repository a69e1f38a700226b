"""Trains a run and writes samples of some of its steps, to be ranked by eye without knowing the steps.

    python -m benchmarks.ranking train PHOTOGRAPHS RUN --type scratches --steps 50 200 800 [--training 200] …
    python -m benchmarks.ranking shuffle RUN [--pass 2]
    python -m benchmarks.ranking record RUN RANKING.json
    python -m benchmarks.ranking picture RANKING.json PICTURE.png [--runs FOLDER]
    python -m benchmarks.ranking compare RANKING.json … [--runs FOLDER] [--offline]

`train` writes `RUN/STEP.npy`, samples of the averaged generator, and `training.npy` and `holdout.npy` beside them:
(N, C, side, side) uint8; and the networks as `RUN/STEP.pt`. After `--seconds` it saves the run and ends; the same
command continues it.

`shuffle` writes one sheet for each step, photographs on the left (first those trained on) and samples on the right,
under random names in `RUN/pass-1`. Rank these, the best first: would an engineer take them for photographs of this
defect, with its variety, and without copying? A second pass has other names and shows other samples.

`record` reads what you wrote into `RUN/by-eye.json`, `{"shows": …, "passes": [[names, the best first], …], "words":
{name of the first pass: one sentence}}`, where names that tie are a list within the list, and writes the ranking by
step, with the samples' SHA-256. Nobody opens `RUN/pass-1-key.json` before that. `picture` shows a ranking: photographs
never trained on, then each checkpoint in a row, the best first.

`compare` reads rankings such as `benchmarks/rankings/a.json` and prints Spearman's correlation of each quality measure,
and of the step number, with each. It refuses samples that are not those that were ranked.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.photographs import load_photographs
from benchmarks.rank_correlation import print_correlations
from benchmarks.ranked_run import RankedRun
from benchmarks.ranked_sheets import picture, record, shuffle
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.training_request import DEFAULT_PRESET
from flawsmith.core.store.images import encode_png


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("photographs", type=Path, help="an archive with a folder for each type")
    train.add_argument("run", type=Path, help="folder to write to")
    train.add_argument("--type", required=True)
    train.add_argument("--steps", type=int, nargs="+", required=True, help="after which to write samples")
    train.add_argument("--preset", choices=PRESETS.with_networks, default=DEFAULT_PRESET)
    train.add_argument("--override", nargs="*", default=[], metavar="NAME=VALUE", help="the preset's numbers")
    train.add_argument("--change", nargs="*", default=[], metavar="STEP:NAME=VALUE", help="numbers from a step on")
    train.add_argument("--start", type=Path, help="networks to start from: the STEP.pt of another run")
    train.add_argument("--training", type=int, help="photographs to train on; default: all others")
    train.add_argument("--holdout", type=int, default=100, help="photographs that are never trained on")
    train.add_argument("--samples", type=int, default=512, help="for each step")
    train.add_argument("--resolution", type=int, default=64)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--device", default="cpu", help="cpu or cuda; on a GPU nobody can make the same samples again")
    train.add_argument("--seconds", type=float, default=float("inf"), help="after which to save the run and end")
    sheets = commands.add_parser("shuffle")
    sheets.add_argument("run", type=Path)
    sheets.add_argument("--pass", type=int, default=1, dest="number")
    ranking = commands.add_parser("record")
    ranking.add_argument("run", type=Path)
    ranking.add_argument("ranking", type=Path)
    shown = commands.add_parser("picture")
    shown.add_argument("ranking", type=Path)
    shown.add_argument("picture", type=Path)
    compare = commands.add_parser("compare")
    compare.add_argument("rankings", type=Path, nargs="+")
    compare.add_argument("--offline", action="store_true", help="also the figures of the offline report; far slower")
    for each in (shown, compare):
        each.add_argument("--runs", type=Path, default=Path(), help="folder of the runs that the rankings name")
    return options.parse_args()


def main() -> None:
    given = _arguments()
    if given.command == "train":
        torch.set_num_threads(given.threads)
        _train(given)
    elif given.command == "shuffle":
        shuffle(given.run, given.number)
    elif given.command == "record":
        given.ranking.write_text(json.dumps(record(given.run), indent=1) + "\n")
    elif given.command == "picture":
        given.picture.write_bytes(encode_png(picture(given.ranking, given.runs)))
    else:
        print_correlations(given.rankings, given.runs, offline=given.offline)


def _train(given: argparse.Namespace) -> None:
    photographs = load_photographs(
        given.photographs,
        [given.type],
        given.resolution,
        training=given.training,
        holdout=given.holdout,
        seed=given.seed,
    )
    overrides = _overrides([*(f"0:{each}" for each in given.override), *given.change])
    run = RankedRun(
        given.run,
        photographs,
        given.preset,
        given.resolution,
        given.seed,
        overrides,
        given.start,
        torch.device(given.device),
    )
    completed = run.train(given.steps, given.samples, given.seconds)
    print(f"{completed} of {max(given.steps)} steps")


def _overrides(words: list[str]) -> dict[int, dict[str, Any]]:
    """From ``step:name=value`` words to the overrides that apply from a step on."""
    found: dict[int, dict[str, Any]] = {}
    for each in words:
        step, _, number = each.partition(":")
        name, _, value = number.partition("=")
        found.setdefault(int(step), {})[name] = json.loads(value)
    return found


if __name__ == "__main__":
    main()
