"""The ranks of a training on several devices, as the worker that started them sees them."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save_file
from torch import Tensor

from flawsmith.worker.devices.rank import NEXT_STATE, START, STATE
from flawsmith.worker.devices.trainer_parts import TrainerParts

log = logging.getLogger(__name__)

START_SECONDS = 180.0  # until all ranks are there: each imports torch and loads the photographs
ANSWER_SECONDS = 60.0  # after which a rank that does not answer hangs; a step takes less than one
END_SECONDS = 5.0  # that ranks take to end by themselves
POLL_SECONDS = 0.2
ENDED = "ended: one was killed, or died"
LOG = "log"  # in the folder: what launcher and ranks print
LOG_BYTES = 4000  # of its end, which the worker's log shows


class RankLost(Exception):
    """A rank ended, or does not answer; the message says which. The job can go on from its checkpoint."""


class RankGroup:
    """A launcher and the ranks that it started, one for each device, until `close`.

    Args:
        parts: of the trainer.
        devices: names such as cuda:0, one for each rank.
        threads: CPU threads of all ranks together.
        folder: an empty one for files, which the caller removes.
        preset_packages: see `Settings.extra_preset_packages`.
        memory_share: of a GPU, see `limit_memory`.
        answer_seconds: after which a rank hangs.

    Raises:
        RankLost: one of them could not start.
    """

    def __init__(
        self,
        parts: TrainerParts,
        devices: Sequence[str],
        threads: int,
        folder: Path,
        preset_packages: Sequence[str] = (),
        memory_share: float = 1.0,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.devices, self.folder, self.answer_seconds = tuple(devices), folder, answer_seconds
        self.pids: dict[int, int] = {}
        self._connections: dict[int, Connection] = {}
        self._launcher: subprocess.Popen[bytes] | None = None
        parts.save(folder)
        threads_of_each = max(1, threads // len(devices))
        start = {
            "devices": self.devices,
            "threads": threads_of_each,
            "preset_packages": list(preset_packages),
            "answer_seconds": answer_seconds,
            "memory_share": memory_share,
        }
        (folder / START).write_text(json.dumps(start))
        try:
            self._start(threads_of_each)
        except BaseException:
            self.close(orderly=False)
            raise

    def load(self, state: dict[str, Tensor]) -> None:
        """Gives all ranks the state of a trainer. Raises RankLost."""
        save_file({name: each.detach().cpu().contiguous() for name, each in state.items()}, self.folder / STATE)
        self._ask({"command": "load"})

    def step(self, progress: float) -> dict[str, Tensor]:
        """Has them make one step; returns what `Trainer.step` does, on the CPU.

        Raises:
            RankLost: one of them ended or hangs.
            torch.OutOfMemoryError: one of them had too little memory.
        """
        replies = self._ask({"command": "step", "progress": progress})
        return {name: torch.tensor(value) for name, value in replies[0]["measured"].items()}

    def state(self) -> dict[str, Tensor]:
        """The state of their trainers, which is one. Raises RankLost."""
        self._ask({"command": "state"})
        return load((self.folder / NEXT_STATE).read_bytes())

    def close(self, orderly: bool = True) -> None:
        """Ends all of them: by closing their connections, and by SIGKILL where that is not enough, or not orderly."""
        for each in self._connections.values():
            each.close()
        if self._launcher is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._launcher.wait(END_SECONDS if orderly else 0)
        if self._launcher.poll() is None:  # it has not reaped its children, so their numbers are still theirs
            for pid in self.pids.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._launcher.kill()
            self._launcher.wait()

    def _start(self, threads: int) -> None:
        here = Path(tempfile.mkdtemp(prefix="flawsmith-"))  # a socket's path must be short
        try:
            with socket.socket(socket.AF_UNIX) as listener, (self.folder / LOG).open("wb") as output:
                listener.bind(str(here / "ranks"))
                listener.listen(len(self.devices))
                listener.settimeout(POLL_SECONDS)
                arguments = [str(len(self.devices)), str(here / "ranks"), str(os.getpid())]
                self._launcher = subprocess.Popen(
                    [sys.executable, "-P", "-m", "flawsmith.worker.devices.launch", *arguments],
                    env=_environment(threads, self.folder),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
                self._accept_all(listener, self._launcher, time.monotonic() + START_SECONDS)
        finally:
            shutil.rmtree(here, ignore_errors=True)
        self._ask({"folder": str(self.folder)}, START_SECONDS)

    def _accept_all(self, listener: socket.socket, launcher: subprocess.Popen[bytes], deadline: float) -> None:
        while len(self._connections) < len(self.devices):
            try:
                connection = Connection(listener.accept()[0].detach())
            except TimeoutError:
                if launcher.poll() is not None or time.monotonic() > deadline:
                    raise self._lost("could not all be started") from None
                continue
            if not connection.poll(self.answer_seconds):
                raise self._lost("could not all be started")
            hello = json.loads(connection.recv_bytes())
            self._connections[hello["rank"]], self.pids[hello["rank"]] = connection, hello["pid"]

    def _ask(self, command: dict[str, Any], seconds: float | None = None) -> dict[int, dict[str, Any]]:
        """Sends a command to all ranks; returns their replies by rank."""
        seconds = self.answer_seconds if seconds is None else seconds
        replies: dict[int, dict[str, Any]] = {}
        deadline = time.monotonic() + seconds
        waiting = {each: rank for rank, each in self._connections.items()}
        try:
            for each in waiting:
                each.send_bytes(json.dumps(command).encode())
            while waiting:
                ready = wait(list(waiting), max(0.0, deadline - time.monotonic()))
                if not ready:
                    ranks = ", ".join(str(each) for each in sorted(waiting.values()))
                    raise self._lost(f"did not all answer within {seconds:g} s: rank {ranks}")
                for answered in ready:
                    assert isinstance(answered, Connection)
                    rank = waiting.pop(answered)
                    replies[rank] = self._checked(rank, json.loads(answered.recv_bytes()))
        except (EOFError, OSError) as error:
            raise self._lost(ENDED) from error
        return replies

    def _checked(self, rank: int, reply: dict[str, Any]) -> dict[str, Any]:
        if reply.get("out_of_memory"):
            raise torch.OutOfMemoryError(reply["error"])
        if error := reply.get("error"):
            raise self._lost(ENDED if self._another_ended(rank) else f"failed: rank {rank} met {error}")
        return reply

    def _another_ended(self, rank: int) -> bool:
        """Whether a rank's error is only that it no longer reached another one."""
        others = [each for other, each in self._connections.items() if other != rank]
        try:
            for each in wait(others, POLL_SECONDS):
                assert isinstance(each, Connection)
                each.recv_bytes()
        except (EOFError, OSError):
            return True
        return False

    def _lost(self, what: str) -> RankLost:
        with suppress(OSError):
            printed = (self.folder / LOG).read_bytes()[-LOG_BYTES:].decode(errors="replace").strip()
            log.warning("the ranks' last lines:\n%s", printed)
        return RankLost(f"the {len(self.devices)} processes that train this job together {what}")


def _environment(threads: int, folder: Path) -> dict[str, str]:
    """For launcher and ranks: without the settings, which have keys; gloo stays on this machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLAWSMITH_")}
    found = inherited | {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1", "TMPDIR": str(folder)}
    return found | ({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {})
