"""Bundles of versions in stores of both kinds: a version moves from either to either."""

from pathlib import Path

from tests.bundled_versions import dcgan

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.bundle_reading import unpack_bundle
from flawsmith.core.store.bundle_writing import bundle_of
from flawsmith.core.store.interface import Store
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_import import is_here


def move(source: Registry, target: Registry, folder: Path) -> None:
    """Moves `steel@1`; a second time it is there already."""
    for name in ("", "unpacked", "again"):
        (folder / name).mkdir()
    bundle_of(source, source.resolve("steel@1")).write(folder / "bundle.zip")
    bundle = unpack_bundle(folder / "bundle.zip", folder / "unpacked")
    assert not is_here(target, bundle)
    target.adopt(bundle.card, bundle.version, bundle.results)
    assert is_here(target, unpack_bundle(folder / "bundle.zip", folder / "again"))


def test_a_version_moves_from_any_store_to_any_other(any_store: Store, tmp_path: Path) -> None:
    stores: list[Store] = [ArtifactStore(tmp_path / "first"), any_store, ArtifactStore(tmp_path / "last")]
    first, middle, last = map(Registry, stores)
    version = dcgan(first, "steel")
    first.withdraw(version, Address("pits", 7), "shows a logo")
    move(first, middle, tmp_path / "there")
    move(middle, last, tmp_path / "back")
    assert len({bundle_of(each, version).digest for each in (first, middle, last)}) == 1
    assert middle.model("steel").versions == [1]
    middle.withdraw(version, Address("pits", 8), "a finger")  # among results that came with the bundle
    assert {each.seed for each in middle.withdrawn(version)} == {7, 8}
