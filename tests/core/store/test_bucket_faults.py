"""A store in a bucket whose server fails, and whose publishers are killed or suspended at the worst moment."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.core.store.test_store_contract import fill, publish
from tests.s3_server import BUCKET, FaultyProxy

from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.object_store import bucket, claims, locks, uploads
from flawsmith.core.store.object_store.store import BucketStore

Open = Callable[..., BucketStore]
LARGE = os.urandom(200_000)  # does not fit into an entry


class Killed(BaseException):
    """The process ends here."""


def keys(store: BucketStore, folder: str) -> list[str]:
    return [each.key for each in store.bucket.listing(folder)]


@pytest.mark.parametrize("fault", ["error", "slow down", "refuse", "lose"])
def test_every_call_outlasts_a_server_that_fails_now_and_then(
    open_bucket: Open, proxy: FaultyProxy, fault: str
) -> None:
    store, count = open_bucket(), iter(range(10_000))
    proxy.fault = lambda method, path: fault if next(count) % 3 == 0 else None
    place = store.path("models", "m", "versions", "1")
    publish(store, place, {"card.json": b"1", "large": LARGE})
    with pytest.raises(AlreadyPublished):
        publish(store, place, {"card.json": b"2"})
    claim = store.claim(store.path("jobs", "job-1", "claims"))
    claim.write_bytes(store.path("jobs", "job-1", "sheet.png"), b"sheet")
    with claim.staged() as staged:
        fill(staged, {"state": LARGE})
        store.publish(staged, store.path("jobs", "job-1", "checkpoints", "5"))
    with store.locked(store.path("models", "m")):
        store.write_json(store.path("models", "m", "aliases.json"), {"production": 1})
    proxy.fault = lambda method, path: None
    other = open_bucket()
    assert (other.path("models", "m", "versions", "1", "large")).read_bytes() == LARGE
    assert other.path("jobs", "job-1", "checkpoints", "5", "state").read_bytes() == LARGE
    assert other.path("jobs", "job-1", "sheet.png").read_bytes() == b"sheet"
    assert other.read_json(other.path("models", "m", "aliases.json")) == {"production": 1}


def test_a_server_that_is_away_is_said_to_be_and_comes_back(open_bucket: Open, proxy: FaultyProxy) -> None:
    store = open_bucket(patience=0.3)
    claim = store.claim(store.path("claims"))
    proxy.fault = lambda method, path: "refuse"
    assert not store.writable()
    for call in (
        lambda: store.write_bytes(store.path("file"), b"x"),
        lambda: store.path("file").exists(),
        lambda: store.stamp("models", "m", "versions"),
        lambda: claim.write_bytes(store.path("file"), b"x"),
    ):
        with pytest.raises(StoreAway) as caught:
            call()
        assert "a-secret-of-tests" not in str(caught.value)
    assert claim.held  # nothing says that it is lost
    store.sweep()
    proxy.fault = lambda method, path: None
    assert store.writable()
    claim.write_bytes(store.path("file"), b"x")
    assert store.path("file").read_bytes() == b"x"


@pytest.mark.timeout(28)  # less than a request may take in all
def test_a_server_that_is_silent_counts_as_away(
    open_bucket: Open, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = open_bucket(patience=0)
    monkeypatch.setattr(bucket, "SILENCE_SECONDS", 1)
    store = open_bucket(patience=0)
    patient.write_bytes(store.path("file"), b"x")
    proxy.fault = lambda method, path: "ignore"
    for call in (
        lambda: store.write_bytes(store.path("file"), b"y"),
        lambda: store.path("other").exists(),
        lambda: store.stamp("models", "m", "versions"),
    ):
        with pytest.raises(StoreAway, match="does not answer"):
            call()
    proxy.fault = lambda method, path: None
    assert patient.path("file").read_bytes() == b"x"


def test_a_bucket_that_is_missing_is_not_an_empty_store(open_bucket: Open) -> None:
    store = open_bucket(patience=0)
    store.bucket._store = type(store.bucket._store)("no-such-bucket", client_options={"allow_http": True})
    with pytest.raises(StoreAway, match="create it"):
        store.path("jobs", "job-1", "record.json").exists()


def test_an_upload_that_is_cut_off_shows_nothing_and_is_swept(
    open_bucket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_bucket()
    place = store.path("datasets", "ds-1")
    monkeypatch.setattr(store.tree, "put", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        publish(store, place, {"large": LARGE, "record.json": b"1"})
    other = open_bucket()
    assert not other.path("datasets", "ds-1").exists() and keys(other, "blobs")
    other.sweep()
    assert keys(other, "blobs")  # it may still be under way
    monkeypatch.setattr(uploads, "ABANDONED_SECONDS", -3600)
    other.sweep()
    assert not keys(other, "blobs") and not keys(other, "uploads")
    publish(other, other.path("datasets", "ds-1"), {"large": LARGE, "record.json": b"2"})
    other.sweep()
    assert open_bucket().path("datasets", "ds-1", "large").read_bytes() == LARGE


def test_a_publisher_that_was_suspended_while_it_was_swept_publishes_nothing(
    open_bucket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sweeper = open_bucket(), open_bucket()
    put = store.tree.put

    def swept_before(place: str, *version: object) -> str:
        monkeypatch.setattr(uploads, "ABANDONED_SECONDS", -3600)
        sweeper.sweep()
        return put(place, *version)

    monkeypatch.setattr(store.tree, "put", swept_before)
    with pytest.raises(StoreAway):
        publish(store, store.path("datasets", "ds-1"), {"large": LARGE})
    assert not open_bucket().path("datasets", "ds-1").exists()


def test_a_claim_that_is_lost_at_the_last_moment_publishes_nothing(
    open_bucket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look at the claim and the write, another worker claims the job and publishes."""
    store, later = open_bucket(), open_bucket()
    place = ("models", "m", "versions", "1")
    claim, put = store.claim(store.path("jobs", "job-1", "claims")), store.tree.put

    def late(at: str, *version: object) -> str:
        etag = put(at, *version)
        if at == "models/m/versions/1" and threading.current_thread() is threading.main_thread():
            monkeypatch.setattr(store.tree, "put", put)
            assert not later.path(*place).exists()  # written, and not yet published
            assert not list(later.path(*place[:3]).glob("*"))
            later.claim(later.path("jobs", "job-1", "claims"))
        return etag

    monkeypatch.setattr(store.tree, "put", late)
    with pytest.raises(ClaimLost), claim.staged() as staged:
        fill(staged, {"card.json": b"late", "large": LARGE})
        store.publish(staged, store.path(*place))
    assert not later.path(*place).exists() and not keys(later, "blobs")
    publish(later, later.path(*place), {"card.json": b"right"})
    assert open_bucket().path(*place, "card.json").read_bytes() == b"right"


def test_what_a_claim_published_stays_though_its_worker_was_killed_at_once(
    open_bucket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_bucket()
    place = ("models", "m", "versions", "1")
    monkeypatch.setattr(claims, "settle", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed), store.claim(store.path("jobs", "job-1", "claims")).staged() as staged:
        fill(staged, {"large": LARGE})
        store.publish(staged, store.path(*place))
    monkeypatch.undo()
    other = open_bucket_again(open_bucket, store)
    assert [each.name for each in other.path(*place[:3]).iterdir()] == ["1"]
    assert other.path(*place, "large").read_bytes() == LARGE
    other.delete(other.path("jobs", "job-1"))
    assert open_bucket_again(open_bucket, store).path(*place, "large").read_bytes() == LARGE


def open_bucket_again(open_bucket: Open, store: BucketStore) -> BucketStore:
    """Another store in the same bucket, after `monkeypatch.undo` took its environment away."""
    other = BucketStore(store.bucket, store.staging.parent, store.cache)
    other.tree = type(store.tree)(store.bucket)
    return other


def test_a_lock_that_was_lost_keeps_its_holder_from_writing(open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = open_bucket(), open_bucket()
    monkeypatch.setattr(locks, "HELD_SECONDS", -1.0)  # it is over at once: the holder is suspended for long
    aliases = ("models", "m", "aliases.json")
    store.write_json(store.path(*aliases), {"production": 1})
    with store.locked(store.path("models", "m")):
        found = store.read_json(store.path(*aliases))
        with other.locked(other.path("models", "m")):
            other.write_json(other.path(*aliases), {"production": 2})
        with pytest.raises(StoreAway):
            store.write_json(store.path(*aliases), {**found, "staging": 1})
    assert other.read_json(other.path(*aliases)) == {"production": 2}


def test_what_was_damaged_is_not_read(open_bucket: Open) -> None:
    store = open_bucket()
    publish(store, store.path("jobs", "job-1", "checkpoints", "5"), {"state": LARGE})
    (key,) = keys(store, "blobs")
    store.bucket.overwrite(key, b"x" * len(LARGE))
    with pytest.raises(ValueError, match="not what was written"):
        store.path("jobs", "job-1", "checkpoints", "5", "state").read_bytes()


def cached(store: BucketStore) -> list[Path]:
    return [each for each in store.cache.folder.iterdir() if not each.name.startswith(".")]


def test_the_cache_keeps_to_its_bound_and_checks_what_it_has(open_bucket: Open) -> None:
    writer, bound = open_bucket(), 1_000_000
    contents = [os.urandom(300_000) for _ in range(8)]
    for number, content in enumerate(contents):
        writer.write_bytes(writer.path(f"file-{number}"), content)
    store = open_bucket(artifact_cache_bytes=bound)

    def read(number: int) -> bool:
        return store.path(f"file-{number}").read_bytes() == contents[number]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, [*range(8)] * 4))
    assert 0 < sum(each.stat().st_size for each in cached(store)) <= bound
    assert read(7) and read(0)
    for each in cached(store):
        each.write_bytes(b"x" * 300_000)  # as a disk that fails, or an attacker
    assert all(map(read, range(8)))
    with store.path("file-3").open("rb") as file:
        for each in cached(store):
            each.unlink()
        assert file.read() == contents[3]


def test_what_is_larger_than_the_cache_is_read_all_the_same(open_bucket: Open) -> None:
    open_bucket().write_bytes(open_bucket().path("file"), LARGE)
    store = open_bucket(artifact_cache_bytes=1000)
    assert store.path("file").read_bytes() == LARGE
    assert not cached(store)


def test_nothing_stays_in_the_bucket_of_what_was_replaced_or_deleted(open_bucket: Open) -> None:
    store = open_bucket()
    job = store.path("jobs", "job-1")
    claim = store.claim(job / "claims")
    for _ in range(3):
        claim.write_bytes(job / "sheet.png", os.urandom(200_000))
        store.write_bytes(job / "record.json", os.urandom(200_000))
    with claim.staged() as staged:
        fill(staged, {"state": LARGE})
        store.publish(staged, job / "checkpoints" / "5")
    with store.locked(job):
        pass
    assert len(keys(store, "blobs")) == 3
    store.delete(job)
    assert [each for folder in ("tree", "blobs", "claims", "locks", "uploads") for each in keys(store, folder)] == []


def test_small_files_share_blobs(open_bucket: Open, proxy: FaultyProxy) -> None:
    store = open_bucket()
    publish(
        store, store.path("datasets", "ds-1"), {f"images/{number:06d}.png": os.urandom(3000) for number in range(300)}
    )
    proxy.requests.clear()
    reader = open_bucket()
    assert all(len(each.read_bytes()) == 3000 for each in reader.path("datasets", "ds-1").glob("images/*.png"))
    assert len(proxy.requests) < 20


def test_credentials_are_never_logged(
    open_bucket: Open, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    store = open_bucket(patience=0.2)
    proxy.fault = lambda method, path: "error"
    with pytest.raises(StoreAway) as caught:
        store.write_bytes(store.path("file"), b"x")
    assert BUCKET in str(caught.value)
    for secret in ("a-secret-of-tests", "a-key-of-tests"):
        assert secret not in caplog.text + str(caught.value)
