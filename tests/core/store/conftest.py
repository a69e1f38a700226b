"""Stores of both kinds."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.s3_server import BUCKET, ENVIRONMENT, FaultyProxy

from flawsmith.core.settings import Settings
from flawsmith.core.store.interface import Store
from flawsmith.core.store.object_store.store import BucketStore
from flawsmith.core.store.opened import open_store


@pytest.fixture
def open_bucket(s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BucketStore]:
    """Opens the same part of a bucket, each time as another machine would."""
    prefix, machines = secrets.token_hex(4), iter(range(100))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)

    def opened(patience: float = 10.0, **settings: int) -> BucketStore:
        place = f"s3://{BUCKET}/{prefix}"
        machine = tmp_path / f"machine-{next(machines)}"
        store = open_store(Settings(artifact_store=place, data_dir=machine, **settings), patience)
        assert isinstance(store, BucketStore)
        return store

    return opened


@pytest.fixture
def proxy(s3_address: str, open_bucket: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Stands between the S3 server and the stores that are opened from here on."""
    proxy = FaultyProxy(s3_address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    yield proxy
    proxy.close()


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store in a folder, and one in a bucket."""
    if request.param == "folder":
        return open_store(Settings(data_dir=tmp_path), 1)
    store: Store = request.getfixturevalue("open_bucket")()
    return store
