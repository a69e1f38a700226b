"""A preset of two short files outside the tree, loaded by a setting: refused, trained and sampled over HTTP."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

TESTS = Path(__file__).parents[1]
TOY = {"preset": "toy", "resolution": 32, "overrides": {"latent_size": 8}, "steps": 20}


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the preset `toy` and the dataset `set` of two types."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])))
        service = start_service(tmp_path_factory.mktemp("toy"), preset_packages="toy_preset")
    service.upload(
        "set", zipped({f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in "ab" for i in range(5)})
    )
    yield service
    stop_service(service)


def submit(service: Service, **body: Any) -> Any:
    return service.client.post("/training-jobs", json={"dataset": "set", "model": "toy", **TOY, **body})


def test_it_is_two_files_of_under_80_lines_together() -> None:
    files = [each for each in (TESTS / "toy_preset").iterdir() if each.is_file()]
    assert sorted(each.name for each in files) == ["builder.py", "preset.py"]
    assert sum(len(each.read_text().splitlines()) for each in files) < 80


def test_the_schema_and_openapi_list_it(with_toy: Service) -> None:
    schema = with_toy.client.get("/training-jobs/schema").json()
    assert schema["properties"]["preset"]["enum"] == ["dcgan", "fewshot", "paste", "toy"]
    assert schema["$defs"]["toy"]["properties"]["latent_size"]["maximum"] == 64
    request = with_toy.client.get("/openapi.json").json()["components"]["schemas"]["TrainingRequest"]
    assert request["properties"]["preset"]["enum"] == ["dcgan", "fewshot", "paste", "toy"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"overrides": {"latent_sise": 8}}, "/overrides/latent_sise", "the known keys are latent_size, batch_size"),
        ({"overrides": {"latent_size": 65}}, "/overrides/latent_size", "less than or equal to 64"),
        ({"resolution": 64}, "/resolution", "preset 'toy' has layers for 32"),
    ],
)
def test_its_overrides_and_resolutions_are_checked(
    with_toy: Service, body: dict[str, Any], pointer: str, words: str
) -> None:
    answer = submit(with_toy, **body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_it_trains_and_samples(with_toy: Service) -> None:
    answer = submit(with_toy)
    assert answer.status_code == 202, answer.text
    job = with_toy.ended(answer.json()["id"])
    assert job["state"] == "succeeded", job
    assert (job["preset"], job["config"]["latent_size"], job["config"]["batch_size"]) == ("toy", 8, 4)
    body = {"model": "toy@1", "defect_type": "a", "seed": 7}
    first, again = (with_toy.client.post("/generate", json=body, headers={"Accept": "image/png"}) for _ in range(2))
    assert first.status_code == 200, first.text
    assert first.content == again.content
    assert Image.open(io.BytesIO(first.content)).size == (32, 32)


def test_a_cancelled_job_of_it_resumes_from_its_checkpoint(with_toy: Service) -> None:
    job = submit(with_toy, steps=100_000).json()["id"]

    def saved() -> Any:
        return with_toy.client.get(f"/training-jobs/{job}").json()["checkpoint_step"]

    until(saved, 20, "a checkpoint")
    with_toy.client.post(f"/training-jobs/{job}/cancel")
    before = saved()
    os.kill(until(lambda: with_toy.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    assert with_toy.client.post(f"/training-jobs/{job}/resume").status_code == 202
    until(lambda: saved() > before, 40, "a later checkpoint")
    with_toy.client.post(f"/training-jobs/{job}/cancel")
