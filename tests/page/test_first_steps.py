"""A person's first hour on the page, from an empty service to a downloaded generator, in a real browser."""

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import SMALL_JOB, Service, start_service, stop_service, until
from tests.faults.tcp_proxy import Blockage, TcpProxy
from tests.page.conftest import TYPES, check_accessible, photographs, published, sign_in, train, upload, url_of

CUT_SECONDS = 10


@pytest.fixture
def empty_service(tmp_path: Path) -> Iterator[Service]:
    running = start_service(tmp_path)
    yield running
    stop_service(running)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys, which are the names of their scopes in capitals; one test fills it."""
    keys = "GENERATE:generate,TRAIN:train,ADMIN:admin,METRICS:metrics"
    running = start_service(tmp_path_factory.mktemp("keys"), api_keys=keys)
    yield running
    stop_service(running)


def move_slider(page: Page) -> None:
    """The slider stands at the newest grid; moved away, it shows an earlier one, and stays there."""
    slider = page.get_by_role("slider")
    grid = page.get_by_role("img", name=re.compile("Samples of"))
    newest = grid.get_attribute("alt")
    slider.focus()
    page.keyboard.press("Home")
    expect(grid).to_have_attribute("alt", re.compile("at step 1$"))
    assert grid.get_attribute("alt") != newest
    expect(grid).to_have_js_property("complete", True)
    assert grid.evaluate("image => image.naturalWidth") > 0


def report(page: Page, reference: str) -> None:
    """Has the report made, and opens it."""
    page.get_by_role("button", name="Make the report").click()
    page.get_by_role("link", name=f"Open the report of {reference}").click(timeout=540_000)
    expect(page.get_by_role("heading", name="Measures")).to_be_visible()


def promote(page: Page, reference: str) -> None:
    """Where the gate refuses so short a training, its reasons are read, and overridden."""
    page.get_by_role("button", name="Promote to production").click()
    done = page.get_by_text(f"production now means {reference}.")
    reasons = page.get_by_text("This version should not be in production:")
    expect(done.or_(reasons)).to_be_visible()
    if reasons.is_visible():
        page.get_by_label("Why it is right all the same").fill("a trial of the page")
        page.get_by_role("button", name="Promote to production").click()
    expect(done).to_be_visible()


def test_from_an_empty_page_to_a_downloaded_generator(empty_service: Service, open_page: Callable[..., Page]) -> None:
    page = open_page(url_of(empty_service))
    expect(page.get_by_role("heading", level=1)).to_have_text("Start with photographs of defects")
    check_accessible(page)

    upload(page, "steel", photographs())
    expect(page.get_by_role("img", name=re.compile("Contact sheet of steel"))).to_be_visible()
    check_accessible(page)

    page.get_by_role("link", name="Train on it").click()
    expect(page.get_by_text("The whole configuration")).to_be_visible()  # the dry run's answer
    check_accessible(page)
    train(page, steps=60)
    expect(page.get_by_role("slider")).to_be_visible(timeout=90_000)
    check_accessible(page)
    published(page)
    expect(page.get_by_text("60 of 60 steps")).to_be_visible()
    move_slider(page)
    check_accessible(page)

    page.get_by_role("link", name="Generate images").click()
    page.get_by_label("How many").fill("6")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("6 images of steel@1.")).to_be_visible()
    check_accessible(page)
    page.get_by_role("button", name="Select all shown").click()
    with page.expect_download() as archive:
        page.get_by_role("button", name="Download the selection as a zip").click()
    with zipfile.ZipFile(archive.value.path()) as found:
        manifest = json.loads(found.read("manifest.json"))
        assert {each["defect_type"] for each in manifest["images"]} == set(TYPES)
        [first, *_] = manifest["images"]
        kept = found.read(first["file"])
    place = f"/models/steel/versions/1/images/{first['seed']}.png"
    asked = empty_service.client.get(place, params={"defect_type": first["defect_type"]})
    assert asked.content == kept  # the image in the zip is that of its address

    page.goto(url_of(empty_service, "models/steel/1"))
    report(page, "steel@1")
    check_accessible(page)
    promote(page, "steel@1")
    assert empty_service.client.get("/models/steel").json()["aliases"] == {"production": 1}
    with page.expect_download() as weights:
        page.get_by_role("button", name="Download the generator").click()
    served = empty_service.client.get("/models/steel/versions/1/weights.safetensors").content
    assert Path(weights.value.path()).read_bytes() == served


def test_with_a_key_on_a_dark_telephone(guarded: Service, open_page: Callable[..., Page]) -> None:
    page = open_page(url_of(guarded), width=390, scheme="dark", height=844)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    check_accessible(page)
    key.fill("WRONG")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The service does not know this key.")).to_be_visible()
    key.fill("ADMIN")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Start with photographs of defects")
    check_accessible(page)

    upload(page, "steel", photographs())
    sheet = page.get_by_role("img", name=re.compile("Contact sheet"))
    expect(sheet).to_have_js_property("complete", True)
    assert sheet.evaluate("image => image.naturalWidth") > 0  # it was fetched with the key
    check_accessible(page)
    page.get_by_role("link", name="Train on it").click()
    train(page, steps=20)
    published(page)
    move_slider(page)
    check_accessible(page)
    page.get_by_role("link", name="Generate images").click()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("24 images of steel@1.")).to_be_visible()
    page.locator(".thumbnail").first.click()
    page.get_by_role("button", name="Find it").click()
    expect(page.get_by_text("at distance")).to_be_visible()
    check_accessible(page)
    shown = page.get_by_role("textbox", name="The same image again").input_value()
    assert "$FLAWSMITH_API_KEY" in shown
    page.keyboard.press("Escape")
    page.goto(url_of(guarded, "models/steel/1"))
    report(page, "steel@1")
    check_accessible(page)
    promote(page, "steel@1")
    check_accessible(page)
    with page.expect_download() as weights:
        page.get_by_role("button", name="Download the generator").click()
    place = "/models/steel/versions/1/weights.safetensors"
    served = guarded.client.get(place, headers={"Authorization": "Bearer ADMIN"}).content
    assert Path(weights.value.path()).read_bytes() == served  # it came with the key
    for view in ("", "datasets", "jobs", "jobs/new", "models", "models/steel", "gallery", "other/exports", "service"):
        page.goto(url_of(guarded, view))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading …")).to_have_count(0)
        check_accessible(page)
    assert not [url for url in asked if "ADMIN" in url]

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(
    ("key", "offered"),
    [
        ("GENERATE", ["Start", "Models", "Gallery", "Service"]),
        ("TRAIN", ["Start", "Data sets", "Training", "Models", "Gallery", "Exports", "Compositions", "Service"]),
        ("METRICS", ["Start", "Service"]),
    ],
)
def test_a_key_is_offered_what_it_may_do(
    guarded: Service, open_page: Callable[..., Page], key: str, offered: list[str]
) -> None:
    page = open_page(url_of(guarded))
    refused: list[str] = []
    page.get_by_label("API key").wait_for()
    page.on("response", lambda answer: refused.append(answer.url) if answer.status in (401, 403) else None)
    sign_in(page, key)
    navigation = page.get_by_role("navigation", name="Main").get_by_role("link")
    expect(navigation).to_have_text(offered)
    for at in range(len(offered)):
        navigation.nth(at).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading …")).to_have_count(0)
    assert not refused
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)


@pytest.mark.parametrize("blockage", [Blockage.RESETTING, Blockage.SILENT])
def test_the_page_goes_on_after_the_network_was_cut_for_ten_seconds(
    page_service: Service, open_page: Callable[..., Page], blockage: Blockage
) -> None:
    name = f"cut-{blockage.name.lower()}"
    page_service.upload(name, photographs(seed=3))
    with TcpProxy(page_service.client.base_url.port or 0) as network, ExitStack() as stack:
        page = open_page(f"http://127.0.0.1:{network.port}/#/jobs/new?dataset={name}")
        train(page, steps=60_000)  # it is cancelled long before
        job = page.url.rpartition("/")[2]
        stack.callback(page_service.client.post, f"/training-jobs/{job}/cancel")  # also where the test fails
        expect(page.get_by_role("slider")).to_be_visible(timeout=90_000)
        network.block(blockage)
        begun = time.monotonic()
        expect(page.get_by_text("The service cannot be reached.").first).to_be_visible()
        expect(page.get_by_role("slider")).to_be_visible()  # what was there stays
        until(lambda: time.monotonic() > begun + CUT_SECONDS, 2 * CUT_SECONDS, "the cut has lasted")
        before = page.get_by_role("slider").get_attribute("max")
        network.unblock()
        expect(page.get_by_text("The service cannot be reached.")).to_have_count(0)
        expect(page.get_by_role("slider")).not_to_have_attribute("max", before or "", timeout=90_000)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        check_accessible(page)


def test_a_quiet_page_says_that_the_network_swallows_its_stream(
    page_service: Service, open_page: Callable[..., Page]
) -> None:
    page_service.upload("quiet", photographs(seed=4))
    with TcpProxy(page_service.client.base_url.port or 0) as network, ExitStack() as stack:
        for name in ("busy", "waiting"):  # the second one waits in the queue, so that nothing but its stream is open
            body = {"dataset": "quiet", "model": name, **SMALL_JOB, "steps": 60_000}
            job = page_service.client.post("/training-jobs", json=body).json()["id"]
            stack.callback(page_service.client.post, f"/training-jobs/{job}/cancel")
        page = open_page(f"http://127.0.0.1:{network.port}/#/jobs/{job}")
        with page.expect_response(re.compile(r"/events$")):
            page.reload()
        expect(page.get_by_text("queued").first).to_be_visible()
        network.block(Blockage.SILENT)
        expect(page.get_by_text("The service cannot be reached.").first).to_be_visible()
        network.unblock()
        expect(page.get_by_text("The service cannot be reached.")).to_have_count(0)
