"""The process that starts a rank for each device, by torch's elastic launcher: ``python -m … COUNT SOCKET PARENT``."""

import os
import sys

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from flawsmith.worker.devices.die_with_parent import die_with_parent, ignore_stop_signals

RANK = "flawsmith.worker.devices.rank"
LOOPBACK = "127.0.0.1"


def main(count: int, socket: str, parent: int) -> None:
    """Runs until all ranks have ended, or one of them failed; then none is left.

    A rank is not restarted: the job's next segment begins at the newest checkpoint.
    """
    die_with_parent(parent)
    ignore_stop_signals()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="segment",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{LOOPBACK}:0",
        local_addr=LOOPBACK,
        max_restarts=0,
        signals_to_handle="SIGQUIT",
    )
    elastic_launch(config, sys.executable)("-P", "-m", RANK, socket, str(os.getpid()))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
