"""A real Prometheus (Debian's package) that runs the files in deploy/prometheus against a service of a test."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.conftest import free_port, until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules"
DASHBOARDS = DEPLOY / "grafana"
_COUNTER = re.compile(r"flawsmith_\w+_(?:total|count|sum|bucket)")
_NAME = re.compile(r"\b(?:[a-z]+:flawsmith_\w+(?::\w+)?|flawsmith_\w+|process_\w+|up)\b")


def need_prometheus() -> None:
    """Skips the test where Debian's package is missing."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("needs prometheus and promtool: apt-get install prometheus")


@dataclass(frozen=True)
class PrometheusServer:
    """A running Prometheus, and what it was asked to run."""

    client: httpx2.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query: `metric` has their labels, `value` the time and the value."""
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float:
        """The value of a query with one sample; 0 where there is none."""
        return sum(float(sample["value"][1]) for sample in self.query(expression))

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        alerts = self.client.get("/api/v1/alerts").json()["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def names(self) -> set[str]:
        """Names of all metrics that have a series."""
        return set(self.client.get("/api/v1/label/__name__/values").json()["data"])

    def fallen_counters(self, window: str) -> list[str]:
        """Series of Flawsmith's counters that fell in a window such as ``10m``."""
        counters = [name for name in self.names() if _COUNTER.fullmatch(name)]
        assert counters
        found = {name: self.query(f"resets({name}[{window}]) > 0") for name in counters}
        return [f"{name} {sample['metric']}" for name, samples in found.items() for sample in samples]


@contextmanager
def prometheus(
    folder: Path, api: str, *, interval: str = "1s", immediately: bool = False
) -> Iterator[PrometheusServer]:
    """Runs Prometheus with the repository's configuration and rules.

    Args:
        folder: for its data.
        api: host and port of the service.
        interval: between scrapes, and between evaluations of the rules.
        immediately: alerts fire at once, not after their `for`.
    """
    need_prometheus()
    folder.mkdir()
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(_rules(folder, each, immediately)) for each in sorted(RULES.glob("*.yml"))]
    apis, workers = config["scrape_configs"]
    apis["static_configs"][0]["targets"] = [api]
    [discovery] = workers["http_sd_configs"]
    discovery |= {"url": f"http://{api}/metrics/targets", "refresh_interval": interval}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        with httpx2.Client(base_url=f"http://{address}", timeout=30) as client:
            until(lambda: client.get("/-/ready").status_code == 200, 30, f"Prometheus is ready; {folder / 'log'}")
            yield PrometheusServer(client)
    finally:
        process.terminate()
        process.wait(20)


def _rules(folder: Path, file: Path, immediately: bool) -> Path:
    groups = yaml.safe_load(file.read_text())
    for rule in (rule for group in groups["groups"] for rule in group["rules"]):
        if immediately:
            rule.pop("for", None)
    copy = folder / file.name
    copy.write_text(yaml.safe_dump(groups))
    return copy


def rules() -> list[dict[str, Any]]:
    """All recording rules and alerts."""
    files = [yaml.safe_load(file.read_text()) for file in sorted(RULES.glob("*.yml"))]
    return [rule for each in files for group in each["groups"] for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """The metrics that an expression names."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', expression)))


def at_once(expression: str, variables: dict[str, str]) -> str:
    """A dashboard's expression with values in place of Grafana's variables."""
    for name, value in {"__rate_interval": "1m", **variables}.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    return expression


def wait_for_scrapes(server: PrometheusServer, count: int) -> None:
    """Waits until so many scrapes of the API have succeeded from now on."""
    scrapes = 'sum(sum_over_time(up{job="flawsmith-api"}[1h]))'
    before = server.value(scrapes)
    until(lambda: server.value(scrapes) >= before + count, 60, f"{count} scrapes")
