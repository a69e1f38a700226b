"""A trained version leaves a service as a bundle, by the commands, and has the same bytes elsewhere."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.bundled_versions import KINDS
from tests.commands import flawsmith
from tests.conftest import Service

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.bundle_reading import unpack_bundle
from flawsmith.core.store.bundle_writing import bundle_of
from flawsmith.core.store.registry import Registry
from flawsmith.worker.engine import Engine
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.pasted_images import METADATA_KEY


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


def other_generator(folder: Path) -> None:
    """Weights that have the digest in the card, and are of no generator of its preset."""
    path, card = folder / "generator.safetensors", json.loads((folder / "card.json").read_text())
    weights = {name: each.flatten() for name, each in load_file(path).items()}
    change_card(folder, weights_sha256=save_generator(weights, path, card))


def other_label_network(folder: Path) -> None:
    """For the feature maps of another generator."""
    path = folder / "labels.safetensors"
    weights = load_file(path)
    names = ("of_maps.0.weight", "mean_0", "spread_0")
    doubled = {name: torch.cat([weights[name]] * 2, int(weights[name].ndim > 1)) for name in names}
    save_file({**weights, **doubled}, path)


def no_label_network(folder: Path) -> None:
    save_file({"a": torch.zeros(3)}, folder / "labels.safetensors")


def no_defects(folder: Path) -> None:
    """A file whose defects are of a type that the version does not have."""
    path = folder / "defects.safetensors"
    about = json.dumps({"hosts_of": {"cracks": [0]}, "patches": [], "synthetic": True})
    save_file(load_file(path), path, metadata={METADATA_KEY: about})
    change_card(folder, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def angles(folder: Path) -> None:
    """A card that lists an attribute which the generator does not take."""
    change_card(folder, attributes={"angle": {"range": [0, 180], "unit": "degrees", "wraps": True}})


def masks_of_training(folder: Path) -> None:
    """A card that says of a generator without masks that it was trained with some."""
    card = json.loads((folder / "card.json").read_text())
    change_card(folder, labelling={**card["labelling"], "source": "training"})


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))


FORGED: dict[str, tuple[str, Callable[[Path], None], dict[str, Any]]] = {
    "another generator": ("fewshot", other_generator, {}),
    "a label network for other images": ("labelled", other_label_network, {"labels": "mask"}),
    "no label network": ("labelled", no_label_network, {"labels": "mask"}),
    "nothing to paste": ("paste", no_defects, {}),
    "angles of a generator without": ("dcgan", angles, {}),
    "masks of a generator without": ("labelled", masks_of_training, {"labels": "mask"}),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_bundle_costs_its_callers_a_refusal(service: Service, tmp_path: Path, forged: str) -> None:
    kind, forge, asked = FORGED[forged]
    registry = Registry(ArtifactStore(tmp_path / "elsewhere"))
    name = f"forged-{list(FORGED).index(forged)}"
    version = KINDS[kind](registry, name)
    folder = registry.folder(version)
    assert isinstance(folder, Path)
    forge(folder)
    version = Registry(ArtifactStore(tmp_path / "elsewhere")).version(name, str(version.version))
    bundle_of(registry, version).write(tmp_path / "forged.zip")

    client, zipped = service.client, {"Content-Type": "application/zip"}
    assert client.post("/models/import", content=(tmp_path / "forged.zip").read_bytes(), headers=zipped).is_success
    for _ in range(2):
        answer = client.post("/generate", json={"model": version.ref, "count": 3, "seed": 1, **asked})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:conflict"), answer.text
        assert f"the files of {version.ref} make no images" in answer.json()["detail"]
