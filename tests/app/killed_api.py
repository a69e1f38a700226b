"""The API, killed as it changes an alias: `python -m tests.app.killed_api MOMENT`.

MOMENT: ``noted``: the change is noted and not made; ``made``: it is made, and nobody was told.
"""

import os
import signal
import sys
from typing import Any

from flawsmith.app.main import run_api
from flawsmith.core.store.aliases import Aliases
from flawsmith.core.store.artifacts import ArtifactStore


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "noted":
        ArtifactStore.write_json = die  # type: ignore[method-assign]
    else:
        Aliases._move_to_made = die  # type: ignore[method-assign]
    run_api()
