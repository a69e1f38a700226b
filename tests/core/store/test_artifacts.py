"""Atomic publication, and claims that fence off earlier processes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flawsmith.core.store.artifacts import AlreadyPublished, ArtifactStore
from flawsmith.core.store.claims import ClaimLost


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def test_a_published_folder_is_never_overwritten(store: ArtifactStore) -> None:
    for text in ("first", "second"):
        with store.staged() as staged:
            (staged / "file").write_text(text)
            if text == "first":
                store.publish(staged, store.path("place"))
            else:
                with pytest.raises(AlreadyPublished):
                    store.publish(staged, store.path("place"))
    assert store.path("place", "file").read_text() == "first"
    assert not list(store.staging.iterdir())


def test_a_lost_claim_cannot_publish_a_folder_that_it_staged_before(store: ArtifactStore) -> None:
    earlier = store.claim(store.path("claims"))
    with pytest.raises(ClaimLost), earlier.staged() as staged:
        (staged / "file").write_text("late")
        later = store.claim(store.path("claims"))
        store.publish(staged, store.path("place"))
    assert not store.path("place").exists()
    assert not earlier.held
    with later.staged() as staged:
        (staged / "file").write_text("right")
        store.publish(staged, store.path("place"))
    assert store.path("place", "file").read_text() == "right"


def test_a_lost_claim_cannot_replace_a_file(store: ArtifactStore) -> None:
    earlier = store.claim(store.path("claims"))
    earlier.write_bytes(store.path("sheet.png"), b"early")
    store.claim(store.path("claims"))
    with pytest.raises(ClaimLost):
        earlier.write_bytes(store.path("sheet.png"), b"late")
    assert store.path("sheet.png").read_bytes() == b"early"


def test_an_error_while_the_claim_is_held_is_raised_unchanged(store: ArtifactStore) -> None:
    claim = store.claim(store.path("claims"))
    with pytest.raises(ZeroDivisionError), claim.staged():
        raise ZeroDivisionError
    assert claim.held
    assert not list(claim.folder.iterdir())


def test_of_many_concurrent_claims_exactly_one_is_held(store: ArtifactStore) -> None:
    place = store.path("claims")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: store.claim(place), range(64)))
    held = [claim for claim in claims if claim.held]
    assert len(held) == 1
    assert [each.name for each in place.iterdir()] == [held[0].folder.name]
    assert len({claim.folder for claim in claims}) == 64
