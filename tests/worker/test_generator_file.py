"""`load_generator`: a published file samples outside the service what the service samples."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save, save_file

from flawsmith import load_generator
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.engine import Engine
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.qualification import qualify

CPU = torch.device("cpu")


def card(channels: int) -> dict[str, Any]:
    config = {
        "resolution": 32,
        "channels": channels,
        "classes": ["dents", "pits"],
        "latent_size": 8,
        "generator_depth": 4,
        "discriminator_depth": 4,
    }
    return {
        "preset": "dcgan",
        "classes": config["classes"],
        "resolution": 32,
        "mode": "L" if channels == 1 else "RGB",
        "config": config,
        "precision": "float32",
        "qualified_on": "cpu",
    }


def weights(channels: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(channels)
    return build_generator("dcgan", card(channels)["config"], 2).state_dict()


@pytest.mark.parametrize("channels", [1, 3])
def test_its_pixels_are_those_of_the_service(channels: int, tmp_path: Path) -> None:
    registry = Registry(ArtifactStore(tmp_path))
    with registry.store.staged() as staged:
        essentials = card(channels) | {"precision": qualify("dcgan", card(channels)["config"], weights(channels), CPU)}
        digest = save_generator(weights(channels), staged / "generator.safetensors", essentials)
        version: ModelVersion = registry.publish(
            "m", staged, **essentials, weights_sha256=digest, training_job="job-1", dataset_digest="d"
        )
    engine, generator = Engine(registry, 1, CPU), load_generator(registry.weights("m", 1), device="cpu")
    addresses = [Address(kind, seed) for seed in (0, 1, 5, 2**53 - 1) for kind in version.classes]
    for address, pixels in zip(addresses, engine.sample("m@1", addresses), strict=True):
        png = np.asarray(Image.open(io.BytesIO(engine.encoder("m@1")(address, pixels))))
        assert np.array_equal(generator.sample(address.seed, address.defect_type), png)
        assert png.shape == ((32, 32) if channels == 1 else (32, 32, 3))
    assert np.array_equal(generator.sample(5), generator.sample(5, "pits"))  # types take turns


def test_the_digest_is_that_of_the_weights_without_metadata(tmp_path: Path) -> None:
    save_file(weights(1), tmp_path / "plain.safetensors")
    plain = hashlib.sha256((tmp_path / "plain.safetensors").read_bytes()).hexdigest()
    assert save_generator(weights(1), tmp_path / "with.safetensors", card(1)) == plain
    assert plain == hashlib.sha256(save(weights(1))).hexdigest()


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_generator(weights(1), tmp_path / name, card(1) | {"training_job": name})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_without_metadata_needs_its_card(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_file(weights(1), path)
    with pytest.raises(ValueError, match="Give its version's card"):
        load_generator(path)
    with pytest.raises(ValueError, match="lacks config"):
        load_generator(path, card={name: value for name, value in card(1).items() if name != "config"})
    assert load_generator(path, card=card(1), device="cpu").sample(3).shape == (32, 32)


def test_unknown_types_and_seeds_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    save_generator(weights(1), tmp_path / "generator.safetensors", card(1))
    generator = load_generator(tmp_path / "generator.safetensors", device="cpu")
    with pytest.raises(ValueError, match="dents, pits"):
        generator.sample(0, "scratches")
    with pytest.raises(ValueError, match="0 to 9007199254740991"):
        generator.sample(2**53)


def test_importing_flawsmith_loads_no_torch() -> None:
    loaded = "import sys, flawsmith; assert ('torch' in sys.modules) is False; flawsmith.load_generator"
    subprocess.run([sys.executable, "-c", f"{loaded}; assert 'torch' in sys.modules"], check=True)
