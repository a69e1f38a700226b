"""How many cores the operations of a thread use (torch's intra-op threads)."""

import threading

import torch

_lock = threading.Lock()


def set_intra_op_threads(count: int) -> None:
    """Lets this thread's operations use ``count`` cores; other threads keep their numbers.

    torch stores the number for the process and for each thread. A thread takes over the process's number at its first
    parallel operation, so this function runs one before another thread can change the number.
    """
    with _lock:
        torch.set_num_threads(count)
        torch.ones(1 << 16).add_(1)
