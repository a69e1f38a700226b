"""A second Redis server for images, which a test starts, kills and starts again without what it held."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import redis

from tests.conftest import until


class SecondRedis:
    """The embedded server in a folder of its own. It is not running after it was made."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.data_dir / "redis" / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        shutil.rmtree(self.data_dir, ignore_errors=True)
        environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(self.data_dir)}
        self._process = subprocess.Popen([sys.executable, "-m", "flawsmith.cli.main", "redis"], env=environment)
        until(self._answers, 20, "the second server answers")

    def kill(self) -> None:
        """Kills it, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False
