"""An export goes on from its parts: with the same bytes wherever it was interrupted, in bounded memory."""

import errno
import hashlib
import json
import random
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from tests.worker.exports.conftest import MakeSite
from tests.worker.exports.labelled_source import Site

from flawsmith.core.domain.export_layouts import ExportLayout
from flawsmith.core.domain.export_splits import split_of
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.export_files import HeldAddresses, addresses_file
from flawsmith.worker.checkpoints import DiskFull, NewerFormat
from flawsmith.worker.exports import archive_work
from flawsmith.worker.exports.parts import DamagedPart

COUNT = 60
SPLIT = {"train": 0.6, "val": 0.4}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def interrupt(site: Site, seed: int, kills: int = 4) -> None:
    """Begins the job several times; each time the worker saves now and then, and dies after some passes."""
    choices = random.Random(seed)
    for _ in range(kills):
        work, segment = site.open(), site.segment()
        for _ in range(choices.randint(1, 4)):
            if not work.over:
                work.advance(segment)
                if choices.random() < 0.6:
                    work.save(segment)


def places(site: Site) -> list[Path]:
    return sorted(site.folder.checkpoints.iterdir())


@pytest.mark.parametrize("layout", get_args(ExportLayout))
def test_an_interrupted_export_has_the_bytes_of_an_undisturbed_one(make_site: MakeSite, layout: ExportLayout) -> None:
    split = None if layout == "mvtec" else SPLIT  # which has splits of its own
    undisturbed = make_site(layout, COUNT, name="undisturbed", split=split)
    result = undisturbed.run().fields["result"]
    assert result.sha256 == digest(undisturbed.archive)
    assert (result.images, result.bytes) == (COUNT, undisturbed.archive.stat().st_size)
    assert sum(result.splits.values()) == (COUNT if split else 0)
    for seed in range(3):
        site = make_site(layout, COUNT, name=f"interrupted-{seed}", split=split)
        interrupt(site, seed)
        assert places(site), "nothing was saved, so nothing is tested"
        site.run()
        assert digest(site.archive) == digest(undisturbed.archive)


def test_it_does_not_begin_anew(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT)
    work, segment = site.open(), site.segment()
    for _ in range(3):
        work.advance(segment)
        work.save(segment)
    work.advance(segment)  # is lost
    assert site.open().step == 15


def test_an_interruption_while_the_archive_is_made_costs_only_that(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT, name="undisturbed")
    site.run()
    other = make_site("coco", COUNT, name="other")
    work, segment = other.open(), other.segment()
    while not work.over:
        work.advance(segment)
    work.save(segment)
    next(work.before_finish())
    del work
    again = other.open()
    assert (again.over, again.step) == (True, COUNT)
    other.run()
    assert digest(other.archive) == digest(site.archive)
    assert not list(other.store.staging.iterdir()), "a half-made archive is left"


def cut_rows(place: Path) -> None:
    (place / "rows.jsonl").write_bytes(b"{}")


def remove_card(place: Path) -> None:
    (place / "checkpoint.json").unlink()


def other_job(place: Path) -> None:
    card = json.loads((place / "checkpoint.json").read_bytes())
    (place / "checkpoint.json").write_text(json.dumps(card | {"of": "something else"}))


@pytest.mark.parametrize("damage", [cut_rows, remove_card, other_job, shutil.rmtree])
def test_a_part_that_is_not_whole_is_made_again_with_all_later_ones(
    make_site: MakeSite, damage: Callable[[Path], None]
) -> None:
    undisturbed = make_site("yolo", COUNT, name="undisturbed")
    undisturbed.run()
    site = make_site("yolo", COUNT, name="damaged")
    work, segment = site.open(), site.segment()
    for _ in range(4):
        work.advance(segment)
        work.save(segment)
    damage(places(site)[1])
    assert site.open().step == 5
    site.run()
    assert digest(site.archive) == digest(undisturbed.archive)


def test_a_part_with_other_bytes_is_found_when_the_archive_is_made(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT)
    work, segment = site.open(), site.segment()
    while not work.over:
        work.advance(segment)
        work.save(segment)
    file = places(site)[2] / "files.zip"
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedPart, match="is made again"):
        list(work.before_finish())
    assert site.open().step == 10
    site.run()
    with zipfile.ZipFile(site.archive) as archive:
        assert archive.testzip() is None


def test_a_part_of_a_later_release_is_left_as_it_is(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT)
    work, segment = site.open(), site.segment()
    work.advance(segment)
    work.save(segment)
    card = places(site)[0] / "checkpoint.json"
    card.write_text(json.dumps(json.loads(card.read_bytes()) | {"format": 99}))
    with pytest.raises(NewerFormat, match="format 99"):
        site.open()
    assert card.exists()


def test_a_worker_that_lost_the_job_publishes_nothing(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT)
    work, segment = site.open(), site.segment()
    work.advance(segment)
    site.segment()  # another worker took over
    with pytest.raises(ClaimLost):
        work.save(segment)
    assert not site.folder.checkpoints.exists() or not places(site)
    done, late = make_site("coco", 5, name="late"), None
    work, late = done.open(), done.segment()
    work.advance(late)
    work.save(late)
    list(work.before_finish())
    done.segment()
    with pytest.raises(ClaimLost):
        work.finish(late)
    assert not done.archive.exists()


def test_a_full_disk_says_how_much_is_missing_and_loses_nothing(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site("coco", COUNT)
    work, segment = site.open(), site.segment()
    work.advance(segment)
    work.save(segment)
    work.advance(segment)

    def full(*paths: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "publish", full)
        with pytest.raises(DiskFull) as refused:
            work.save(segment)
    assert refused.value.needed > 5 * 2000
    assert work.step == 10
    work.save(segment)
    assert site.open().step == 10


def test_memory_holds_no_more_of_many_images_than_of_few(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_work, "PART_BYTES", 2**18)

    def peak(count: int) -> int:
        site = make_site("coco", count, name=f"of-{count}")
        tracemalloc.start()
        site.run()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert site.archive.stat().st_size > 2000 * count
        return found

    few, many = peak(250), peak(1500)
    assert many - few < 1250 * 1500  # bytes; an image has over 4,000 with its mask


def test_the_addresses_of_an_archive_are_kept_beside_it(make_site: MakeSite) -> None:
    site = make_site("coco", COUNT)
    site.run()
    held = HeldAddresses.load(addresses_file(site.folder))
    assert held.versions == ["steel@1"]
    assert addresses_file(site.folder).stat().st_size < 2000


def test_the_address_alone_decides_the_split() -> None:
    keys = [f"steel@2/{seed}:pits" for seed in range(20_000)]
    shares = {"train": 0.8, "val": 0.15, "test": 0.05}
    found = [split_of(each, shares) for each in keys]
    assert found == [split_of(each, shares) for each in keys]
    for name, share in shares.items():
        assert found.count(name) / len(keys) == pytest.approx(share, abs=0.01)
    assert split_of(keys[0], {"all": 1.0}) == "all"
    larger = {"train": 0.85, "val": 0.1, "test": 0.05}  # nothing leaves a split that grows
    assert all(
        after == "train"
        for before, key in zip(found, keys, strict=True)
        if before == "train"
        for after in [split_of(key, larger)]
    )
