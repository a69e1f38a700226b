"""The IPTC's mark that a model made an image: in every answer that holds images, since which version."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from flawsmith.app.media import MediaType, answer
from flawsmith.app.sampling.images import Images
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.worker.engine import encode
from tests.published_versions import publish

TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PROPERTY = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
ADDRESSES = [Address("scratches", 7), Address("scratches", 8)]
PIXELS = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32, 1)
ONE_IMAGE: list[MediaType] = ["image/png", "image/jpeg", "image/webp"]


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """A version that is published today."""
    return publish(Registry(ArtifactStore(tmp_path)), "job-1", "steel")


@pytest.fixture
def earlier(version: ModelVersion) -> ModelVersion:
    """The same version, had an earlier release published it: their cards have no such key."""
    return ModelVersion.model_validate(version.model_dump(exclude={"digital_source_type"}))


def content(version: ModelVersion, media_type: MediaType, count: int = 1) -> bytes:
    """The body of an answer with images of the version."""
    images = Images(version, ADDRESSES[:count], [encode(version, each, PIXELS) for each in ADDRESSES[:count]], "hit")
    app = FastAPI()
    app.get("/")(lambda: answer(media_type, images, {}))
    return TestClient(app).get("/").content


def source_types(image: bytes) -> list[str | None]:
    """The property in the XMP of an image."""
    with Image.open(io.BytesIO(image)) as opened:
        info: Mapping[Any, Any] = opened.info
        packet = info.get("xmp", info.get("XML:com.adobe.xmp"))
    return [] if packet is None else [each.text for each in ElementTree.fromstring(packet).iter(PROPERTY)]


@pytest.mark.parametrize("media_type", ONE_IMAGE)
def test_an_image_says_in_its_xmp_that_a_model_made_it(version: ModelVersion, media_type: MediaType) -> None:
    assert source_types(content(version, media_type)) == [TERM]


def test_a_zip_says_it_in_each_image_and_in_its_manifest(version: ModelVersion) -> None:
    archive = zipfile.ZipFile(io.BytesIO(content(version, "application/zip", count=2)))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["digital_source_type"] == TERM
    assert [source_types(archive.read(each["file"])) for each in manifest["images"]] == [[TERM], [TERM]]


def test_an_array_has_it_in_a_file_beside_it(version: ModelVersion) -> None:
    with np.load(io.BytesIO(content(version, "application/x-npz", count=2)), allow_pickle=False) as arrays:
        assert str(arrays["digital_source_type"]) == TERM


@pytest.mark.parametrize("media_type", ONE_IMAGE)
def test_images_of_an_earlier_release_keep_their_bytes(
    version: ModelVersion, earlier: ModelVersion, media_type: MediaType
) -> None:
    before, after = content(earlier, media_type), content(version, media_type)
    assert source_types(before) == []
    assert before != after
    if media_type == "image/png":  # nothing but the chunk was added
        start = after.index(b"iTXtXML:com.adobe.xmp") - 4
        size = int.from_bytes(after[start : start + 4]) + 12
        assert after[:start] + after[start + size :] == before
    assert json.loads(
        zipfile.ZipFile(io.BytesIO(content(earlier, "application/zip"))).read("manifest.json")
    ).keys() == {
        "model",
        "synthetic",
        "images",
    }


def test_the_term_of_a_version_may_be_another_one(tmp_path: Path) -> None:
    pasted = publish(Registry(ArtifactStore(tmp_path)), "job-1", "steel", digital_source_type="compositeCapture")
    assert source_types(content(pasted, "image/png")) == [TERM.replace("trainedAlgorithmicMedia", "compositeCapture")]
