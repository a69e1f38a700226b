"""The process that decodes pictures: its bounds, its end, and files made to cost much."""

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks import hostile_images
from PIL import Image
from tests.conftest import photograph, until, zipped

from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import ArchiveTooLarge
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets, TooFewImages
from flawsmith.core.store.images import Abandoned, DecoderProcess, UnusableImage

PIXELS = 50_000_000


@pytest.fixture
def decoder() -> Iterator[DecoderProcess]:
    with DecoderProcess(PIXELS, 16, lambda: False) as running:
        yield running


def decoders() -> list[int]:
    """The decoders that this test run has started and that still run; other tests' Redis is a child as well."""
    tasks = Path("/proc/self/task").glob("*/children")
    started = [int(pid) for each in tasks for pid in each.read_text().split()]
    return [pid for pid in started if b"decoder_child" in command(pid)]


def command(pid: int) -> bytes:
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (hostile_images.with_huge_tile, "tiles of 46000x46000 pixels are larger than the picture"),
        (lambda: hostile_images.with_many_scans(120, 2000), "more than 100 scans"),
    ],
    ids=["tile", "scans"],
)
def test_a_file_made_to_cost_much_is_refused_at_once(
    decoder: DecoderProcess, make: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(UnusableImage, match=reason):
        decoder.decode(make())
    assert decoder.seconds < 1
    assert decoder.decode(photograph()).size == (40, 40)


@pytest.mark.parametrize(
    "make",
    [
        lambda: hostile_images.with_many_segments(0xE1, b"Exif\0\0"),
        lambda: hostile_images.with_many_segments(0xE2, b"ICC_PROFILE\0\1\1"),
        hostile_images.with_many_tags,
        hostile_images.with_many_directories,
    ],
    ids=["EXIF", "profiles", "tags", "directories"],
)
def test_metadata_without_end_costs_nothing(decoder: DecoderProcess, make: Callable[[], bytes]) -> None:
    assert decoder.decode(make()).size == (64, 64)
    assert decoder.seconds < 1


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_decoded(decoder: DecoderProcess) -> None:
    with pytest.raises(UnusableImage, match="far longer to decode"):
        decoder.decode(hostile_images.with_many_scans(), seconds=0.2)
    assert decoder.decode(photograph()).size == (40, 40)


def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawsmith.core.store.images.decoder_process.MEMORY_BYTES", 400_000_000)
    monkeypatch.setattr("flawsmith.core.store.images.decoder_process.MEMORY_BYTES_PER_PIXEL", 0)
    buffer = io.BytesIO()
    Image.new("RGBA", (7_000, 7_000), (90, 120, 150, 20)).save(buffer, "PNG")
    with DecoderProcess(PIXELS, 16, lambda: False) as decoder:
        with pytest.raises(UnusableImage, match="too much memory"):
            decoder.decode(buffer.getvalue())
        assert decoder.decode(photograph()).size == (40, 40)


def test_a_file_that_kills_its_decoder_is_refused_and_the_next_is_decoded(decoder: DecoderProcess) -> None:
    decoder.decode(photograph())
    [child] = decoders()
    data = hostile_images.with_many_scans()
    killer = threading.Timer(0.3, os.kill, (child, signal.SIGSEGV))
    killer.start()
    with pytest.raises(UnusableImage, match="ends the decoder"):
        decoder.decode(data)
    killer.join()
    assert decoder.decode(photograph()).size == (40, 40)


def test_decoding_ends_when_nobody_waits_any_more() -> None:
    left, slow = threading.Event(), hostile_images.with_many_scans()
    with DecoderProcess(PIXELS, 16, left.is_set) as decoder:
        decoder.decode(photograph())
        timer = threading.Timer(0.2, left.set)
        timer.start()
        with pytest.raises(Abandoned):
            decoder.decode(slow)
        assert decoders() == []
        timer.join()


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(ArtifactStore(tmp_path / "store"), Settings(max_upload_pixels=100_000))


def test_an_upload_may_take_only_so_much_time(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawsmith.core.store.datasets.decoding_budget.BASE_SECONDS", 0.3)
    monkeypatch.setattr("flawsmith.core.store.datasets.decoding_budget.SECONDS_PER_MEGABYTE", 0.01)
    slow = hostile_images.with_many_scans()
    (tmp_path / "upload").write_bytes(zipped({f"{number}.jpg": slow for number in range(20)}))
    with pytest.raises(ArchiveTooLarge, match="far more than their size deserves"):
        datasets.add_archive("slow", tmp_path / "upload")
    assert list(datasets.store.root.rglob("*.png")) == []
    until(lambda: decoders() == [], 5, "the decoder has ended")


def test_an_upload_may_have_only_so_many_pixels(datasets: Datasets, tmp_path: Path) -> None:
    files = {f"{number}.png": photograph(number, side=150) for number in range(5)}
    (tmp_path / "upload").write_bytes(zipped(files))
    with pytest.raises(ArchiveTooLarge, match="100,000 pixels together"):
        datasets.add_archive("large", tmp_path / "upload")


def test_a_thousand_refused_files_with_long_names_are_listed_in_bounds(datasets: Datasets, tmp_path: Path) -> None:
    names = [f"{number:04d}{'漢' * 900}.png" for number in range(1500)]
    usable = {f"{number}.png": photograph(number) for number in range(2)}
    (tmp_path / "upload").write_bytes(zipped({**dict.fromkeys(names, b"no picture"), **usable}))
    dataset, _ = datasets.add_archive("names", tmp_path / "upload")
    assert len(dataset.model_dump_json()) < 300_000
    assert dataset.rejected[0].file.startswith("0000漢")
    listed = len(dataset.rejected) - 1
    assert dataset.rejected[-1].reason == f"and {1500 - listed} more"


def test_the_refusal_of_many_long_names_is_bounded_too(datasets: Datasets, tmp_path: Path) -> None:
    names = [f"{number:04d}{'x' * 900}/../{number}.png" for number in range(1000)]
    (tmp_path / "upload").write_bytes(zipped(dict.fromkeys(names, b"x")))
    with pytest.raises(TooFewImages) as caught:
        datasets.add_archive("names", tmp_path / "upload")
    assert sum(len(each.file) + len(each.reason) for each in caught.value.rejected) < 300_000
