"""The page of the API's calls at /docs, in chromium: under a prefix, with keys, and without any other host."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page
from tests.conftest import Service, start_service, stop_service
from tests.labelled_versions import publish_lively

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys under a prefix, with one model."""
    running = start_service(tmp_path_factory.mktemp("docs"), api_keys="secret:generate", root_path="/flaws")
    publish_lively(Registry(ArtifactStore(running.data_dir / "artifacts")), "steel")
    yield running
    stop_service(running)


def test_a_call_is_refused_without_the_key_and_shows_its_image_with_it(
    open_page: Callable[..., Page], guarded: Service
) -> None:
    base = str(guarded.client.base_url).rstrip("/")
    page = open_page(f"{base}/flaws/docs")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    call = page.locator("#operations-generate-generate")
    call.locator(".opblock-summary-control").click()
    call.locator("textarea").first.fill('{"model": "steel@1", "seed": 5, "format": "png"}')
    with page.expect_response("**/flaws/generate*") as refused:
        call.get_by_role("button", name="Execute").click()
    assert refused.value.status == 401
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".dialog-ux")
    dialog.locator("input").fill("secret")
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.get_by_role("button", name="Close").first.click()
    with page.expect_response("**/flaws/generate*") as made:
        call.get_by_role("button", name="Execute").click()
    assert made.value.status == 200
    call.locator(".live-responses-table img").wait_for()
    assert asked
    assert [url for url in asked if not url.startswith((f"{base}/flaws/", "blob:", "data:"))] == []
