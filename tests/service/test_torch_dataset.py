"""`MixedDataset` against a real service: photographs and synthetic images of a ratio, for PyTorch's DataLoader."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.client.stand_in import CuttingProxy
from tests.conftest import Service, photograph
from torch.utils.data import DataLoader

from flawsmith import Client, MixedDataset
from flawsmith.client.errors import NotFound

MODEL = "two-types@1"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Four photographs of dents and two of scratches, longer than high."""
    for kind, count in (("dents", 4), ("scratches", 2)):
        folder = tmp_path / "photographs" / kind
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}.png").write_bytes(photograph(number, side=50))
    return tmp_path / "photographs"


def items(data: MixedDataset, workers: int = 0) -> list[tuple[torch.Tensor, int]]:
    batches = list(DataLoader(data, batch_size=3, num_workers=workers))
    pictures, labels = (torch.cat([batch[part] for batch in batches]) for part in (0, 1))
    return [(picture, int(label)) for picture, label in zip(pictures, labels, strict=True)]


def same(left: list[tuple[torch.Tensor, int]], right: list[tuple[torch.Tensor, int]]) -> bool:
    pairs = zip(left, right, strict=True)
    return len(left) == len(right) and all(a[1] == b[1] and torch.equal(a[0], b[0]) for a, b in pairs)


def test_each_type_has_synthetic_images_in_the_ratio(
    service: Service, trained: dict[str, Any], photographs: Path, tmp_path: Path
) -> None:
    url = str(service.client.base_url)
    data = MixedDataset(photographs, MODEL, ratio=1.5, seed=20, url=url, cache=tmp_path / "cache")
    found = items(data)
    assert [label for _, label in found] == [0] * 4 + [1] * 2 + [0] * 6 + [1] * 3
    assert [data.is_synthetic(at) for at in range(len(data))] == [False] * 6 + [True] * 9
    assert {tuple(picture.shape) for picture, _ in found} == {(1, 32, 32)}
    assert all(picture.dtype == torch.float32 and 0 <= picture.min() < picture.max() <= 1 for picture, _ in found)
    with Client(url) as client:
        fourth = client.image(MODEL, 23, defect_type="dents").numpy()
    assert torch.equal(found[9][0], torch.from_numpy(fourth[None] / 255).float())


def test_workers_epochs_and_fetching_ahead_change_nothing(
    service: Service, trained: dict[str, Any], photographs: Path, tmp_path: Path
) -> None:
    def made(cache: str) -> MixedDataset:
        url = str(service.client.base_url)
        return MixedDataset(photographs, MODEL, ratio=2, url=url, cache=tmp_path / cache)

    plain, ahead = made("plain"), made("ahead")
    expected = items(plain)
    assert same(items(plain), expected)
    assert same(items(made("workers"), workers=2), expected)
    told: list[tuple[int, int]] = []
    ahead.fetch(lambda *at: told.append(at))
    assert told[-1] == (12, 12)
    assert same(items(pickle.loads(pickle.dumps(ahead))), expected)


def test_what_was_fetched_needs_no_service(
    service: Service, trained: dict[str, Any], photographs: Path, tmp_path: Path
) -> None:
    with CuttingProxy(service.client.base_url.port or 0) as proxy:
        data = MixedDataset(photographs, MODEL, url=proxy.url, cache=tmp_path / "cache")
        data.fetch()
        data.client.close()
    assert len(items(data, workers=2)) == 12
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 6
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_transform_gets_the_whole_picture(service: Service, trained: dict[str, Any], photographs: Path) -> None:
    url = str(service.client.base_url)
    data = MixedDataset(photographs, MODEL, ratio=0, url=url, transform=lambda picture: picture.size)
    assert data[0] == ((50, 50), 0)
    assert len(data) == 6


def test_photographs_as_a_list_and_types_in_an_order_of_ones_own(
    service: Service, trained: dict[str, Any], photographs: Path, tmp_path: Path
) -> None:
    files = [(path, path.parent.name) for path in sorted(photographs.glob("*/*"))]
    data = MixedDataset(
        files,
        MODEL,
        ratio=0.5,
        classes=["scratches", "dents"],
        size=16,
        url=str(service.client.base_url),
        cache=tmp_path / "cache",
    )
    assert [data[at][1] for at in range(len(data))] == [1] * 4 + [0] * 2 + [0] + [1] * 2
    assert data[0][0].shape == data[8][0].shape == (1, 16, 16)


def test_what_cannot_be_mixed(service: Service, trained: dict[str, Any], photographs: Path, tmp_path: Path) -> None:
    url = str(service.client.base_url)
    with pytest.raises(ValueError, match="no photographs"):
        MixedDataset(tmp_path / "nothing", MODEL, url=url)
    with pytest.raises(ValueError, match="ratio is -1"):
        MixedDataset(photographs, MODEL, ratio=-1, url=url)
    with pytest.raises(ValueError, match="no images of 'rust'; it knows: dents, scratches"):
        MixedDataset([(next(photographs.glob("*/*")), "rust")], MODEL, url=url)
    with pytest.raises(ValueError, match="not one of the classes"):
        MixedDataset(photographs, MODEL, classes=["dents"], url=url)
    with pytest.raises(NotFound):
        MixedDataset(photographs, "nothing@1", url=url)
