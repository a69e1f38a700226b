"""Notes and tags on the page: edited by a person, shown in lists, and what the lists are narrowed by."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect
from tests.conftest import Service, photograph, zipped
from tests.page.conftest import check_accessible, url_of


def test_a_person_notes_tags_and_finds_a_job_and_its_version(
    page_service: Service, open_page: Callable[..., Page]
) -> None:
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    page_service.upload("remarks", zipped(files))
    job = page_service.train("remarks", "remarks", tags=["from-the-start"])
    other = page_service.train("remarks", "remarks-2")
    page = open_page(url_of(page_service, f"jobs/{job['id']}"), width=390)
    page.get_by_role("button", name="Edit note and tags").click()
    expect(page.get_by_role("textbox", name="Note")).to_be_focused()
    page.get_by_role("textbox", name="Note").fill("New lamp <b>\nsecond line")
    page.get_by_role("textbox", name="Tags").fill("from-the-start, line-3, " + "x" * 65)
    check_accessible(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Tags")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="Tags").fill("line-3")
    page_service.client.patch(f"/training-jobs/{job['id']}", json={"add_tags": ["by-another"]})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Edit note and tags")).to_be_focused()
    expect(page.get_by_text("New lamp <b>")).to_be_visible()
    expect(page.get_by_role("link", name="by-another")).to_be_visible()  # what somebody else added meanwhile stays
    assert page_service.client.get(f"/training-jobs/{job['id']}").json()["tags"] == ["by-another", "line-3"]
    check_accessible(page)

    with page.expect_download() as table:
        page.get_by_role("button", name="Download as CSV").click()
    assert table.value.path().read_bytes().startswith(b"step,")

    page.get_by_role("link", name="line-3").click()
    expect(page.get_by_role("heading", level=1, name="Training")).to_be_visible()
    rows = page.get_by_role("table").get_by_role("checkbox")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("searchbox", name="Tag")).to_have_value("line-3")
    page.get_by_role("searchbox", name="Tag").fill("")
    page.get_by_role("searchbox", name="Search").fill("REMARKS-2")
    expect(page.get_by_role("rowheader", name=re.compile(other["id"]))).to_be_visible()
    expect(rows).to_have_count(1)
    check_accessible(page)

    page.goto(url_of(page_service, "models?tag=from-the-start"))
    expect(page.get_by_role("link", name="remarks", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="remarks-2", exact=True)).to_have_count(0)
    check_accessible(page)
    page.goto(url_of(page_service, "models/remarks/1"))
    page.get_by_role("button", name="Edit note and tags").click()
    page.get_by_role("textbox", name="Tags").fill("shown-at-the-fair")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="shown-at-the-fair")).to_be_visible()
    assert page_service.client.get("/models/remarks").json()["tags"] == ["shown-at-the-fair"]
    check_accessible(page)
