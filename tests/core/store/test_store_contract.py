"""What every artifact store promises, in a folder and in a bucket alike."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from flawsmith.core.store.artifacts import AlreadyPublished, OutsideStore
from flawsmith.core.store.audit_log import AuditLog
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import Place, Store, children, read_range


def publish(store: Store, place: Place, files: dict[str, bytes], like: Place | None = None) -> None:
    """Publishes a folder with these files."""
    with store.staged() as staged:
        fill(staged, files)
        store.publish(staged, place, like)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_a_file_is_replaced_and_read_again(any_store: Store) -> None:
    place = any_store.path("jobs", "job-1", "record.json")
    with pytest.raises(FileNotFoundError):
        place.read_bytes()
    assert not place.exists()
    for value in ({"state": "queued"}, {"state": "running", "more": "x" * 300_000}, {"state": "succeeded"}):
        any_store.write_json(place, value)
        assert any_store.read_json(place) == value
        assert (place.exists(), place.is_file(), place.is_dir(), place.parent.is_dir()) == (True, True, False, True)
    place.unlink()
    assert not place.exists()
    place.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        place.unlink()


def test_a_published_folder_appears_whole_and_is_never_overwritten(any_store: Store) -> None:
    files = {"card.json": b"{}", "images/0.png": b"zero", "images/1.png": b"one", "large": os.urandom(9_000_000)}
    place = any_store.path("models", "m", "versions", "1")
    publish(any_store, place, files)
    with pytest.raises(AlreadyPublished):
        publish(any_store, place, {"card.json": b"other"})
    assert {name: (place / name).read_bytes() for name in files} == files
    assert (place / "large").stat().st_size == 9_000_000
    with (place / "large").open("rb") as file:
        file.seek(8_999_990)
        assert file.read() == files["large"][-10:]
    assert read_range(place / "large", 5, 15) == files["large"][5:15]
    assert sorted(each.name for each in place.iterdir()) == ["card.json", "images", "large"]
    assert sorted(each.name for each in place.glob("*/*.png")) == ["0.png", "1.png"]
    assert [each.name for each in place.parent.iterdir()] == ["1"]
    assert "models" in [each.name for each in any_store.path().iterdir()] and any_store.path().is_dir()
    assert (place / "images").is_dir() and not (place / "images").is_file()
    assert not (place / "none").exists() and not children(place / "none")


def test_of_many_publishers_at_once_one_wins_whole(any_store: Store) -> None:
    place = any_store.path("datasets", "ds-1")

    def attempt(number: int) -> int | None:
        with suppress(AlreadyPublished):
            publish(any_store, place, {f"{name}.bin": b"%d" % number for name in "abc"})
            return number
        return None

    with ThreadPoolExecutor(8) as pool:
        winners = [each for each in pool.map(attempt, range(16)) if each is not None]
    assert len(winners) == 1
    assert {(place / f"{name}.bin").read_bytes() for name in "abc"} == {b"%d" % winners[0]}
    assert not [each for each in any_store.staging.iterdir() if each.is_dir()]


@pytest.mark.parametrize("way", ["folder", "file", "staged file"])
def test_a_lost_claim_publishes_nothing(any_store: Store, way: str) -> None:
    claims, place = any_store.path("jobs", "job-1", "claims"), any_store.path("jobs", "job-1", "place")
    earlier = any_store.claim(claims)
    with pytest.raises(ClaimLost), earlier.staged() as staged, any_store.staged() as beside:
        fill(staged, {"file": b"late"})
        fill(beside, {"archive": b"late"})
        later = any_store.claim(claims)
        if way == "folder":
            any_store.publish(staged, place)
        elif way == "file":
            earlier.write_bytes(place, b"late")
        else:
            earlier.publish_file(beside / "archive", place)
    assert not place.exists() and place.name not in [each.name for each in children(place.parent)]
    assert later.held and not earlier.held
    later.write_bytes(place.parent / "sheet.png", b"right")
    with any_store.staged() as beside:
        fill(beside, {"archive": b"right"})
        later.publish_file(beside / "archive", place.parent / "archive.zip")
    with later.staged() as staged:
        fill(staged, {"file": b"right"})
        any_store.publish(staged, place)
    found = [place.parent / "sheet.png", place.parent / "archive.zip", place / "file"]
    assert {each.read_bytes() for each in found} == {b"right"}


def test_a_lost_claim_leaves_the_file_that_was_there(any_store: Store) -> None:
    place = any_store.path("models", "m", "results", "1", "report", "report.json")
    earlier = any_store.claim(any_store.path("jobs", "report-1", "claims"))
    earlier.write_bytes(place, b"early")
    any_store.claim(any_store.path("jobs", "report-1", "claims"))
    with pytest.raises(ClaimLost):
        earlier.write_bytes(place, b"late")
    assert place.read_bytes() == b"early"
    assert [each.name for each in place.parent.iterdir()] == ["report.json"]


def test_a_claim_ends_with_its_job(any_store: Store) -> None:
    job = any_store.path("jobs", "job-1")
    claim = any_store.claim(job / "claims")
    with pytest.raises(ClaimLost), claim.staged() as staged:
        fill(staged, {"file": b"late"})
        any_store.delete(job)
        any_store.publish(staged, any_store.path("models", "m", "versions", "1"))
    assert not any_store.path("models", "m", "versions", "1").exists()


def test_an_error_while_the_claim_is_held_is_raised_unchanged(any_store: Store) -> None:
    claim = any_store.claim(any_store.path("claims"))
    with pytest.raises(ZeroDivisionError), claim.staged():
        raise ZeroDivisionError
    assert claim.held


def test_of_many_concurrent_claims_one_is_held(any_store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: any_store.claim(any_store.path("claims")), range(24)))
    assert sum(claim.held for claim in claims) == 1
    assert len({claim.name for claim in claims}) == 24


def test_a_lock_lets_one_in_at_a_time(any_store: Store) -> None:
    place = any_store.path("models", "m", "counter.json")
    any_store.write_json(place, 0)

    def count(_: int) -> None:
        with any_store.locked(place.parent):
            any_store.write_json(place, any_store.read_json(place) + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(12)))
    assert any_store.read_json(place) == 12


def test_a_deleted_folder_is_gone_with_all_in_it(any_store: Store) -> None:
    job = any_store.path("jobs", "job-1")
    any_store.write_bytes(job / "record.json", b"{}")
    publish(any_store, job / "checkpoints" / "000000005", {"state": b"x" * 200_000})
    other = any_store.path("jobs", "job-10", "record.json")
    any_store.write_bytes(other, b"{}")
    any_store.delete(job)
    any_store.delete(job)
    assert not job.exists() and not (job / "record.json").exists()
    assert [each.name for each in any_store.path("jobs").iterdir() if each.exists()] == ["job-10"]
    assert other.read_bytes() == b"{}"


def test_a_published_folder_moves(any_store: Store) -> None:
    places = [any_store.path("jobs", "job-1", name, "5") for name in ("checkpoints", "damaged")]
    publish(any_store, places[0], {"state": b"x" * 200_000})
    any_store.move(places[0], places[1])
    assert not places[0].exists()
    assert (places[1] / "state").read_bytes() == b"x" * 200_000


@pytest.mark.parametrize("first", [0, 1])
def test_folders_that_share_files_are_deleted_one_by_one(any_store: Store, first: int) -> None:
    files = {f"images/{number}.png": os.urandom(2000) for number in range(5)}
    places = [any_store.path("datasets", name) for name in ("ds-a", "ds-b")]
    publish(any_store, places[0], {**files, "record.json": b"a"})
    publish(any_store, places[1], {**files, "record.json": b"b", "images/5.png": b"new"}, places[0])
    any_store.delete(places[first])
    assert not places[first].exists()
    assert {name: (places[1 - first] / name).read_bytes() for name in files} == files


def test_a_file_of_a_published_folder_is_replaced_and_removed(any_store: Store) -> None:
    place = any_store.path("datasets", "ds-1")
    publish(any_store, place, {"record.json": b"1", "references.npz": b"r" * 200_000, "kept": b"k" * 200_000})
    any_store.write_bytes(place / "record.json", b"2")
    (place / "references.npz").unlink()
    assert (place / "record.json").read_bytes() == b"2"
    assert sorted(each.name for each in place.iterdir()) == ["kept", "record.json"]
    assert (place / "kept").read_bytes() == b"k" * 200_000


def test_a_stamp_changes_with_what_is_there(any_store: Store) -> None:
    folder, file = ("models", "m", "versions"), ("models", "m", "aliases.json")
    found = [(any_store.stamp(*folder), any_store.stamp(*file))]
    changes: list[Callable[[], None]] = [
        lambda: publish(any_store, any_store.path(*folder, "1"), {"card.json": b"1"}),
        lambda: any_store.write_json(any_store.path(*file), {"production": 1}),
        lambda: publish(any_store, any_store.path(*folder, "2"), {"card.json": b"2"}),
        lambda: any_store.delete(any_store.path(*folder, "1")),
    ]
    for change in changes:
        change()
        found.append((any_store.stamp(*folder), any_store.stamp(*file)))
        assert found[-1] == (any_store.stamp(*folder), any_store.stamp(*file))
    assert found[0] == (None, None)
    assert all(one != other for one, other in pairwise(found))


def test_results_that_came_as_a_folder_are_added_to(any_store: Store) -> None:
    results = any_store.path("models", "m", "results", "1")
    publish(any_store, results, {"withdrawn.json": b"[1]", "report/report.json": b"early"})
    before = any_store.stamp("models", "m", "results", "1", "withdrawn.json")
    claim = any_store.claim(any_store.path("jobs", "report-1", "claims"))
    claim.write_bytes(results / "report" / "report.json", b"x" * 200_000)
    claim.write_bytes(results / "evaluations" / "e.json", b"new")
    any_store.write_bytes(results / "withdrawn.json", b"[1, 2]")
    any_store.claim(any_store.path("jobs", "report-1", "claims"))
    with pytest.raises(ClaimLost):
        claim.write_bytes(results / "report" / "report.json", b"late")
    assert (results / "report" / "report.json").read_bytes() == b"x" * 200_000
    assert [each.read_bytes() for each in (results / "evaluations").glob("*.json")] == [b"new"]
    assert any_store.stamp("models", "m", "results", "1", "withdrawn.json") not in (before, None)
    assert any_store.stamp("models", "m", "results", "1", "quality-floor.json") is None
    with any_store.staged() as staged:
        fill(staged, {"file": b"y" * 200_000})
        any_store.put_file(staged / "file", results / "sent")
    assert (results / "sent").read_bytes() == b"y" * 200_000
    any_store.delete(results)
    assert not results.exists()


def test_events_are_kept_in_order(any_store: Store) -> None:
    log = AuditLog(any_store)
    for number in range(3):
        log.record("alias_set", number=number)
    place = any_store.path("audit.jsonl")
    files = [place] if place.is_file() else sorted(place.with_name("audit.jsonl.d").iterdir())
    lines = b"".join(each.read_bytes() for each in files).splitlines()
    assert [b'"number": %d' % number in line for number, line in enumerate(lines)] == [True] * 3


@pytest.mark.parametrize("part", ["..", "../x", "a/../../b", "/etc", "", ".", "a//b", "a\0b", "a/"])
def test_no_path_leads_out_of_the_store(any_store: Store, part: str) -> None:
    with pytest.raises(OutsideStore):
        any_store.path("jobs", part)


def test_a_store_that_can_be_written_says_so(any_store: Store) -> None:
    assert any_store.writable()
