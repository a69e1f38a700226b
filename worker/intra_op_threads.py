"""How many cores a thread's computing takes."""

import threading

import torch

_lock = threading.Lock()


def set_intra_op_threads(count: int) -> None:
    """From now on this thread's operations run on so many cores; other threads' stay as they are.

    torch keeps the number both for the process and for each thread, and a thread takes over the process's at its first
    parallel operation: so there is one here, before another thread changes it.
    """
    with _lock:
        torch.set_num_threads(count)
        torch.ones(1 << 16).add_(1)
