"""Runs the commands of Flawsmith as people do."""

import os
import subprocess
import sys
from pathlib import Path


def flawsmith(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command; ``settings`` are environment variables without the prefix, such as ``url="http://…"``."""
    environment = {name: each for name, each in os.environ.items() if not name.startswith("FLAWSMITH_")}
    environment |= {f"FLAWSMITH_{name.upper()}": each for name, each in settings.items()}
    command = [sys.executable, "-m", "flawsmith.cli.main", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
