"""The files in deploy/: rules, alerts and dashboards, with promtool and without a service."""

import json
import re
import subprocess
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus_server import DASHBOARDS, DEPLOY, RULES, names_in, need_prometheus, rules

TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DOCUMENT = DEPLOY.parent / "docs" / "metrics.md"
ALERTS = [rule["alert"] for rule in rules() if "alert" in rule]


def promtool(*words: str | Path) -> None:
    need_prometheus()
    done = subprocess.run(["promtool", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def dashboards() -> list[Any]:
    return [pytest.param(json.loads(file.read_text()), id=file.name) for file in sorted(DASHBOARDS.glob("*.json"))]


def test_promtool_finds_no_fault_in_configuration_and_rules() -> None:
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    promtool("check", "rules", *sorted(RULES.glob("*.yml")))


@pytest.mark.parametrize("place", ["kubernetes", "compose"])
def test_prometheus_in_containers_has_the_jobs_and_rules_of_the_other_one(place: str) -> None:
    file = DEPLOY / "prometheus" / f"{place}.yml"
    promtool("check", "config", "--syntax-only", file)  # the file with its key is in the container
    inside, outside = (yaml.safe_load(each.read_text()) for each in (file, DEPLOY / "prometheus" / "prometheus.yml"))
    jobs = [[each["job_name"] for each in config["scrape_configs"]] for config in (inside, outside)]
    assert jobs[0] == jobs[1]
    assert inside["rule_files"] == outside["rule_files"]


def test_alerts_fire_when_they_should_and_no_other_time() -> None:
    promtool("test", "rules", *TESTS)


def test_every_alert_fires_in_a_test_and_its_metrics_are_there_in_the_healthy_one() -> None:
    tests = [test for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    fires = [sample for test in tests for each in test["promql_expr_test"] for sample in each["exp_samples"]]
    expected = {name for sample in fires for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
    assert expected == set(ALERTS)
    [healthy] = [test for test in tests if test["name"] == "a healthy site"]
    given = {name for series in healthy["input_series"] for name in names_in(series["series"])}
    named = {name for rule in rules() for name in names_in(rule["expr"])}
    assert {name for name in named if ":" not in name} <= given
    assert all(not each["exp_samples"] for each in healthy["promql_expr_test"] if each["expr"].startswith("ALERTS"))


def test_the_document_says_what_to_do_about_each_alert() -> None:
    headings = re.findall(r"^### (Flawsmith\w+)$", DOCUMENT.read_text(), re.M)
    assert headings == ALERTS
    for rule in rules():
        if "alert" in rule:
            assert rule["annotations"]["runbook"] == f"docs/metrics.md#{rule['alert'].lower()}"
            assert rule["labels"]["severity"] in ("page", "ticket")


def test_recording_rules_are_named_by_level_metric_and_operation() -> None:
    for name in (rule["record"] for rule in rules() if "record" in rule):
        assert re.fullmatch(r"(site|route|queue|version):flawsmith_\w+:\w+", name), name


@pytest.mark.parametrize("dashboard", dashboards())
def test_panels_have_a_place_of_their_own_and_say_what_they_show(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = [
            one[a] + one[size] <= other[a] or other[a] + other[size] <= one[a] for a, size in (("x", "w"), ("y", "h"))
        ]
        assert any(apart), (one, other)
    rows = [panel["gridPos"]["y"] for panel in panels]
    assert all(one <= other for one, other in pairwise(rows))


def test_dashboards_have_names_of_their_own() -> None:
    found = [each.values[0] for each in dashboards()]
    assert len({each["uid"] for each in found}) == len({each["title"] for each in found}) == len(found) == 2
