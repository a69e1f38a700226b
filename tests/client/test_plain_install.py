"""`pip install flawsmith` without extras: the client and its commands, and none of the service's packages."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from tests.client.plain_install import linked, plain_requirements

ROOT = Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return folder / build_wheel(str(folder))
    finally:
        os.chdir(before)


def test_the_service_s_packages_are_not_needed(wheel: Path) -> None:
    needed = plain_requirements(wheel)
    assert {"httpx2", "typer"} <= needed
    assert not needed & {"torch", "fastapi", "celery", "redis", "kombu", "numpy", "pillow", "scipy", "uvicorn"}


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python with the wheel and what it needs, and no other package."""
    folder = tmp_path_factory.mktemp("plain")
    site = folder / "site"
    linked(plain_requirements(wheel), site)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(folder)}
        command = [sys.executable, "-S", *arguments]  # -S: without the packages that are installed here
        return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)

    return run


def test_the_client_imports_without_them(plain: Run) -> None:
    program = "import sys; from flawsmith import Client, AsyncClient; Client(); print(sorted(sys.modules))"
    done = plain("-c", program)
    assert done.returncode == 0, done.stderr
    for name in ("torch", "fastapi", "celery", "redis", "numpy", "PIL"):
        assert f"'{name}'" not in done.stdout


@pytest.mark.parametrize("command", ["upload", "train", "jobs", "generate", "models", "promote", "report", "export"])
def test_each_command_of_the_client_explains_itself(plain: Run, command: str) -> None:
    done = plain("-m", "flawsmith.cli.main", command, "--help")
    assert done.returncode == 0, done.stderr
    for option in ("--url", "--key", "--json"):
        assert option in done.stdout


def test_a_command_of_the_client_runs(plain: Run) -> None:
    done = plain("-m", "flawsmith.cli.main", "jobs", "--url", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert done.stderr.startswith("no answer from the service")


@pytest.mark.parametrize(
    "command", [["serve"], ["api"], ["demo"], ["demo-set", "set.zip"], ["worker", "train"], ["redis"]]
)
def test_a_command_of_the_service_names_the_extra_that_it_needs(plain: Run, command: list[str]) -> None:
    done = plain("-m", "flawsmith.cli.main", *command)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "pip install 'flawsmith[" in line


@pytest.mark.parametrize(("name", "package"), [("images[0].pil()", "Pillow"), ("images.numpy()", "NumPy")])
def test_pictures_without_their_package_name_it(plain: Run, name: str, package: str) -> None:
    program = (
        f"from flawsmith.client import Image, Images\nimages = Images('a@1', [Image(b'', 'a@1', 't', 0, '')])\n{name}"
    )
    done = plain("-c", program)
    assert f"this needs {package}: pip install 'flawsmith[images]'" in done.stderr


def test_the_torch_data_set_names_what_it_needs(plain: Run) -> None:
    done = plain("-c", "from flawsmith import MixedDataset")
    assert "pip install 'flawsmith[images]' torch" in done.stderr
