"""Fixtures for tests of the page: Debian's chromium, driven by Playwright, in front of a real service."""

import base64
import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.conftest import Service, start_service, stop_service

from flawsmith.core.demo_set import render_picture

CHROMIUM = shutil.which("chromium")
TYPES = ("pits", "scratches")
expect.set_options(timeout=60_000)

# What a tiny training job is given on the form; it trains for seconds.
TINY = {"Resolution": "32", "Generator depth": "4", "Discriminator depth": "4", "Batch size": "4"}


def photographs(seed: int = 0, each: int = 12, side: int = 40) -> bytes:
    """A zip with a folder of rendered pictures for each of `TYPES`."""
    buffer = io.BytesIO()
    random = np.random.default_rng(seed)
    with zipfile.ZipFile(buffer, "w") as archive:
        for defect_type in TYPES:
            for number in range(each):
                picture = io.BytesIO()
                render_picture(defect_type, random, side).save(picture, "PNG")
                archive.writestr(f"{defect_type}/{number}.png", picture.getvalue())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # chromium refuses to run as root with it
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of the given size and scheme. A script that fails, or a refused script or style, fails the test."""
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # a 404 or 409 is no fault
            wrong.append(message.text)

    with ExitStack() as stack:

        def opened(url: str, width: int = 1280, scheme: Any = "light", height: int = 900) -> Page:
            context = stack.enter_context(
                browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    accept_downloads=True,
                    ignore_https_errors=True,  # the proxy's certificate is its own
                )
            )
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(url)
            page.bring_to_front()
            return page

        yield opened
    assert not wrong


@pytest.fixture(scope="session")
def page_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shared service without keys, for tests that use names of their own and leave it working."""
    running = start_service(tmp_path_factory.mktemp("page"))
    yield running
    stop_service(running)


def url_of(service: Service, view: str = "") -> str:
    return f"{service.client.base_url}/#/{view}".replace("//#", "/#")


def check_accessible(page: Page) -> None:
    """axe-core finds nothing, and nothing makes the page scroll sideways."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{overflow} px too wide at {page.url}"


def published(page: Page) -> None:
    """The job of the view has published a version."""
    expect(page.get_by_role("heading", name=re.compile("It published"))).to_be_visible(timeout=360_000)


def drop(page: Page, name: str, content: bytes) -> None:
    """Drops a file on the page, as a person does with the mouse."""
    script = """([name, data]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name));
        return transfer;
    }"""
    transfer = page.evaluate_handle(script, [name, base64.b64encode(content).decode()])
    page.locator("[data-drop]").dispatch_event("drop", {"dataTransfer": transfer})


def sign_in(page: Page, key: str) -> None:
    """Signs in where keys are set; the page then shows what the key may do."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def upload(page: Page, name: str, content: bytes) -> None:
    """Drops an archive and uploads it; the page then shows the data set."""
    drop(page, f"{name}.zip", content)
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile("#/datasets/"))
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def train(page: Page, steps: int) -> None:
    """Fills in the form of a tiny training job and submits it; the page then shows the job."""
    page.get_by_label("dcgan").check()
    page.get_by_label("Minutes of training").fill("")
    page.get_by_text("More settings").click()
    page.get_by_text("Values of the preset").click()
    page.get_by_label("Steps").fill(str(steps))
    page.get_by_label("Resolution").select_option(TINY["Resolution"])
    for label in ("Generator depth", "Discriminator depth", "Batch size"):
        page.get_by_label(label, exact=True).fill(TINY[label])
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Training ")
