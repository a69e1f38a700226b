"""One of the processes that train a job together: ``python -m … SOCKET PARENT``, started by torch's elastic launcher.

A rank knows neither Redis nor the artifact store. It builds the trainer from files, makes the steps that the worker
asks for, and ends when the connection to the worker does.
"""

import json
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save_file
from torch import distributed

from flawsmith.models.presets.registry import BUILDERS
from flawsmith.models.training.trainer import Trainer, TrainsInShares
from flawsmith.worker.devices.device_key import limit_memory
from flawsmith.worker.devices.die_with_parent import die_with_parent, ignore_stop_signals
from flawsmith.worker.devices.trainer_parts import load_parts

START = "start.json"  # beside the files of `TrainerParts`: what else a rank must know
STATE, NEXT_STATE = "state.safetensors", "next_state.safetensors"  # what ranks load, and what one of them wrote

Reply = dict[str, Any]


class Rank:
    """Answers the worker's commands; each is a method.

    Args:
        number: of this rank, 0 … count - 1.
        trainer: with its share.
        folder: for states.
    """

    def __init__(self, number: int, trainer: Trainer, folder: Path) -> None:
        self.number, self.trainer, self.folder = number, trainer, folder

    def load(self) -> Reply:
        """Takes over a state."""
        self.trainer.load_state_dict(load((self.folder / STATE).read_bytes()))  # no map of a file that will change
        return {}

    def step(self, progress: float) -> Reply:
        """Makes a step together with the others."""
        measured = self.trainer.step(progress)
        return {"measured": {name: float(value) for name, value in measured.items()}}

    def state(self) -> Reply:
        """Writes the state; all ranks have the same one, so the first does it."""
        if self.number == 0:
            state = {name: each.detach().cpu().contiguous() for name, each in self.trainer.state_dict().items()}
            save_file(state, self.folder / NEXT_STATE)
        return {}


def main(path: str, parent: int) -> None:
    """Runs until the worker closes the connection."""
    die_with_parent(parent)
    ignore_stop_signals()
    number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    connection = _connect(path)
    connection.send_bytes(json.dumps({"rank": number, "pid": os.getpid()}).encode())
    commands = _read_commands(connection)
    try:
        rank = _joined(number, count, commands.get()["folder"])
        known: dict[str, Callable[..., Reply]] = {"load": rank.load, "step": rank.step, "state": rank.state}
        reply: Reply = {}
        while True:
            connection.send_bytes(json.dumps(reply).encode())
            command = commands.get()
            reply = known[command.pop("command")](**command)
    except Exception as error:
        lost = isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        said = {"error": f"{type(error).__name__}: {error}", "out_of_memory": lost}
        connection.send_bytes(json.dumps(said).encode())
        raise


def _connect(path: str) -> Connection:
    """Raises OSError where the worker has ended."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(path)
    return Connection(connected.detach())


def _read_commands(connection: Connection) -> "queue.Queue[dict[str, Any]]":
    """Reads commands in a thread, which ends this process with the connection: a rank may wait for a lost one."""
    commands: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        try:
            while True:
                commands.put(json.loads(connection.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return commands


def _joined(number: int, count: int, folder: str) -> Rank:
    """This rank with its trainer, in the process group."""
    start = json.loads((Path(folder) / START).read_text())
    BUILDERS.load(start["preset_packages"])
    torch.set_num_threads(start["threads"])
    device = torch.device(start["devices"][number])
    if device.type == "cuda":
        torch.cuda.set_device(device)
        limit_memory(device, start["memory_share"])
    else:
        device = torch.device(device.type)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=timedelta(seconds=2 * start["answer_seconds"]))
    trainer = load_parts(Path(folder)).build(device)
    if not isinstance(trainer, TrainsInShares):
        raise TypeError(f"{type(trainer).__name__} does not train in shares")
    trainer.share(number, count)
    return Rank(number, trainer, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
