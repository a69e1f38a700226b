"""The page at `/` as a browser gets it: its files, what they may do, and who may load them."""

import io
import re
import zipfile
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from flawsmith.core.demo_set import DEFECT_TYPES

LARGEST = 250_000  # bytes of the page with its libraries
FILE = re.compile(r'(?:href|src)="(page/[^"]+)"|from "\./([^"]+)"')


def loaded_files(api: TestClient) -> dict[str, bytes]:
    """Everything that a browser loads for the page, by its path below the service's address."""
    found: dict[str, bytes] = {}
    [digest] = set(re.findall(r"page/([0-9a-f]+)/", api.get("/").text))
    wanted = [path for path, _ in FILE.findall(api.get("/").text)]
    while wanted:
        path = wanted.pop()
        if path in found:
            continue
        answer = api.get(f"/{path}")
        assert answer.status_code == 200, path
        found[path] = answer.content
        folder = path.rpartition("/")[0]
        if path.endswith(".js"):
            wanted += [f"{folder}/{name}" for _, name in FILE.findall(answer.text) if name]
    assert all(path.startswith(f"page/{digest}/") for path in found)
    return found


def test_every_file_that_the_page_loads_is_there_and_together_they_are_small(api: TestClient) -> None:
    found = loaded_files(api)
    assert {path.rpartition(".")[2] for path in found} == {"js", "css", "svg"}
    assert sum(map(len, found.values())) < LARGEST


def test_the_page_names_no_other_address(api: TestClient) -> None:
    own = {path: content for path, content in loaded_files(api).items() if "/vendor/" not in path}
    for path, content in own.items():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", content.decode()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path  # the name of SVG, which nobody loads
        assert not re.search(r'(?:href|src)=["\']?/', content.decode()), f"{path} would leave the prefix of a proxy"


def test_a_browser_runs_only_scripts_and_styles_of_the_service(api: TestClient) -> None:
    policy = api.get("/").headers["content-security-policy"]
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|style=| on[a-z]+=", api.get("/").text)


def test_browsers_keep_the_files_and_revalidate_the_page(api: TestClient) -> None:
    page = api.get("/")
    assert page.headers["cache-control"] == "no-cache"
    assert api.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    [path, *_] = loaded_files(api)
    kept = api.get(f"/{path}").headers
    assert kept["cache-control"] == "public, max-age=31536000, immutable"
    assert kept["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["main.js/", "../main.py", "%2e%2e/main.py", "index.html", "vendor", "none.js"])
def test_what_is_no_file_of_the_page_is_404(api: TestClient, path: str) -> None:
    digest = re.findall(r"page/([0-9a-f]+)/", api.get("/").text)[0]
    answer = api.get(f"/page/{digest}/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_file_of_another_release_is_not_given_under_its_address(api: TestClient) -> None:
    assert api.get("/page/0123456789abcdef/main.js").status_code == 404


def test_with_keys_the_page_is_public_and_asks_what_the_key_permits(make_api: Callable[..., TestClient]) -> None:
    api = make_api(api_keys="g:generate,t:train,m:metrics,a")
    files = loaded_files(api)
    assert files
    assert "public" in api.get(f"/{next(iter(files))}").headers["cache-control"]
    assert api.get("/caller").status_code == 401
    permitted = {
        key: api.get("/caller", headers={"Authorization": f"Bearer {key}"}).json()["scopes"]
        for key in ("g", "t", "m", "a")
    }
    assert permitted == {
        "g": ["generate"],
        "t": ["generate", "train"],
        "m": ["metrics"],
        "a": ["admin", "generate", "metrics", "train"],
    }


def test_without_keys_everything_is_permitted(api: TestClient) -> None:
    assert api.get("/caller").json() == {"keys": False, "scopes": ["admin", "generate", "metrics", "train"]}


def test_the_demonstration_set_is_an_archive_to_upload(api: TestClient) -> None:
    answer = api.get("/demo-set.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == set(DEFECT_TYPES)
    assert api.get("/demo-set.zip", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
