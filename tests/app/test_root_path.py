"""The service under a path prefix, with proxies that pass it on and proxies that take it off."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

from flawsmith.core.settings import Settings


@pytest.fixture
def prefixed(make_api: Callable[..., TestClient]) -> TestClient:
    client = make_api(root_path="/tools/flawsmith/")
    client.follow_redirects = False
    return client


@pytest.mark.parametrize("prefix", ["/tools/flawsmith", ""], ids=["passed on", "taken off"])
def test_what_the_service_names_has_the_prefix(prefixed: TestClient, prefix: str) -> None:
    files = zipped({f"{number}.png": photograph(number) for number in range(3)})
    made = prefixed.post(f"{prefix}/datasets", data={"name": "set"}, files={"archive": files})
    assert made.headers["location"] == f"/tools/flawsmith/datasets/{made.json()['id']}"
    assert prefixed.get(made.headers["location"]).json() == made.json()
    assert prefixed.get(f"{prefix}/models/none").json()["instance"] == "/tools/flawsmith/models/none"
    moved = prefixed.get(f"{prefix}/datasets/?limit=5", headers={"Host": "localhost"})
    assert (moved.status_code, moved.headers["location"]) == (307, "/tools/flawsmith/datasets?limit=5")
    assert prefixed.get(f"{prefix}/openapi.json").json()["servers"][0]["url"] == "/tools/flawsmith"
    refused = prefixed.patch(f"{prefix}/datasets")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_the_prefix_alone_is_the_page(prefixed: TestClient) -> None:
    moved = prefixed.get("/tools/flawsmith")
    assert (moved.status_code, moved.headers["location"]) == (308, "/tools/flawsmith/")
    assert prefixed.get("/tools/flawsmith/").text == prefixed.get("/").text


@pytest.mark.parametrize("path", ["/tools/flawsmithy/models", "/tools", "/tools/flawsmith//models", "/tools/other"])
def test_what_only_looks_like_the_prefix_is_404(prefixed: TestClient, path: str) -> None:
    assert prefixed.get(path).status_code == 404


def test_keys_protect_what_is_under_the_prefix(make_api: Callable[..., TestClient]) -> None:
    client = make_api(root_path="/f", api_keys="G:generate")
    for prefix in ("", "/f", "/f/f"):
        assert client.get(f"{prefix}/datasets").status_code == 401
        answer = client.get(f"{prefix}/datasets", headers={"Authorization": "Bearer G"})
        assert answer.status_code in (403, 404)
        assert client.delete(f"{prefix}/models/a/versions/1", headers={"Authorization": "Bearer G"}).status_code == 403
    assert client.get("/f/healthz").status_code == client.get("/f/docs").status_code == 200


@pytest.mark.parametrize("wrong", ["flawsmith", "//host", "/a//b", "/a b", "/a?b", "http://host/a", "/a/ü"])
def test_a_setting_that_is_no_path_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="a path such as /flawsmith"):
        Settings(root_path=wrong)


@pytest.mark.parametrize("empty", ["", "/"])
def test_no_prefix_is_no_prefix(empty: str) -> None:
    assert Settings(root_path=empty).root_path == ""
