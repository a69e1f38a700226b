"""The embedded server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from tests.conftest import free_port

from flawsmith.core.live.connections import UnsafeSocketFolder, connect, connect_async, embedded_socket
from flawsmith.core.live.task_queues import broker_settings
from flawsmith.core.settings import Settings


@pytest.mark.parametrize(
    ("option", "value"),
    [("appendonly", "yes"), ("appendfsync", "everysec"), ("save", ""), ("maxmemory-policy", "noeviction")],
)
def test_the_server_is_durable_and_never_evicts(empty_redis: redis.Redis, option: str, value: str) -> None:
    assert empty_redis.config_get(option) == {option: value}


def test_the_server_listens_on_its_socket_only(empty_redis: redis.Redis, redis_server: Path) -> None:
    assert empty_redis.config_get("port") == {"port": "0"}
    assert (redis_server / "redis" / "redis.sock").stat().st_mode & 0o777 == 0o700


CLIENTS: list[Callable[[Settings], object]] = [connect, connect_async, broker_settings]


@pytest.fixture
def distant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings whose data folder has a path too long for a socket, so that the socket is in the shared folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    settings = Settings(data_dir=tmp_path / ("long" * 30))
    assert shared in embedded_socket(settings.data_dir).parents
    yield settings


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_makes_the_shared_socket_folder_its_own(
    distant: Settings, client: Callable[[Settings], object]
) -> None:
    folder = embedded_socket(distant.data_dir).parent
    client(distant)
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (os.getuid(), 0o700)
    client(distant)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("state", ["another user's", "writable", "link", "file"])
def test_no_client_uses_a_socket_folder_that_others_can_write_into(
    distant: Settings, client: Callable[[Settings], object], state: str, tmp_path: Path
) -> None:
    folder = embedded_socket(distant.data_dir).parent
    occupy(folder, state, tmp_path)
    with pytest.raises(UnsafeSocketFolder, match=str(folder)):
        client(distant)


def occupy(folder: Path, state: str, tmp_path: Path) -> None:
    """Puts something in the folder's place that another user could have put there."""
    if state == "file":
        folder.write_bytes(b"")
    elif state == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir(parents=True)
        folder.chmod(0o777 if state == "writable" else 0o700)
        if state == "another user's":
            if os.getuid() != 0:
                pytest.skip("only the superuser can give a folder to another user")
            os.chown(folder, 12345, 12345)


@pytest.mark.parametrize("state", ["another user's", "writable"])
def test_a_socket_folder_in_the_data_folder_is_checked_too(state: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    connect(settings)
    occupy(tmp_path / "redis", state, tmp_path)
    with pytest.raises(UnsafeSocketFolder):
        connect(settings)


@pytest.mark.parametrize("command", [["serve"], ["api"], ["redis"]])
def test_a_command_that_meets_another_users_socket_folder_stops_with_a_line(command: list[str], tmp_path: Path) -> None:
    occupy(tmp_path / "redis", "writable", tmp_path)
    done = run(command, tmp_path)
    assert done.returncode in (1, 2, 3)
    assert f"others may write into {tmp_path / 'redis'}" in done.stdout + done.stderr


def test_serve_stops_where_its_own_redis_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(mode=0o700, parents=True)
    (tmp_path / "redis").chmod(0o700)
    (tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest")
    done = run(["serve"], tmp_path)
    assert done.returncode == 1
    assert "the embedded Redis cannot start" in done.stdout


def run(command: list[str], data_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(data_dir), "FLAWSMITH_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
