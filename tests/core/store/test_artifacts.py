"""Atomic publication, and claims that fence off earlier processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flawsmith.core.store.artifacts import AlreadyPublished, ArtifactStore, OutsideStore
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.job_folder import JobFolder


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


@pytest.mark.parametrize("part", ["..", "../x", "../../../evil/x", "a/../../b", "/etc", "", ".", "a//b", "a\0b", "a/"])
def test_no_path_leads_out_of_the_store(store: ArtifactStore, part: str) -> None:
    with pytest.raises(OutsideStore):
        store.path("jobs", part)
    with pytest.raises(OutsideStore):
        JobFolder(store, part)


def staging_process(root: Path) -> subprocess.Popen[str]:
    """A process that has staged a folder, and waits."""
    program = (
        "import sys; from pathlib import Path; from flawsmith.core.store.artifacts import ArtifactStore\n"
        "with ArtifactStore(Path(sys.argv[1])).staged() as folder:\n"
        "    (folder / 'upload').write_bytes(b'photographs'); print(folder, flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_what_a_killed_process_staged_is_swept_at_once_and_what_a_live_one_staged_is_not(store: ArtifactStore) -> None:
    processes = [staging_process(store.root) for _ in range(2)]
    try:
        killed, live = (Path(process.stdout.readline().strip()) for process in processes if process.stdout)
        for folder in (killed, live):
            os.utime(folder, (0, 0))  # as old as can be: a slow upload is not swept for its age
        processes[0].kill()
        processes[0].wait(10)
        store.sweep()
        assert not killed.exists()
        assert (live / "upload").read_bytes() == b"photographs"
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    store.sweep()
    assert list(store.staging.iterdir()) == []


def test_what_an_earlier_release_staged_is_swept_when_it_is_old(store: ArtifactStore) -> None:
    for name in ("old", "new"):
        (store.staging / name).mkdir(parents=True)
    os.utime(store.staging / "old", (0, 0))
    store.sweep()
    assert [each.name for each in store.staging.iterdir()] == ["new"]


def test_other_users_cannot_enter_a_swept_store(store: ArtifactStore) -> None:
    store.root.chmod(0o755)
    store.sweep()
    assert store.root.stat().st_mode & 0o777 == 0o700


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
