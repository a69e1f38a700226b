"""The examples of the OpenAPI document run as they stand, on a dataset and a model named `steel`."""

from typing import Any

import pytest
from tests.conftest import Service, zipped
from tests.worker.compositions.material import clean_files, defect_files

VALUES = {"name": "steel", "version": "1", "alias": "production"}
HAS_NO_SCORES = "/models/{name}/versions/{version}/quality-floor"  # the version of so short a training


@pytest.fixture(scope="module")
def steel(service: Service) -> Service:
    """A service with annotated and clean photographs `steel`, and `steel@1` in production."""
    answer = service.upload("steel", zipped(defect_files(16) | clean_files()))
    assert answer.status_code == 201, answer.text
    service.train("steel", "steel")
    assert service.client.put("/models/steel/aliases/production", json={"version": 1, "override": "a test"}).is_success
    return service


def test_every_example_of_a_body_is_accepted(steel: Service) -> None:
    document = steel.client.get("/openapi.json").json()
    values = VALUES | {"job_id": steel.client.get("/training-jobs").json()["items"][0]["id"]}
    tried = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for example in _examples(document, operation):
                if path == "/webhooks":  # whose receiver must be there
                    continue
                if "{job_id}" in path and not path.startswith("/training-jobs"):  # the same for every kind of job
                    continue
                answer = steel.client.request(method, path.format(**values), json=example)
                problem = answer.text if answer.status_code >= 400 else ""
                if path == HAS_NO_SCORES:
                    assert answer.status_code == 200 or "no-image-scores" in problem, problem
                else:
                    assert answer.is_success, f"{method} {path} {example}: {problem}"
                if answer.status_code == 202:
                    assert steel.client.post(f"{answer.headers['location']}/cancel").is_success
                tried += 1
    assert tried > 8


def _examples(document: dict[str, Any], operation: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not content:
        return []
    name = content["schema"]["$ref"].rpartition("/")[2]
    found: list[Any] = document["components"]["schemas"][name]["examples"]
    return found
