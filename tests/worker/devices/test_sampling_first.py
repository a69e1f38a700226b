"""Training and sampling on one device: what each process notices of the other, also when that one dies or hangs."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Literal

import pytest
import torch
from pydantic import ValidationError
from tests.conftest import until

from flawsmith.core.settings import Settings
from flawsmith.worker import celery
from flawsmith.worker.devices import sampling_first
from flawsmith.worker.devices.device_key import device_key
from flawsmith.worker.devices.sampling_first import DeviceFlags, SamplingPasses, TrainingTurns

DEVICE = "cuda-1"
FOREVER = 600.0  # seconds

SAMPLER = """
import sys
from pathlib import Path
from flawsmith.worker.devices import sampling_first
from flawsmith.worker.devices.sampling_first import DeviceFlags, SamplingPasses
sampling_first.ATTEMPTS = 5000
passes = SamplingPasses(DeviceFlags(Path(sys.argv[1]), sys.argv[2]))
print("ready", flush=True)
while sys.stdin.readline():
    with passes.one():
        print("begun", flush=True)
        sys.stdin.readline()
    print("over", flush=True)
"""
STOPPED_WHILE_IT_ASKS = """
import fcntl, signal, sys
file = open(sys.argv[1], "a+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
signal.pause()
"""


class Counting(threading.Event):
    """Counts how often somebody waited for it."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return super().wait(timeout)


class Training:
    """A thread that makes empty steps when it may."""

    def __init__(self, turns: TrainingTurns) -> None:
        self.turns, self.stopping, self.steps = turns, Counting(), 0
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.turns.wait(self.stopping)
            self.steps += 1

    def goes_on(self) -> None:
        before = self.steps
        until(lambda: self.steps > before + 1, 10, "training goes on")

    def waits(self) -> int:
        """Once it waits: its steps."""
        before = self.stopping.waits
        until(lambda: self.stopping.waits > before + 2, 10, "training waits")
        return self.steps


class Sampler:
    """A process that makes passes as it is told."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    @property
    def pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def says(self, word: str) -> None:
        assert self.pipes[1].readline() == f"{word}\n"

    def passes(self, word: str) -> None:
        """Begins or ends a pass; returns when it says this word."""
        print(file=self.pipes[0], flush=True)
        self.says(word)


@contextmanager
def other_process(script: str, *arguments: object) -> Iterator[Sampler]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            sampler = Sampler(process)
            sampler.says("ready")
            yield sampler
        finally:
            process.kill()


@contextmanager
def training(folder: Path, device: str = DEVICE) -> Iterator[Training]:
    found = Training(TrainingTurns(folder, lambda: [device]))
    found.thread.start()
    try:
        yield found
    finally:
        found.stopping.set()
        found.thread.join()


@pytest.fixture(autouse=True)
def without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_first, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(sampling_first, "ATTEMPTS", 5000)  # the thread that looks may be off its core
    monkeypatch.setattr(sampling_first, "LONGEST_WAIT", FOREVER)


def test_no_step_begins_during_a_pass_and_sampling_waits_for_none(tmp_path: Path) -> None:
    with other_process(SAMPLER, tmp_path, DEVICE) as sampler, training(tmp_path) as trained:
        for _ in range(2):
            trained.goes_on()
            sampler.passes("begun")
            at_the_beginning = trained.steps
            assert trained.waits() <= at_the_beginning + 1  # the step that had begun
            sampler.passes("over")
        trained.goes_on()
    assert trained.turns.waited > 0


def test_the_kernel_ends_the_pass_of_a_process_that_was_killed(tmp_path: Path) -> None:
    with other_process(SAMPLER, tmp_path, DEVICE) as sampler, training(tmp_path) as trained:
        sampler.passes("begun")
        trained.waits()
        sampler.process.kill()
        trained.goes_on()


def test_one_of_several_passes_on_a_device_is_enough(tmp_path: Path) -> None:
    passes = SamplingPasses(DeviceFlags(tmp_path, DEVICE))
    with other_process(SAMPLER, tmp_path, DEVICE) as other, training(tmp_path) as trained:
        other.passes("begun")
        with passes.one():
            with passes.one():  # as in another thread
                other.passes("over")
            trained.waits()
        trained.goes_on()


def test_beside_a_sampling_worker_that_hangs_training_goes_on_with_turns_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_first, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(sampling_first, "SHORTEST_TURN", FOREVER)
    turns, stopping = TrainingTurns(tmp_path, lambda: [DEVICE]), threading.Event()
    with other_process(SAMPLER, tmp_path, DEVICE) as sampler:
        sampler.passes("begun")
        sampler.process.send_signal(signal.SIGSTOP)
        turns.wait(stopping)
        waited = turns.waited
        assert waited >= 0.05
        for _ in range(100):
            turns.wait(stopping)
        assert turns.waited == waited


def test_a_training_worker_that_stops_or_dies_while_it_asks_holds_up_no_pass(tmp_path: Path) -> None:
    flags = DeviceFlags(tmp_path, DEVICE)
    passes = SamplingPasses(flags)
    with passes.one():
        pass  # makes the file
    with other_process(STOPPED_WHILE_IT_ASKS, tmp_path / f"{DEVICE}.pass") as trainer:
        entered = threading.Event()

        def sample() -> None:
            with passes.one():
                entered.set()

        threading.Thread(target=sample, daemon=True).start()
        assert entered.wait(30)
        trainer.process.kill()
        trainer.process.wait()
        with passes.one():
            assert flags.passing.held


def test_a_worker_that_stops_does_not_wait(tmp_path: Path) -> None:
    turns, stopping = TrainingTurns(tmp_path, lambda: [DEVICE]), threading.Event()
    stopping.set()
    with SamplingPasses(DeviceFlags(tmp_path, DEVICE)).one():
        turns.wait(stopping)
    assert turns.waited == 0


def test_passes_on_other_devices_are_no_concern(tmp_path: Path) -> None:
    with SamplingPasses(DeviceFlags(tmp_path, "cuda-2")).one(), training(tmp_path) as trained:
        trained.goes_on()


def test_a_device_that_a_job_borrows_counts_while_it_has_it(tmp_path: Path) -> None:
    in_use = [DEVICE]
    turns = TrainingTurns(tmp_path, lambda: in_use)
    sampling = SamplingPasses(DeviceFlags(tmp_path, "cuda-2"))
    assert not turns.shared
    in_use.append("cuda-2")
    assert turns.shared
    with sampling.one():
        in_use.pop()
        assert not turns.shared


def test_alone_on_its_device_training_opens_no_file_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_first, "LOOK_SECONDS", FOREVER)
    looks = list[str]()

    def in_use() -> list[str]:
        looks.append(DEVICE)
        return looks[-1:]

    turns = TrainingTurns(tmp_path, in_use)
    for _ in range(100):
        turns.wait(threading.Event())
    assert looks == [DEVICE]
    assert [each.name for each in tmp_path.iterdir()] == [f"{DEVICE}.sampler"]


def test_where_the_files_cannot_be_made_both_go_on_and_say_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.write_bytes(b"")
    passes, turns = SamplingPasses(DeviceFlags(folder, DEVICE)), TrainingTurns(folder, lambda: [DEVICE])
    said = []
    for _ in range(3):
        with passes.one():
            turns.wait(threading.Event())
        said.append(sum("cannot see each other" in each.message for each in caplog.records))
    assert turns.waited == 0
    assert said[0] == said[-1] > 0


def test_a_gpu_is_known_by_its_uuid_and_the_cores_of_a_machine_are_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=f"uuid-{device.index or 0}")
    )
    device_key.cache_clear()
    assert device_key("cuda") == device_key("cuda:0") == "cuda-uuid-0"
    assert device_key("cuda:1") == "cuda-uuid-1"
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())  # as some builds
    device_key.cache_clear()
    assert device_key("cuda") == device_key("cuda:0") != device_key("cuda:1")
    assert device_key("cpu:0") == device_key("cpu:1") == device_key("cpu")
    device_key.cache_clear()


@pytest.mark.parametrize(
    ("chosen", "device", "first"),
    [("auto", "cpu", False), ("auto", "cuda:0", True), ("on", "cpu", True), ("off", "cuda:0", False)],
)
def test_it_is_for_gpus_unless_a_setting_says_otherwise(
    chosen: Literal["auto", "on", "off"], device: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery, "get_settings", lambda: Settings(sampling_first=chosen, device=device))
    assert celery._sampling_first() is first


@pytest.mark.parametrize("wrong", [{"device_memory_share": 0}, {"device_memory_share": 1.5}, {"sampling_first": "yes"}])
def test_a_share_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)


def test_a_device_that_is_not_there_has_a_name() -> None:
    """Its worker starts all the same, and gives back what it is asked for."""
    device_key.cache_clear()
    assert device_key("cuda:99").startswith("cuda-99-")
