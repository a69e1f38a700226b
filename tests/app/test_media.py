"""Content negotiation of POST /generate, and its answers in every media type."""

import base64
import io
import json
import unicodedata
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from PIL import Image
from starlette.testclient import TestClient

from flawsmith.app.media import MEDIA_TYPES, ImageFormat, MediaType, answer, choose
from flawsmith.app.problems import Problem
from flawsmith.app.routes.generate import image_headers
from flawsmith.app.sampling.images import Images
from flawsmith.app.zip_stream import PIECE_BYTES, zip_pieces
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion

VERSION = ModelVersion(
    model="steel",
    version=2,
    classes=["crazing", "dünn"],
    resolution=32,
    mode="L",
    preset="dcgan",
    config={},
    training_job="job",
    dataset_digest="digest",
    weights_sha256="weights",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
JAVA_DEFAULT = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "format", "count", "media_type"),
    [
        # The rows of the table: one image, many images, JSON, an array.
        ("image/png", None, 1, "image/png"),
        ("image/jpeg", None, 1, "image/jpeg"),
        ("image/webp", None, 1, "image/webp"),
        ("*/*", None, 1, "image/png"),
        (None, None, 1, "image/png"),
        ("", None, 1, "image/png"),
        ("application/zip", None, 1, "application/zip"),
        ("application/zip", None, 2, "application/zip"),
        ("*/*", None, 2, "application/zip"),
        (None, None, 256, "application/zip"),
        ("application/json", None, 1, "application/json"),
        ("application/json", None, 9, "application/json"),
        ("application/x-npy", None, 1, "application/x-npy"),
        ("application/x-npy", None, 9, "application/x-npy"),
        ("application/x-npz", None, 1, "application/x-npz"),
        (None, "npz", 9, "application/x-npz"),
        (None, "zip", 1, "application/zip"),
        (None, "json", 9, "application/json"),
        # Several images in a format of images are a zip of such files.
        (None, "png", 2, "application/zip"),
        ("*/*", "webp", 2, "application/zip"),
        ("image/jpeg", "jpeg", 256, "application/zip"),
        # `format` wins over Accept.
        ("application/json", "png", 1, "image/png"),
        ("image/png", "jpeg", 1, "image/jpeg"),
        ("text/html", "webp", 1, "image/webp"),
        ("image/png", "npy", 3, "application/x-npy"),
        # Wildcards and quality values.
        ("image/*", None, 1, "image/png"),
        ("application/*", None, 1, "application/zip"),
        ("application/*", None, 5, "application/zip"),
        ("image/png, */*", None, 2, "application/zip"),
        ("image/png;q=0.2, image/webp;q=0.9", None, 1, "image/webp"),
        ("*/*;q=0.1, application/json", None, 1, "application/json"),
        ("image/*;q=0.5, image/webp", None, 1, "image/webp"),
        ("*/*, image/*;q=0.1", None, 1, "application/zip"),
        ("image/png;q=0, */*", None, 1, "image/jpeg"),
        ("application/zip;q=0, */*", None, 2, "application/json"),
        ("application/json, text/plain, */*", None, 1, "image/png"),
        (CHROME, None, 1, "image/webp"),
        (JAVA_DEFAULT, None, 1, "image/jpeg"),
        (JAVA_DEFAULT, None, 2, "application/zip"),
        # Case, spaces and parameters do not matter.
        ("IMAGE/PNG", None, 1, "image/png"),
        (" image/webp ; Q=0.4 ", None, 1, "image/webp"),
        ("application/json; charset=utf-8", None, 1, "application/json"),
        ("image/png;level=1;q=0.3, image/jpeg;q=0.2", None, 1, "image/png"),
        # Malformed ranges are ignored.
        ("image, ;;;, image/png;q=much, image/jpeg", None, 1, "image/jpeg"),
        ("é/ü, */*;q=0.1", None, 1, "image/png"),
    ],
)
def test_accept_and_format_choose_the_media_type(
    accept: str | None, format: str | None, count: int, media_type: str
) -> None:
    assert choose(accept, format, count) == media_type


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/gif, text/*", ";;;,,", "*/*;q=0", "image"])
def test_406_lists_the_media_types_that_can_be_served(accept: str) -> None:
    with pytest.raises(Problem) as refused:
        choose(accept, None, 1)
    assert (refused.value.status, refused.value.kind) == (406, "not-acceptable")
    assert all(each in refused.value.detail for each in MEDIA_TYPES)


@pytest.mark.parametrize(("accept", "format"), [("image/png", None), ("image/*", None), ("image/webp", None)])
def test_406_says_what_holds_several_images(accept: str, format: str | None) -> None:
    with pytest.raises(Problem) as refused:
        choose(accept, format, 2)
    assert refused.value.status == 406
    assert "holds one image; request count 1, or application/zip" in refused.value.detail


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


ADDRESSES = [Address(["crazing", "dünn"][seed % 2], seed) for seed in range(5, 45)]
PNGS = [png(each.seed) for each in ADDRESSES]


def respond(
    media_type: MediaType, count: int = len(PNGS), with_data: bool = True, zipped: ImageFormat = "png"
) -> Response:
    """A test client's view of the answer that holds the first ``count`` images."""
    app = FastAPI()
    images = Images(VERSION, ADDRESSES[:count], PNGS[:count] if with_data else [], "hit")
    app.get("/")(lambda: answer(media_type, images, image_headers(images), zipped))
    return TestClient(app).get("/")


def test_every_answer_names_version_seed_defect_type_and_pool_use() -> None:
    for media_type in MEDIA_TYPES:
        response = respond(media_type, count=1)
        assert response.headers["content-type"] == media_type
        names = ("x-model", "x-seed", "x-defect-type", "x-stock")
        assert [response.headers[name] for name in names] == ["steel@2", "5", "d%C3%BCnn", "hit"]


def test_one_image_is_the_png_itself_or_its_picture_in_another_format() -> None:
    assert respond("image/png", count=1).content == PNGS[0]
    for media_type, format in (("image/jpeg", "JPEG"), ("image/webp", "WEBP")):
        picture = Image.open(io.BytesIO(respond(media_type, count=1).content))
        assert (picture.format, picture.size) == (format, (32, 32))
        description = picture.getexif()[0x010E]  # Pillow reads the UTF-8 as Latin-1
        assert description.encode("latin-1").decode() == "Synthetic: true; Flawsmith steel@2; dünn; seed 5"
        difference = np.asarray(picture.convert("L")).astype(int) - pixels(PNGS[0])
        assert np.abs(difference).mean() < 12  # of noise, at quality 95


@pytest.mark.parametrize(("format", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_a_zip_holds_images_of_the_format_that_was_asked_for(format: ImageFormat, suffix: str) -> None:
    content = respond("application/zip", zipped=format).content
    archive = zipfile.ZipFile(io.BytesIO(content))
    manifest = json.loads(archive.read("manifest.json"))
    for entry, png_file in zip(manifest["images"], PNGS, strict=True):
        assert entry["file"].endswith(f"/{entry['seed']}{suffix}")
        picture = Image.open(io.BytesIO(archive.read(entry["file"])))
        assert picture.format == format.upper()
        assert picture.getexif()[0x010E].encode("latin-1").decode().startswith("Synthetic: true; Flawsmith steel@2")
        difference = np.asarray(picture.convert("L")).astype(int) - pixels(png_file)
        assert np.abs(difference).mean() < 12  # of noise, at quality 95
    assert respond("application/zip", zipped=format).content == content


def test_a_zip_has_a_folder_for_each_defect_type_and_a_manifest() -> None:
    archive = zipfile.ZipFile(io.BytesIO(respond("application/zip").content))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["model"], manifest["synthetic"]) == ("steel@2", True)
    assert manifest["images"][0] == {"file": "dünn/5.png", "seed": 5, "defect_type": "dünn"}
    assert [archive.read(each["file"]) for each in manifest["images"]] == PNGS
    assert len(archive.namelist()) == 1 + len(PNGS)


def test_the_same_images_are_the_same_zip() -> None:
    assert respond("application/zip").content == respond("application/zip").content
    dates = {each.date_time for each in zipfile.ZipFile(io.BytesIO(respond("application/zip").content)).infolist()}
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_a_zip_is_written_piece_by_piece_and_a_reader_needs_no_seeking() -> None:
    files = [(f"{number}.bin", bytes([number]) * 20_000) for number in range(40)]
    pieces = list(zip_pieces(iter(files)))
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= PIECE_BYTES + 65_536
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert [(name, archive.read(name)) for name in archive.namelist()] == files
    data_descriptors = [each.flag_bits & 0x08 for each in archive.infolist()]
    assert not any(data_descriptors)


def test_json_has_addresses_urls_and_data() -> None:
    body = respond("application/json").json()
    assert body["model"] == "steel@2"
    assert [(each["seed"], each["defect_type"]) for each in body["images"]] == [
        (each.seed, each.defect_type) for each in ADDRESSES
    ]
    assert body["images"][0]["url"] == "/models/steel/versions/2/images/5.png?defect_type=d%C3%BCnn"
    assert [base64.b64decode(each["data"]) for each in body["images"]] == PNGS


def test_json_without_data_has_addresses_alone() -> None:
    body = respond("application/json", with_data=False).json()
    assert len(body["images"]) == len(ADDRESSES)
    assert all(each.keys() == {"seed", "defect_type", "url"} for each in body["images"])


def test_an_array_has_the_pixels_of_all_images_and_their_seeds() -> None:
    response = respond("application/x-npy", count=35)
    array = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert (array.shape, array.dtype) == ((35, 32, 32), np.uint8)
    assert all(np.array_equal(picture, pixels(data)) for picture, data in zip(array, PNGS, strict=False))
    odd, even = (",".join(map(str, range(first, 40, 2))) for first in (5, 6))
    assert response.headers["x-seeds"] == f"d%C3%BCnn:{odd};crazing:{even}"


def seeds_of(addresses: list[Address]) -> Response:
    """The answer as an npy file to a call for these addresses; all of them show the same picture."""
    app = FastAPI()
    images = Images(VERSION, addresses, [PNGS[0]] * len(addresses), "hit")
    app.get("/")(lambda: answer("application/x-npy", images, image_headers(images)))
    return TestClient(app).get("/")


FIRST = 2**52 + 123  # the service's own seeds have 16 digits


@pytest.mark.parametrize(
    ("seeds", "header"),
    [
        ({"crazing": range(5, 48), "scratches": range(9, 52)}, "crazing:5-47;scratches:9-51"),
        ({"crazing": range(FIRST, FIRST + 256)}, f"crazing:{FIRST}-{FIRST + 255}"),
        ({"crazing": [7]}, "crazing:7"),
        ({"crazing": [3, 4, 9, 8, 7, 100, 101]}, "crazing:3-4,9,8,7,100-101"),
        ({"a:b;c,d": [1], "缺": [2, 3]}, "a%3Ab%3Bc%2Cd:1;%E7%BC%BA:2-3"),
    ],
)
def test_x_seeds_has_ranges_for_each_type(seeds: dict[str, range], header: str) -> None:
    response = seeds_of([Address(defect_type, seed) for defect_type, each in seeds.items() for seed in each])
    assert response.headers["x-seeds"] == header
    assert "x-seeds-omitted" not in response.headers


@pytest.mark.parametrize(
    "addresses",
    [
        [Address("crazing", FIRST + 2 * number) for number in range(256)],
        [Address("缺" * 64, FIRST + 2 * number) for number in range(200)],
        [Address(f"type-{number:03d}" + "x" * 50, FIRST) for number in range(100)],
    ],
)
def test_headers_stay_under_4_kb_however_many_seeds_there_are(addresses: list[Address]) -> None:
    response = seeds_of(addresses)
    assert response.headers["x-seeds-omitted"] == str(len(addresses))
    assert "x-seeds" not in response.headers
    assert sum(len(name) + len(value) + 4 for name, value in response.headers.items()) < 4000


def test_an_npz_has_the_array_with_its_seeds_and_types() -> None:
    response = respond("application/x-npz", count=35)
    with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["images", "seeds", "types"]
        assert (arrays["images"].shape, arrays["images"].dtype) == ((35, 32, 32), np.uint8)
        assert all(np.array_equal(picture, pixels(data)) for picture, data in zip(arrays["images"], PNGS, strict=False))
        assert list(zip(arrays["types"], arrays["seeds"], strict=True)) == [
            (each.defect_type, each.seed) for each in ADDRESSES[:35]
        ]


AWKWARD = [
    "C:",
    "Pits",
    "pits",
    "PITS",
    "manifest.json",
    "Manifest.JSON",
    "CON",
    "nul.txt",
    "a.",
    "a?b",
    "..",
    "ä",
    "a\u0308",
]


def test_defect_types_that_windows_refuses_or_mixes_up_have_folders_of_their_own_in_a_zip() -> None:
    version = VERSION.model_copy(update={"classes": AWKWARD})
    addresses = [Address(defect_type, 7) for defect_type in AWKWARD]
    images = Images(version, addresses, [png(number) for number in range(len(AWKWARD))], "hit")
    app = FastAPI()
    app.get("/")(lambda: answer("application/zip", images, image_headers(images)))
    archive = zipfile.ZipFile(io.BytesIO(TestClient(app).get("/").content))
    manifest = json.loads(archive.read("manifest.json"))
    assert [each["defect_type"] for each in manifest["images"]] == AWKWARD
    assert [archive.read(each["file"]) for each in manifest["images"]] == images.pngs
    folders = [each["file"].split("/")[0] for each in manifest["images"]]
    assert folders[:6] == ["C_", "Pits", "pits-2", "PITS-3", "manifest.json-2", "Manifest.JSON-3"]
    for folder in folders:
        assert not set(folder) & set('<>:"/\\|?*')
        assert folder.strip(" .") == folder
        assert folder.split(".")[0].upper() not in ("CON", "NUL")
    assert len({unicodedata.normalize("NFC", folder).casefold() for folder in folders}) == len(AWKWARD)


def test_a_type_has_the_same_folder_whichever_images_a_zip_holds() -> None:
    version = VERSION.model_copy(update={"classes": ["Pits", "pits"]})
    images = Images(version, [Address("pits", 7)], PNGS[:1], "hit")
    app = FastAPI()
    app.get("/")(lambda: answer("application/zip", images, image_headers(images)))
    assert "pits-2/7.png" in zipfile.ZipFile(io.BytesIO(TestClient(app).get("/").content)).namelist()


@pytest.mark.parametrize(
    "accept",
    [
        "image/png" + ";a=b" * 250_000,
        "image/png" + ',"' * 500_000,
        ", ".join(f"a{i}/b;q=0.{i}" for i in range(70_000)),
        "a/b;" + " " * 1_000_000,
        "," * 1_000_000,
        '"' * 1_000_000,
    ],
)
def test_a_media_range_beyond_the_bound_is_not_read(accept: str) -> None:
    """Parsing takes time that grows faster than the length."""
    with pytest.raises(Problem) as refused:
        choose(accept, None, 1)
    assert refused.value.status == 406


def test_of_a_long_accept_header_the_beginning_counts() -> None:
    filler = ", ".join(f"text/x{i}" for i in range(1000))
    assert choose(f"image/webp, {filler}", None, 1) == "image/webp"
