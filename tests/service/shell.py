"""The command `flawsmith`, as a user of a service runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Service


class Shell:
    """Runs `flawsmith` in a folder, as a user of this service does."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in service.environment.items() if not name.startswith("FLAWSMITH_")
        } | {"FLAWSMITH_URL": str(service.client.base_url)}

    def run(self, *words: str | Path, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [Path(sys.executable).with_name("flawsmith"), *map(str, words)],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def refused(self, *words: str | Path, status: int = 1, **environment: str) -> str:
        """The one line of a command that fails."""
        done = self.run(*words, status=status, **environment)
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        return line
