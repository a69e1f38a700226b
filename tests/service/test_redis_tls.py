"""A Redis that asks for TLS, a client certificate, and a user with a password and few rights."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from tests.conftest import free_port, photograph, start_service, stop_service, until, zipped

from flawsmith.core.live.connections import connect
from flawsmith.core.settings import Settings

RIGHTS = "~flawsmith:* resetchannels -@all +@all -@admin -@dangerous +info"
"""As docs/security.md gives them."""

CONFIGURATION = """
port 0
tls-port {port}
tls-cert-file server.pem
tls-key-file server-key.pem
tls-ca-cert-file ca.pem
dir {folder}
save ""
user default off
user flawsmith on >sesame {rights}
"""

CURVE = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"


@dataclass
class TlsRedis:
    """A server, its port, and the folder of the certificates."""

    port: int
    folder: Path

    def url(self, user: str = "flawsmith:sesame@") -> str:
        return f"rediss://{user}localhost:{self.port}/0"

    @property
    def files(self) -> dict[str, str]:
        names = {"redis_ca_file": "ca.pem", "redis_cert_file": "client.pem", "redis_key_file": "client-key.pem"}
        return {setting: str(self.folder / name) for setting, name in names.items()}


def make_certificates(folder: Path) -> None:
    """Authorities `ca` and `other`; certificates of the server and of a client, both by `ca`."""
    for name in ("ca", "other"):
        openssl(folder, f"req -x509 {CURVE} -subj /CN={name} -keyout {name}-key.pem -out {name}.pem")
    for name in ("server", "client"):
        signed = f"-CA ca.pem -CAkey ca-key.pem -addext subjectAltName=DNS:localhost -out {name}.pem"
        openssl(folder, f"req -x509 {CURVE} -subj /CN={name} -keyout {name}-key.pem {signed}")


def openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None or shutil.which("openssl") is None:
        pytest.skip("needs openssl, and a redis-server or valkey-server with TLS")
    folder = tmp_path_factory.mktemp("tls-redis")
    make_certificates(folder)
    port = free_port()
    (folder / "redis.conf").write_text(CONFIGURATION.format(port=port, folder=folder, rights=RIGHTS))
    process = subprocess.Popen([program, "redis.conf"], cwd=folder, stdout=subprocess.DEVNULL)
    found = TlsRedis(port, folder)
    try:
        until(lambda: _answers(found), 20, "the server answers")
        yield found
    finally:
        process.terminate()
        process.wait(10)


def _answers(server: TlsRedis) -> bool:
    try:
        return bool(client(server).ping())
    except redis.ConnectionError:
        return False


def client(server: TlsRedis, url: str = "", **changes: str) -> redis.Redis:
    settings = Settings.model_validate({"redis_url": url or server.url(), **server.files, **changes})
    return connect(settings, retries=0)


def test_a_whole_job_runs_over_tls_with_a_user_of_few_rights(server: TlsRedis, tmp_path: Path) -> None:
    service = start_service(tmp_path / "data", redis_url=server.url(), **server.files)
    try:
        assert service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)})).status_code == 201
        assert service.train("set", "model", steps=2)["state"] == "succeeded"
        images = [service.client.post("/generate", json={"model": "model@1"}) for _ in range(2)]
        assert {each.status_code for each in images} == {200}
    finally:
        stop_service(service)
    log = service.log.read_text()
    assert "sesame" not in log
    assert "NOPERM" not in log and "no permissions" not in log


def test_a_server_that_another_authority_vouches_for_is_refused(server: TlsRedis) -> None:
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        client(server, redis_ca_file=str(server.folder / "other.pem")).ping()


def test_a_server_of_another_name_is_refused(server: TlsRedis) -> None:
    with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
        client(server, server.url().replace("localhost", "127.0.0.1")).ping()


def test_without_the_password_or_the_right_user_nothing_is_answered(server: TlsRedis) -> None:
    for user in ("flawsmith:wrong@", ":sesame@", ""):
        with pytest.raises(redis.exceptions.RedisError) as refused:
            client(server, server.url(user)).ping()
        assert "sesame" not in str(refused.value)


def test_the_user_reaches_no_keys_of_others_and_no_commands_of_operators(server: TlsRedis) -> None:
    own = client(server)
    for forbidden in (lambda: own.get("other"), own.flushall, lambda: own.config_get("dir"), own.keys):
        with pytest.raises(redis.exceptions.NoPermissionError):
            forbidden()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"redis_ca_file": "nowhere.pem"}, "FLAWSMITH_REDIS_CA_FILE: cannot read nowhere.pem"),
        ({"redis_cert_file": __file__}, "set both FLAWSMITH_REDIS_CERT_FILE and FLAWSMITH_REDIS_KEY_FILE"),
    ],
)
def test_certificates_that_cannot_be_read_are_named_at_the_start(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate(changes)
