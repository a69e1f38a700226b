"""Documents about the API: the page that lists the calls, the documentation as Markdown, and its index."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

PAGES = sorted(each.name for each in (Path(__file__).parents[2] / "docs").glob("*.md"))
PUBLIC = ("/docs", "/docs/page.js", "/docs/swagger-ui-bundle.js", "/openapi.json", "/llms.txt", "/docs/training.md")


@pytest.mark.parametrize("path", PUBLIC)
def test_documents_are_public_unless_the_setting_says_otherwise(make_api: Callable[..., TestClient], path: str) -> None:
    assert make_api(api_keys="K").get(path).status_code == 200
    closed = make_api(api_keys="K:generate", public_documents=False)
    assert closed.get(path).status_code == 401
    assert closed.get(path, headers={"Authorization": "Bearer K"}).status_code == 200


def test_the_page_loads_only_what_the_service_has_and_runs_nothing_inline(api: TestClient) -> None:
    page = api.get("/docs")
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(addresses) > 4
    for address in addresses:
        if not address.startswith("data:"):
            answer = api.get(f"/{address}")
            assert answer.status_code == 200, address
            assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=|https?://", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_large_files_are_sent_as_they_are_stored_to_who_reads_that(api: TestClient) -> None:
    path = "/docs/swagger-ui.css"
    packed, plain = (api.get(path, headers={"Accept-Encoding": each}) for each in ("br, gzip", "identity"))
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert packed.content == plain.content
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    current = api.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
    assert current.status_code == 304


@pytest.mark.parametrize("name", PAGES)
def test_every_page_of_the_documentation_is_there_as_markdown(api: TestClient, name: str) -> None:
    answer = api.get(f"/docs/{name}")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# ")
    assert f"(docs/{name})" in api.get("/llms.txt").text


def test_the_index_has_the_form_of_llms_txt(api: TestClient) -> None:
    answer = api.get("/llms.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    title, _, summary, *_ = answer.text.splitlines()
    assert (title, summary[:2]) == ("# Flawsmith", "> ")
    for address in re.findall(r"\]\(([^)]+)\)", answer.text):
        assert api.get(f"/{address}").status_code == 200, address


@pytest.mark.parametrize("name", ["nothing.md", "page.html", "%2e%2e%2fauth.py", "write_signal_table.py"])
def test_anything_else_is_404_with_the_names_that_there_are(api: TestClient, name: str) -> None:
    answer = api.get(f"/docs/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_document_that_a_caller_has_is_not_sent_again(api: TestClient) -> None:
    etag = api.get("/openapi.json").headers["etag"]
    assert api.get("/openapi.json", headers={"If-None-Match": etag}).status_code == 304
