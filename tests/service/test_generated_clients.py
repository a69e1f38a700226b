"""Clients that well-known generators make of the OpenAPI document, against a running service; and a linter's view."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.conftest import Service, photograph, zipped

TOOLS = Path(__file__).parents[1] / "clients"
MOST_MODELS = 60
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def document(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's document as a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(service.client.get("/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def python_client(document: Path) -> Iterator[ModuleType]:
    """The client package of openapi-python-client, without any configuration."""
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", document]
    target = document.parent / "generated_client"
    done = subprocess.run(
        [*command, "--output-path", target, "--meta", "none", "--fail-on-warning"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},  # it formats with ruff
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(document.parent))
    yield importlib.import_module("generated_client")
    sys.path.remove(str(document.parent))


def module(name: str) -> Any:
    return importlib.import_module(f"generated_client.{name}")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm packages of tests/clients."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js with npm")
    folder = tmp_path_factory.mktemp("tools")
    for each in TOOLS.iterdir():
        if each.is_file():
            shutil.copy(each, folder)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    return folder


def run(command: list[Any], folder: Path) -> str:
    """Runs a command of Node.js; returns what it prints."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env={**os.environ, **quiet})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def test_the_python_client_is_small(python_client: ModuleType) -> None:
    assert python_client.__file__
    models = sorted(Path(python_client.__file__).parent.joinpath("models").glob("*.py"))
    assert len(models) < MOST_MODELS, [each.stem for each in models]


def test_the_python_client_makes_images(python_client: ModuleType, service: Service, trained: dict[str, Any]) -> None:
    client = python_client.Client(base_url=str(service.client.base_url))
    generate, models = module("api.generate.generate"), module("models")
    image = generate.sync_detailed(client=client, body=models.GenerateRequest(model="two-types@1", seed=7))
    assert image.parsed.payload.read().startswith(PNG)
    assert image.headers["x-seed"] == "7"
    same = module("api.models.get_image").sync("two-types", "1", 7, client=client)
    assert same.payload.read() == image.content
    answer = generate.sync_detailed(
        client=client, body=models.GenerateRequest(model="two-types@1", count=2, format_="json")
    )
    typed = models.GeneratedImages.from_dict(json.loads(answer.content))
    assert typed.model == "two-types@1"
    assert sorted(each.defect_type for each in typed.images) == ["dents", "scratches"]
    assert service.client.get(typed.images[0].url).content.startswith(PNG)


def test_the_python_client_uploads_lists_and_reads_problems(
    python_client: ModuleType, service: Service, trained: dict[str, Any]
) -> None:
    client, models = python_client.Client(base_url=str(service.client.base_url)), module("models")
    archive = module("types").File(
        payload=zipped({f"{number}.png": photograph(number) for number in range(3)}), file_name="photographs.zip"
    )
    body = models.CreateDatasetBody(name="by-generated-client", archive=archive)
    dataset = module("api.datasets.create_dataset").sync(client=client, body=body, idempotency_key="upload-1")
    assert (dataset.image_count, dataset.classes["by-generated-client"]) == (3, 3)
    found = module("api.training_jobs.get_training_job").sync(trained["id"], client=client)
    assert isinstance(found, models.TrainingJob)
    assert found.progress.step == found.progress.total_steps
    page = module("api.training_jobs.list_training_jobs").sync(client=client, state="succeeded")
    assert isinstance(page.items[0], models.TrainingJob)
    refused = module("api.models.get_model").sync("nothing", client=client)
    assert isinstance(refused, models.Problem)
    assert refused.status == 404
    wrong = module("api.training_jobs.create_training_job").sync(
        client=client, body=models.TrainingRequest(dataset="nothing", model="m")
    )
    assert wrong.errors[0].pointer == "/dataset"


def test_the_typescript_client_makes_images(
    tools: Path, document: Path, service: Service, trained: dict[str, Any]
) -> None:
    run(["npx", "openapi-ts", "-i", document, "-o", "generated", "-c", "@hey-api/client-fetch"], tools)
    run(["npx", "tsc", "-p", "."], tools)
    base_url = str(service.client.base_url).rstrip("/")
    done = json.loads(run(["node", "built/client.js", base_url, "two-types@1"], tools))
    assert done["starts"] == ["PNG", "PNG"]
    assert done["png"]["type"] == "image/png"
    assert done["png"]["bytes"] > 100
    assert "nothing" in done["detail"]
    assert "two-types" in done["models"]


def test_a_linter_finds_nothing(tools: Path, document: Path) -> None:
    found = run(["npx", "redocly", "lint", document, "--format", "json", "--max-problems", "1000"], tools)
    summary = json.loads(found[found.index("{") : found.rindex("}") + 1])
    assert summary["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, summary["problems"]
