"""The page, and that of the API's calls at /docs, in chromium: under a prefix, with keys, and no other host."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import Service, start_service, stop_service
from tests.labelled_versions import publish_lively
from tests.page.conftest import photographs, published, sign_in, train, upload
from tests.service.nginx import Proxied, nginx_before

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys under a prefix, with one model."""
    running = start_service(
        tmp_path_factory.mktemp("prefix"),
        api_keys="secret:generate,ADMIN:admin",
        root_path="/flaws",
        trusted_proxies="127.0.0.1",
    )
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


@pytest.fixture(scope="module")
def proxies(guarded: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Proxied]]:
    """An nginx that passes the prefix on, and one that strips it."""
    own = str(guarded.client.base_url).rstrip("/")
    with nginx_before(tmp_path_factory.mktemp("nginx"), own, f"{own}/") as running:
        yield running


def test_photographs_become_a_generator_behind_a_proxy(
    open_page: Callable[..., Page], proxies: list[Proxied], guarded: Service
) -> None:
    base = f"{proxies[0].origin}/flaws/"
    page = open_page(base)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    sign_in(page, "ADMIN")
    page.goto(f"{base}#/datasets")
    upload(page, "proxied", photographs())
    sheet = page.get_by_role("img", name=re.compile("Contact sheet"))
    expect(sheet).to_have_js_property("complete", True)
    assert sheet.evaluate("image => image.naturalWidth") > 0
    page.get_by_role("link", name="Train on it").click()
    expect(page.get_by_text("The whole configuration")).to_be_visible()
    with page.expect_response(re.compile("/events$"), timeout=90_000) as events:
        train(page, steps=20)
    assert events.value.headers["content-type"].startswith("text/event-stream")
    published(page)
    page.get_by_role("link", name="Generate images").click()
    page.get_by_label("How many").fill("2")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("2 images of proxied@1.")).to_be_visible()
    page.locator(".thumbnail").first.click()
    assert (
        f"{base}models/proxied/versions/1/images/"
        in page.get_by_role("textbox", name="The same image again").input_value()
    )
    page.keyboard.press("Escape")
    page.goto(f"{base}#/models/proxied/1")
    with page.expect_download() as weights:
        page.get_by_role("button", name="Download the generator").click()
    place = "/flaws/models/proxied/versions/1/weights.safetensors"
    served = guarded.client.get(place, headers={"Authorization": "Bearer ADMIN"}).content
    assert Path(weights.value.path()).read_bytes() == served
    assert [url for url in asked if not url.startswith((base, "blob:", "data:"))] == []


def test_a_proxy_that_strips_the_prefix_has_the_page_too(
    open_page: Callable[..., Page], proxies: list[Proxied]
) -> None:
    page = open_page(f"{proxies[1].origin}/flaws/#/gallery?model=steel@1")
    sign_in(page, "ADMIN")
    page.get_by_label("How many").fill("1")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("1 image of steel@1.")).to_be_visible()
    page.locator(".thumbnail").first.click()
    expect(page.get_by_role("dialog").get_by_role("img").first).to_have_js_property("complete", True)
