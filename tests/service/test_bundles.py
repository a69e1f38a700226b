"""A trained version leaves a service as a bundle, by the commands, and has the same bytes elsewhere."""

from pathlib import Path
from typing import Any

import torch
from tests.commands import flawsmith
from tests.conftest import Service

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.bundle_reading import unpack_bundle
from flawsmith.core.store.registry import Registry
from flawsmith.worker.engine import Engine


def test_a_version_leaves_as_a_bundle_and_has_the_same_bytes_elsewhere(
    service: Service, trained: dict[str, Any], tmp_path: Path
) -> None:
    written = flawsmith("bundle", trained["produced"], cwd=tmp_path, url=str(service.client.base_url))
    assert written.returncode == 0, written.stderr
    name, _, number = trained["produced"].partition("@")
    path = tmp_path / f"{name}-{number}.bundle.zip"
    assert str(path.name) in written.stdout

    (tmp_path / "unpacked").mkdir()
    bundle = unpack_bundle(path, tmp_path / "unpacked")
    elsewhere = Registry(ArtifactStore(tmp_path / "elsewhere"))
    elsewhere.adopt(bundle.card, bundle.version, bundle.results)
    engine = Engine(elsewhere, 1, torch.device("cpu"))
    address = Address("scratches", 42)
    place = f"/models/{name}/versions/{number}/images/42.png?defect_type=scratches"
    [pixels] = engine.sample(trained["produced"], [address])
    assert engine.encoder(trained["produced"])(address, pixels) == service.client.get(place).content

    again = flawsmith("import", path.name, cwd=tmp_path, url=str(service.client.base_url))
    assert (again.returncode, again.stderr) == (0, "") and trained["produced"] in again.stdout
    path.write_bytes(path.read_bytes()[:-100])
    refused = flawsmith("import", path.name, cwd=tmp_path, url=str(service.client.base_url))
    assert refused.returncode == 1 and "cut short" in refused.stderr
