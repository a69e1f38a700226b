"""The gate of the alias `production`: versions that are failing or hurt a classifier pass only with an override."""

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.published_versions import FAILING, GOOD, publish

from flawsmith.core.domain.records import Labelling, ModelVersion, Verdict, VerdictState
from flawsmith.core.services import Services
from flawsmith.core.store.version_results import EVALUATIONS, save_result

ALIAS = "/models/scratches/aliases/production"
HURTS = {
    "verdict": "hurts",
    "differences": [
        {"per_type": 10, "ratio": 1.0, "accuracy": {"mean": 0.004, "low": -0.001, "high": 0.009}},
        {"per_type": 10, "ratio": 4.0, "accuracy": {"mean": -0.013, "low": -0.021, "high": -0.005}},
    ],
}
WHY = "a trial on line 3, agreed with quality"


def evaluate(services: Services, version: ModelVersion, result: dict[str, Any], name: str = "evaluation-1") -> None:
    """Leaves the result of an evaluation, as its job does."""
    save_result(services.registry.folder(version), EVALUATIONS, name, result, services.store.write_bytes)


@pytest.fixture
def failing(services: Services) -> ModelVersion:
    return publish(services.registry, "job-1", verdict=FAILING)


@pytest.fixture
def hurtful(services: Services) -> ModelVersion:
    version = publish(services.registry, "job-1", verdict=GOOD)
    evaluate(services, version, HURTS)
    return version


def test_a_failing_version_is_refused_with_the_verdicts_words(api: TestClient, failing: ModelVersion) -> None:
    answer = api.put(ALIAS, json={"version": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "urn:flawsmith:not-for-production"
    assert problem["reasons"] == [f"its verdict is failing: {FAILING.sentence}", *FAILING.reasons]
    for words in ("scratches@1", FAILING.sentence, "Choose another version", "'override'"):
        assert words in problem["detail"]
    assert api.get("/models/scratches").json()["aliases"] == {}


def test_what_the_verdicts_sentence_says_is_not_said_again(api: TestClient, services: Services) -> None:
    again, more = "samples of 'pits' are pure noise", "by ridges, samples of 'pits' are far from photographs"
    verdict = Verdict(
        state=VerdictState.FAILING, sentence="Samples of 'pits' are pure noise: not one line.", reasons=[again, more]
    )
    publish(services.registry, "job-1", verdict=verdict)
    reasons = api.put(ALIAS, json={"version": 1}).json()["reasons"]
    assert reasons == ["its verdict is failing: Samples of 'pits' are pure noise: not one line", more]


def test_a_version_that_hurts_is_refused_and_the_problem_says_where(api: TestClient, hurtful: ModelVersion) -> None:
    problem = api.put(ALIAS, json={"version": 1}).json()
    assert problem["status"] == 409
    [reason] = problem["reasons"]
    assert reason.startswith("evaluation-1 says that its images hurt a classifier")
    assert "10 photographs a type and 4 times as many synthetic ones" in reason
    assert "and 1 times" not in reason


@pytest.mark.parametrize("verdict", ["helps", "no evidence", "not measurable"])
def test_a_version_that_does_not_hurt_passes(api: TestClient, services: Services, verdict: str) -> None:
    evaluate(services, publish(services.registry, "job-1", verdict=GOOD), {"verdict": verdict})
    assert api.put(ALIAS, json={"version": 1}).json()["aliases"] == {"production": 1}


def test_one_evaluation_that_says_hurts_is_enough(api: TestClient, services: Services, hurtful: ModelVersion) -> None:
    evaluate(services, hurtful, {"verdict": "helps"}, "evaluation-2")
    assert api.put(ALIAS, json={"version": 1}).status_code == 409


def test_an_evaluation_speaks_against_its_own_version_only(
    api: TestClient, services: Services, hurtful: ModelVersion
) -> None:
    publish(services.registry, "job-2", verdict=GOOD)
    assert api.put(ALIAS, json={"version": 2}).status_code == 200


def test_an_evaluation_speaks_against_labelled_versions_with_the_same_images(
    api: TestClient, services: Services, hurtful: ModelVersion
) -> None:
    labelling = Labelling(job="labelling-1", source="masks", masks=3, boxes=0)
    publish(services.registry, "job-1", verdict=GOOD, labels="mask", parent=hurtful.ref, labelling=labelling)
    answer = api.put(ALIAS, json={"version": 2})
    assert answer.status_code == 409
    assert answer.json()["reasons"][0].startswith("evaluation-1 says that its images hurt a classifier")


def test_other_aliases_and_versions_of_earlier_releases_have_no_gate(
    api: TestClient, services: Services, failing: ModelVersion
) -> None:
    assert api.put("/models/scratches/aliases/trial", json={"version": 1}).status_code == 200
    publish(services.registry, "job-2")
    assert api.put(ALIAS, json={"version": 2}).status_code == 200


def test_an_override_passes_and_is_kept_with_the_version(api: TestClient, failing: ModelVersion) -> None:
    answer = api.put(ALIAS, json={"version": 1, "override": WHY})
    assert (answer.status_code, answer.json()["aliases"]) == (200, {"production": 1})
    shown = api.get("/models/scratches/versions/1").json()
    [override] = shown["overrides"]
    assert (override["alias"], override["why"]) == ("production", WHY)
    assert override["reasons"] == [f"its verdict is failing: {FAILING.sentence}", *FAILING.reasons]
    assert len(override["by"]) == 8 and override["at"].endswith("Z")
    assert shown["verdict"] == FAILING.model_dump(mode="json")  # it stays what it was


def test_overrides_are_kept_in_the_order_of_time(api: TestClient, failing: ModelVersion) -> None:
    assert api.get("/models/scratches/versions/1").json()["overrides"] == []
    for why in ("first", "second", "third"):
        api.put(ALIAS, json={"version": 1, "override": why})
    kept = api.get("/models/scratches/versions/1").json()["overrides"]
    assert [each["why"] for each in kept] == ["first", "second", "third"]


@pytest.mark.parametrize("override", ["", "  \n", 1, "x" * 1001])
def test_an_override_needs_a_reason(api: TestClient, failing: ModelVersion, override: Any) -> None:
    answer = api.put(ALIAS, json={"version": 1, "override": override})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/override"
    if isinstance(override, str) and override.isspace():
        assert "say in words why" in answer.json()["detail"]
    assert api.get("/models/scratches").json()["aliases"] == {}


def test_the_audit_log_has_every_change_of_what_is_served(
    api: TestClient, services: Services, failing: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.put(ALIAS, json={"version": 1})  # refused
    api.put(ALIAS, json={"version": 1, "override": WHY}, headers={"X-Request-ID": "call-1"})
    api.delete("/models/scratches/versions/1")  # refused: the alias points at it
    api.delete(ALIAS)
    api.delete(ALIAS)  # there is none any more
    api.delete("/models/scratches/versions/1")
    lines = services.audit.path.read_text().splitlines()
    set_, deleted, version_deleted = map(json.loads, lines)
    assert (set_["event"], set_["model"], set_["alias"]) == ("alias_set", "scratches", "production")
    assert (set_["version"], set_["override"], set_["at"][-1]) == ("scratches@1", WHY, "Z")
    assert set_["reasons"][0] == f"its verdict is failing: {FAILING.sentence}"
    assert (deleted["event"], version_deleted["event"]) == ("alias_deleted", "version_deleted")
    logged = [record.getMessage() for record in caplog.records if record.name.endswith("audit_log")]
    assert logged == [f"audit: {line}" for line in lines]


def test_the_audit_log_names_the_key_and_the_version_does_not_give_it_away(make_api: Callable[..., TestClient]) -> None:
    api = make_api(api_keys="sesame:admin,other:admin")
    services: Services = api.app.state.services  # type: ignore[attr-defined]
    publish(services.registry, "job-1", verdict=FAILING)
    for key in ("sesame", "other", "sesame"):
        headers = {"Authorization": f"Bearer {key}"}
        assert api.put(ALIAS, json={"version": 1, "override": WHY}, headers=headers).status_code == 200
    kept = api.get("/models/scratches/versions/1", headers={"Authorization": "Bearer other"}).json()["overrides"]
    first, second, third = (each["by"] for each in kept)
    assert first == third != second
    name = hashlib.sha256(b"sesame").hexdigest()[:16]
    assert first not in name
    assert json.loads(services.audit.path.read_text().splitlines()[0])["caller"] == name


@pytest.mark.parametrize(
    ("demands", "failing_passes", "hurtful_passes"),
    [("verdict,uplift", False, False), ("verdict", False, True), ("uplift", True, False), ("none", True, True)],
)
def test_settings_choose_what_is_demanded(
    make_api: Callable[..., TestClient], demands: str, failing_passes: bool, hurtful_passes: bool
) -> None:
    api = make_api(production_demands=demands)
    services: Services = api.app.state.services  # type: ignore[attr-defined]
    publish(services.registry, "job-1", verdict=FAILING)
    evaluate(services, publish(services.registry, "job-2", verdict=GOOD), HURTS)
    passes = [api.put(ALIAS, json={"version": number}).status_code == 200 for number in (1, 2)]
    assert passes == [failing_passes, hurtful_passes]


def test_an_alias_that_cannot_be_audited_is_not_set(api: TestClient, services: Services, failing: ModelVersion) -> None:
    services.audit.path.mkdir(parents=True)
    assert api.put(ALIAS, json={"version": 1, "override": WHY}).status_code == 503
    assert api.get("/models/scratches").json()["aliases"] == {}
