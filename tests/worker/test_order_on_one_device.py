"""A training worker's loop and a sampling worker's engine on one pretended accelerator: whose operators come when."""

import math
import threading
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.models.presets.fewshot.runs import NARROW, trainer
from tests.pretended_device import PRETENDED, PretendedDevice, PretendedTensor
from tests.worker.devices.test_sampling_first import Counting
from tests.worker.runs import run_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flawsmith.core.domain.addresses import Address
from flawsmith.models.training.trainer import Trainer
from flawsmith.worker import segment_loop
from flawsmith.worker.devices import sampling_first
from flawsmith.worker.devices.sampling_first import DeviceFlags, SamplingPasses, TrainingTurns
from flawsmith.worker.engine import Engine
from flawsmith.worker.executor import Result, Segment, Work
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.segment_loop import advance_until

STEPS, BESIDE = 4, 2  # of them all, and the one during which sampling begins
TYPES = ["dents", "scratches"]
NOTHING = cast(Any, None)


class Operators(TorchDispatchMode):
    """Notes who has the device compute something."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log, self.who = log, ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(each, PretendedTensor) for each in tree_leaves((args, kwargs))):
            self.log.append(self.who)
        return func(*args, **(kwargs or {}))


class Training(Work):
    """Makes steps; tells of one that it has begun, and goes on with it once a pass has begun too."""

    def __init__(
        self, trainer: Trainer, operators: Operators, begins: threading.Event, passing: threading.Event
    ) -> None:
        super().__init__(run_of(trainer).job)
        self.trainer, self.operators = trainer, operators
        self.begins, self.passing = begins, passing

    @property
    def step(self) -> int:
        return self.trainer.completed_steps

    @property
    def over(self) -> bool:
        return self.step == STEPS

    def advance(self, segment: Segment) -> None:
        self.operators.who = f"step {self.step + 1}"
        if self.step + 1 == BESIDE:
            self.begins.set()
            assert self.passing.wait(30)
        self.trainer.step(0.5)

    def save(self, segment: Segment) -> None: ...

    def finish(self, segment: Segment) -> Result:
        return Result("done", {})


class Waiting(Counting):
    """The event that a worker stops, which also tells when training has waited for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_long = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        if self.waits > 3:
            self.waits_long.set()
        return super().wait(timeout)


def test_after_the_step_that_had_begun_the_device_samples_before_it_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_first, "LONGEST_WAIT", 60.0)
    monkeypatch.setattr(segment_loop, "Reports", lambda *_: cast(Any, QuietReports()))
    begins, passing, stopping, log = threading.Event(), threading.Event(), Waiting(), list[str]()
    weights = trainer(NARROW).networks()["generator"]
    engine = sampling_engine(SamplingPasses(DeviceFlags(tmp_path, "pretended")), weights, monkeypatch)
    sample_batch = PublishedGenerator.sample_batch

    def sample_late(*given: Any) -> Any:
        passing.set()
        assert stopping.waits_long.wait(30)
        return sample_batch(*given)

    monkeypatch.setattr(PublishedGenerator, "sample_batch", sample_late)

    def sample() -> None:
        assert begins.wait(30)
        with PretendedDevice(), Operators(log) as operators:
            operators.who = "sampling"
            engine.sample("m@1", [Address("dents", seed) for seed in range(3)])

    with PretendedDevice():
        run = trainer(NARROW, device=PRETENDED.type)
        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        with Operators(log) as operators:
            work = Training(run, operators, begins, passing)
            turns = TrainingTurns(tmp_path, lambda: ["pretended"])
            assert advance_until(math.inf, stopping, turns, work, NOTHING, NOTHING)
        sampler.join()
    assert [who for who, _ in groupby(log)] == ["step 1", "step 2", "sampling", "step 3", "step 4"]


class QuietReports:
    due = False

    def send(self) -> bool:
        return True


def sampling_engine(
    passes: SamplingPasses, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """An engine whose version is on the pretended device."""
    config = {**vars(NARROW), "classes": TYPES}
    with PretendedDevice():
        generator = PublishedGenerator(
            weights,
            preset="fewshot",
            config=config,
            classes=TYPES,
            precision="float32",
            qualified_on="cpu",
            device=PRETENDED,
        )
    monkeypatch.setattr(Engine, "generator", lambda *_: generator)
    return Engine(NOTHING, 1, PRETENDED, passes)
