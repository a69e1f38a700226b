"""How a process of a training on several devices ends with the process that started it, however that one ends."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(parent: int) -> None:
    """Has the kernel kill this process when its parent ends. Linux only; elsewhere a closed connection says so.

    Args:
        parent: the number of the process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(1)


def ignore_stop_signals() -> None:
    """Leaves it to the worker when to stop: a signal to the whole group must not cost it the steps since its save."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
