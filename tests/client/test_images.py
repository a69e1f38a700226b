"""Images as a client hands them out: arrays, masks, files, addresses."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering, problem

from flawsmith import Client, MixedDataset
from flawsmith.client import Image, Images
from flawsmith.client.errors import Invalid
from flawsmith.client.images import folder_names
from flawsmith.core.domain.attributes import angle_attribute, brightness_attribute, range_text, severity_attribute

CARD = {
    "model": "steel",
    "version": 2,
    "classes": ["pits"],
    "resolution": 4,
    "mode": "L",
    "preset": "dcgan",
    "training_job": "job-1",
    "dataset_digest": "d",
    "created_at": "2026-01-01T00:00:00.000Z",
}


def png(value: int, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    PilImage.new(mode, (6, 4), value if mode == "L" else (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def entry(seed: int, **more: Any) -> dict[str, Any]:
    url = f"/models/steel/versions/2/images/{seed}.png?defect_type=pits"
    return {"seed": seed, "defect_type": "pits", "url": url, "data": base64.b64encode(png(seed)).decode(), **more}


def generated(*entries: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps({"model": "steel@2", "images": entries}).encode())


@both
def test_labels_and_whatever_was_asked_for(run: Run) -> None:
    nearest = {"file": "a.png", "distance": 0.5, "percentile": 40}
    mask = base64.b64encode(png(255)).decode()
    reply = generated(entry(5, boxes=[[1, 2, 3, 4]], plausible=True, mask=mask, nearest=nearest))
    with answering(lambda *_: reply) as service:
        [image] = run(
            service.url,
            "generate",
            "steel",
            seed=5,
            attributes={"angle": (30, 60)},
            labels="mask",
            nearest=True,
            max_similarity=0.7,
        )
    [call] = service.calls
    assert json.loads(call.body) == {
        "model": "steel",
        "count": 1,
        "seed": 5,
        "attributes": {"angle": [30, 60]},
        "labels": "mask",
        "max_similarity": 0.7,
        "deadline_seconds": 30.0,
    }
    assert call.path == "/generate?nearest=true"
    assert (image.boxes, image.nearest, image.raw["plausible"]) == ([(1, 2, 3, 4)], nearest, True)
    assert image.mask().size == (6, 4)
    assert (image.mask_numpy() == 255).all()


@both
def test_the_version_stays_the_same_from_request_to_request(run: Run) -> None:
    with answering(
        lambda number, call: generated(*(entry(1) for _ in range(json.loads(call.body)["count"])))
    ) as service:
        assert len(run(service.url, "generate", "steel", 600, seed=1000)) == 600
    asked = [json.loads(call.body) for call in service.calls]
    assert [(each["model"], each["count"], each["seed"]) for each in asked] == [
        ("steel", 256, 1000),
        ("steel@2", 256, 1256),
        ("steel@2", 88, 1512),
    ]


def at_most(most: int) -> Callable[[int, Call], Reply]:
    """A service that makes so many images a call, and says so; of a version with one type."""

    def answer(number: int, call: Call) -> Reply:
        if call.method == "GET":
            return Reply(200, json.dumps(CARD).encode())
        body = json.loads(call.body)
        if body["count"] > most:
            errors = [{"pointer": "/count", "detail": "too many"}]
            return problem(422, "invalid", "too many", errors=errors, most_images=most)
        return generated(*(entry(body["seed"] + each) for each in range(body["count"])))

    return answer


def counts(calls: list[Call]) -> list[int]:
    return [json.loads(call.body)["count"] for call in calls if call.method == "POST"]


@both
def test_a_service_that_makes_fewer_at_once_is_asked_for_fewer(run: Run) -> None:
    told: list[tuple[int, int]] = []
    with answering(at_most(100)) as service:
        images = run(service.url, "generate", "steel", 250, seed=0, on_progress=lambda *at: told.append(at))
    assert [each.seed for each in images] == list(range(250))
    assert counts(service.calls) == [250, 100, 100, 50]
    assert told == [(100, 250), (200, 250), (250, 250)]


def test_a_client_remembers_how_many_the_service_makes_at_once() -> None:
    with answering(at_most(100)) as service, Client(service.url) as client:
        for _ in range(2):
            assert len(client.generate("steel", 120, seed=0)) == 120
    assert counts(service.calls) == [120, 100, 20, 100, 20]


@both
def test_another_refusal_is_an_error(run: Run) -> None:
    refusal = problem(422, "invalid", "no such type", errors=[{"pointer": "/defect_type", "detail": "no such type"}])
    with answering(lambda *_: refusal) as service, pytest.raises(Invalid, match="no such type"):
        run(service.url, "generate", "steel", 300)
    assert len(service.calls) == 1


def test_a_mixed_dataset_is_fetched_in_what_the_service_makes_at_once(tmp_path: Path) -> None:
    (tmp_path / "pits").mkdir()
    (tmp_path / "pits" / "0.png").write_bytes(png(0))
    with answering(at_most(100)) as service:
        data = MixedDataset(tmp_path, "steel@2", ratio=150.0, url=service.url, cache=tmp_path / "cache")
        data.fetch()
        assert [round(data[at][0].max().item() * 255) for at in (1, 150)] == [0, 149]
    assert counts(service.calls) == [150, 100, 50]


@both
@pytest.mark.parametrize("prefix", ["", "https://steel.example/prefix"])
def test_an_address_names_all_of_the_image(run: Run, prefix: str) -> None:
    def answer(number: int, call: Call) -> Reply:
        return Reply(200, png(number), kind="image/png")

    address = f"{prefix}/models/steel/versions/2/images/5.png?defect_type=a%26b&angle=30..60"
    with answering(answer) as service:
        image = run(service.url, "image", address, mask=True)
    paths = [call.path for call in service.calls]
    assert paths == [
        f"/models/steel/versions/2/images/5{end}?defect_type=a%26b&angle=30..60" for end in (".png", "/mask.png")
    ]
    assert (image.png, image.mask_png, image.defect_type, image.model) == (png(0), png(1), "a&b", "steel@2")


@both
@pytest.mark.parametrize(
    ("attributes", "query"),
    [
        ({"angle": (30, 60.0)}, "angle=30..60"),
        ({"angle": (180, 10)}, "angle=0..10"),
        ({"angle": (150, 0)}, "angle=150..180"),
        ({"angle": (180, 180)}, "angle=0..0"),
        ({"angle": (0, 180)}, "angle=0..180"),
        ({"brightness": (100.125, 150.5)}, "brightness=100.12..150.5"),
        ({"brightness": (0, 0)}, "brightness=0..0"),
        ({"severity": (-0.001, 0.254)}, "severity=0..0.25"),
    ],
)
def test_a_range_of_attributes_is_written_as_addresses_have_it(
    run: Run, attributes: dict[str, tuple[float, float]], query: str
) -> None:
    with answering(lambda *_: Reply(200, png(0), kind="image/png")) as service:
        run(service.url, "image", "steel@2", 5, attributes=attributes)
    assert service.calls[-1].path.endswith(f"/images/5.png?{query}")
    [(name, given)] = attributes.items()
    attribute = {"angle": angle_attribute(), "brightness": brightness_attribute({}), "severity": severity_attribute({})}
    if given[0] >= 0:
        assert f"{name}={range_text(attribute[name].canonical(given))}" == query, "as the service has it"


@both
@pytest.mark.parametrize("wrong", ["steel@2", "/models/steel/versions/2", "http://elsewhere/5.png"])
def test_what_is_no_address_is_an_error_before_any_call(run: Run, wrong: str) -> None:
    with pytest.raises(ValueError, match="no address of an image"):
        run("http://127.0.0.1:9", "image", wrong)


@both
def test_no_images_are_an_error_before_any_call(run: Run) -> None:
    with pytest.raises(ValueError, match="at least one"):
        run("http://127.0.0.1:9", "generate", "steel", 0)


def made(*seeds: int, mode: str = "L", defect_type: str = "pits", mask: bytes | None = None) -> Images:
    raw = {"defect_type": defect_type}
    return Images(
        "a@1", [Image(png(each, mode), "a@1", defect_type, each, "", mask_png=mask, raw=raw) for each in seeds]
    )


def test_arrays_have_a_fixed_form() -> None:
    assert made(1, 2, 3).numpy().shape == (3, 4, 6)
    assert made(1, 2, mode="RGB").numpy().shape == (2, 4, 6, 3)
    assert made(7).numpy().dtype == np.uint8
    assert (made(7)[0].numpy() == 7).all()
    assert [each.seed for each in made(1, 2, 3)[1:]] == [2, 3]
    with pytest.raises(ValueError, match="labels='mask'"):
        made(1)[0].mask()


def test_saving_twice_keeps_the_addresses_of_all(tmp_path: Path) -> None:
    made(1, 2, mask=png(255)).save(tmp_path)
    made(2, 3, defect_type="pits").save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert [each["file"] for each in manifest["images"]] == ["pits/1.png", "pits/2.png", "pits/3.png"]
    assert sorted(path.name for path in (tmp_path / "pits").iterdir()) == [
        "1.png",
        "1_mask.png",
        "2.png",
        "2_mask.png",
        "3.png",
    ]


@pytest.mark.parametrize("name", ["../up", "..", "a/b", "C:", "", "a\\b", "\x00"])
def test_no_type_leaves_the_folder(name: str, tmp_path: Path) -> None:
    [path] = made(1, defect_type=name).save(tmp_path / "out")
    assert path.parent.parent == tmp_path / "out"
    assert path.resolve().is_relative_to(tmp_path / "out")


def test_two_types_never_share_a_folder() -> None:
    names = folder_names({"a/b", "a_b", "A_B", "キズ"})
    assert len({each.lower() for each in names.values()}) == 4
    assert names["キズ"] == "キズ"
