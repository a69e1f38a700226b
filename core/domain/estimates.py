"""What a training job will take, before it is enqueued: seconds, memory and disk.

Speed comes from what was measured: the newest jobs of this installation with the same preset, else a table that is part
of the package. Where what was measured had other networks, its speed is converted by the multiplications of a step.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pydantic import Field

from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.job_kinds.training import TrainingJob
from flawsmith.core.domain.presets.fewshot import NARROW_ENDS_FROM
from flawsmith.core.domain.presets.layers import NetworkLayers
from flawsmith.core.domain.presets.measured_steps import (
    EVALUATION_BYTES_A_PIXEL,
    FEATURE_MAP_COPIES,
    MEASURED_ON,
    PROCESS_BYTES,
    RATES,
)
from flawsmith.core.domain.presets.preset import Preset
from flawsmith.core.domain.records import Dataset, Health, Record

AGREEING = 5  # newest jobs whose median counts
# From which on a job's speed counts: tests of the photographs come first, and the first steps take longer than others.
LEAST_SHOWN, LEAST_SECONDS = 1000, 20.0
COMPUTED_BY = ("precision", "cuda_graph", "deterministic")  # how a step is computed, with the same networks
BYTES_A_VALUE = 4
GENERATOR_COPIES, DISCRIMINATOR_COPIES = 5, 4  # in a checkpoint: weights, two moments of Adam, the best step's; EMA
CHECKPOINTS = 4  # on the disk at a time, while a new one is written


class TrainingEstimate(Record):
    """What a job will take; null where nothing is known of its preset."""

    seconds: float | None = Field(description="of training; its verdict and report come on top, as does waiting")
    images_per_second: float | None = Field(description="photographs shown in a second")
    memory_bytes: int | None = Field(description="of a worker on the CPU, while it trains")
    disk_bytes: int | None = Field(description="of checkpoints, while it trains; a version takes a tenth of it")
    based_on: str = Field(description="what was measured")


class ResolvedTraining(Record):
    """The answer of POST /training-jobs?dry_run=true: what the job would be. Nothing is enqueued."""

    model: str
    dataset: str
    preset: str
    config: dict[str, Any]
    notes: list[str]
    health: Health
    estimate: TrainingEstimate


def estimate(
    preset: Preset, config: Mapping[str, Any], dataset: Dataset, jobs: Sequence[TrainingJob], devices: int = 1
) -> TrainingEstimate:
    """Estimates a job.

    Args:
        preset: of the job.
        config: the resolved configuration.
        dataset: what it trains on.
        jobs: recorded ones, the newest first.
        devices: that share its steps. Where no job on as many was recorded, the speed is that on one device.
    """
    if not preset.has_networks:
        words = f"nothing: preset '{preset.name}' trains no networks; to cut the defects out takes seconds"
        return TrainingEstimate(
            seconds=None, images_per_second=None, memory_bytes=None, disk_bytes=None, based_on=words
        )
    layers = preset.layers(config)
    measured = [each for each in jobs if each.preset == preset.name and _speed(each)]
    as_many = [each for each in measured if each.devices == devices]
    rate, based_on = _rate(preset, config, layers, as_many)
    if devices > 1 and not as_many:
        rate, based_on = _rate(preset, config, layers, [each for each in measured if each.devices == 1])
        based_on += "; on one device, as no job on several was recorded"
    seconds = config["total_steps"] * config["batch_size"] / rate if rate else None
    if config["max_seconds"] is not None:
        seconds = config["max_seconds"] if seconds is None else min(seconds, config["max_seconds"])
    return TrainingEstimate(
        seconds=None if seconds is None else round(seconds, 1),
        images_per_second=None if rate is None else round(rate, 2),
        memory_bytes=_memory_bytes(config, layers, dataset, devices) if layers else None,
        disk_bytes=_disk_bytes(layers) if layers else None,
        based_on=based_on,
    )


def _rate(
    preset: Preset, config: Mapping[str, Any], layers: NetworkLayers | None, measured: Sequence[TrainingJob]
) -> tuple[float | None, str]:
    """Photographs a second, and what was measured, in words."""
    alike = [each for each in measured if _same_step(preset, each.config, config)][:AGREEING]
    if alike:
        return median(
            map(_speed, alike)
        ), f"the speed of {_jobs(len(alike))} of this installation with the same networks"
    if layers is None:
        return None, f"nothing: no job of preset '{preset.name}' with these networks was recorded"
    if converted := [rate for each in measured[:AGREEING] if (rate := _converted(preset, each, layers))]:
        words = f"the speed of {_jobs(len(converted))} of this installation with other networks, converted by the"
        return median(converted), f"{words} multiplications of a step"
    return _from_table(preset, config, layers)


def _speed(job: TrainingJob) -> float:
    """Photographs a second over the whole run, its evaluations included; 0 where so few do not tell."""
    progress = job.progress
    if progress.trained_seconds is None:  # of a release before, or not begun
        return progress.images_per_second or 0.0
    shown = progress.step * int(job.config.get("batch_size", 1))
    tells = shown >= LEAST_SHOWN and progress.trained_seconds >= LEAST_SECONDS
    return shown / progress.trained_seconds if tells else 0.0


def _from_table(preset: Preset, config: Mapping[str, Any], layers: NetworkLayers) -> tuple[float | None, str]:
    """By the measured resolution whose steps are most like these."""
    known = {side: rate for (name, side), rate in RATES.items() if name == preset.name}
    if not known:
        return None, f"nothing: preset '{preset.name}' was not measured"
    side = min(known, key=lambda each: abs(each - config["resolution"]))
    defaults = preset.overrides().model_dump()
    if "narrow_ends" in defaults:
        defaults["narrow_ends"] = side >= NARROW_ENDS_FROM
    usual = preset.layers({"resolution": side, "channels": 1, "classes": ["one"], **defaults})
    assert usual is not None
    rate = known[side] * usual.multiplications / layers.multiplications
    return rate, f"the speed of preset '{preset.name}' at {side} px on {MEASURED_ON}, as no job was recorded here"


def _converted(preset: Preset, job: TrainingJob, layers: NetworkLayers) -> float | None:
    """The rate that the job's machine would have with these layers; None if its configuration says too little."""
    try:
        theirs = preset.layers(preset.fields_of(job.config))
    except (KeyError, TypeError):
        return None
    rate = _speed(job)
    return rate * theirs.multiplications / layers.multiplications if theirs else None


def _same_step(preset: Preset, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    fields = preset.fields_of(theirs)
    names = ("resolution", "channels", "batch_size", *preset.shaping, "labels", *COMPUTED_BY)
    return all(fields.get(name) == ours.get(name) for name in names)


def _memory_bytes(config: Mapping[str, Any], layers: NetworkLayers, dataset: Dataset, devices: int) -> int:
    """Of the worker; with several devices, also of the process of each, which shares the photographs of a step."""
    effect = dataset.crops.get(crop_of(config).around)
    photographs = (effect.images if effect else dataset.image_count) * config["resolution"] ** 2 * config["channels"]
    weights = BYTES_A_VALUE * (5 * layers.generator_weights + 5 * layers.discriminator_weights)
    feature_maps = BYTES_A_VALUE * FEATURE_MAP_COPIES * config["batch_size"] * layers.values
    evaluation = EVALUATION_BYTES_A_PIXEL * config["resolution"] ** 2
    each = PROCESS_BYTES + BYTES_A_VALUE * photographs + weights
    if devices == 1:
        return int(each + max(feature_maps, evaluation))
    return int((devices + 1) * each + feature_maps + evaluation)


def _disk_bytes(layers: NetworkLayers) -> int:
    checkpoint = GENERATOR_COPIES * layers.generator_weights + DISCRIMINATOR_COPIES * layers.discriminator_weights
    return BYTES_A_VALUE * CHECKPOINTS * checkpoint


def _jobs(count: int) -> str:
    return "the newest job" if count == 1 else f"the {count} newest jobs"
