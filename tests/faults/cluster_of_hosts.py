"""A whole service on hosts of its own: Redis, an S3 server, two APIs, and two workers of each kind."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.request import Request, urlopen

import redis

from flawsmith.cli.embedded_redis import server_program
from tests.conftest import until
from tests.faults.network_namespaces import NetworkHost
from tests.s3_server import BUCKET, ENVIRONMENT, PROGRAM

REDIS, STORE, CLIENT = "redis", "store", "client"
APIS, TRAINERS, SAMPLERS = ("api-1", "api-2"), ("train-1", "train-2"), ("sample-1", "sample-2")
SERVICE = (REDIS, STORE, *APIS, *TRAINERS, *SAMPLERS)
API_PORT, REDIS_PORT, S3_PORT = 8000, 6379, 9000
KEY, PASSWORD = "a-key-of-tests", "a-password-of-tests"
START_SECONDS = 60.0  # of the slowest process, where eight start at once


class Host:
    """A host with one process, which may lose its link or die."""

    def __init__(self, network: NetworkHost, folder: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.network, self.log = network, folder / "log"
        self._folder, self._command, self._environment = folder, command, environment
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self) -> None:
        """Starts the process; does not wait for it."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.network.command(*self._command),
                stdin=subprocess.PIPE,  # the S3 server ends with it
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**self._environment, "FLAWSMITH_DATA_DIR": str(self._folder)},
            )

    def kill(self) -> None:
        """Kills every process of the host."""
        self.network.kill_processes()
        if self._process:
            self._process.communicate()

    def lose_link(self) -> None:
        self.network.set_link("down")

    def regain_link(self) -> None:
        self.network.set_link("up")

    def die(self) -> None:
        """Like a loss of power: its peers are told nothing, and its disk stays."""
        self.lose_link()
        self.kill()

    def boot(self) -> None:
        """Starts it again after `die`."""
        self.regain_link()
        self.start()


class ClusterOfHosts:
    """The hosts of a service, by name. ``client`` is one more host, from which the test calls it.

    Args:
        hosts: of one network, by the names of `SERVICE` and `CLIENT`.
        folder: empty; each host's disk is a folder in it.
        settings: further settings of every process, by their names without the prefix.
    """

    def __init__(self, hosts: Mapping[str, NetworkHost], folder: Path, **settings: str) -> None:
        self.client = hosts[CLIENT]
        self.addresses = {name: host.address for name, host in hosts.items()}
        environment = _clean_environment() | ENVIRONMENT | self._settings(settings)
        self.hosts = {
            name: Host(
                hosts[name],
                folder / name,
                self._command(name),
                environment | {"FLAWSMITH_HOST": self.addresses[name], "FLAWSMITH_PORT": str(API_PORT)},
            )
            for name in SERVICE
        }

    def start(self) -> None:
        """Starts every host; waits until Redis and the S3 server answer, not for the others."""
        for name in (REDIS, STORE):
            self.hosts[name].start()
        until(self._redis_answers, START_SECONDS, "Redis answers")
        until(self._make_bucket, START_SECONDS, "the S3 server answers")
        for name in (*TRAINERS, *SAMPLERS, *APIS):
            self.hosts[name].start()

    def kill(self) -> None:
        """Kills every host."""
        for host in self.hosts.values():
            host.kill()

    def logs(self) -> str:
        """The end of each host's log, for a test that failed."""
        return "\n".join(f"--- {name}\n{host.log.read_text()[-3000:]}" for name, host in self.hosts.items())

    def hosts_of(self, workers: Iterable[str | None]) -> list[str | None]:
        """The host on which each of these workers runs now, by their names; None for one that runs no more."""
        hosts = {str(pid): name for name in (*TRAINERS, *SAMPLERS) for pid in self.hosts[name].network.pids()}
        return [hosts.get((worker or "").rpartition("-")[2]) for worker in workers]

    def _settings(self, more: Mapping[str, str]) -> dict[str, str]:
        settings = {
            "redis_url": f"redis://:{PASSWORD}@{self.addresses[REDIS]}:{REDIS_PORT}/0",
            "artifact_store": f"s3://{BUCKET}/site",
            "api_keys": f"{KEY}:admin",
            "api_processes": "1",
            "threads": "1",
            "device": "cpu",
            "reports": "false",
            **more,
        }
        store = {"AWS_ENDPOINT_URL": f"http://{self.addresses[STORE]}:{S3_PORT}"}
        return store | {f"FLAWSMITH_{name.upper()}": text for name, text in settings.items()}

    def _command(self, name: str) -> list[str]:
        if name == REDIS:
            text = f"--bind {self.addresses[name]} --port {REDIS_PORT} --requirepass {PASSWORD} --appendonly yes --save"
            return [server_program(), *text.split(), "", "--maxmemory-policy", "noeviction"]
        if name == STORE:
            return [sys.executable, "-c", PROGRAM, self.addresses[name], str(S3_PORT)]
        part = ("api",) if name in APIS else ("worker", name.partition("-")[0])
        return [sys.executable, "-m", "flawsmith.cli.main", *part]

    def _redis_answers(self) -> bool:
        with self.client.inside():
            try:
                return bool(redis.Redis(self.addresses[REDIS], REDIS_PORT, password=PASSWORD).ping())
            except redis.RedisError:
                return False

    def _make_bucket(self) -> bool:
        with self.client.inside():
            try:
                address = f"http://{self.addresses[STORE]}:{S3_PORT}/{BUCKET}"
                urlopen(Request(address, method="PUT"), timeout=5).close()
            except OSError:
                return False
        return True


def _clean_environment() -> dict[str, str]:
    """That of this process, without settings and proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLAWSMITH_", "AWS_")) and not name.lower().endswith("_proxy")
    }
