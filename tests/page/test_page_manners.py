"""How the page behaves: keyboard, focus, strangers' names, failures in words, and long lists."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import SMALL_JOB, Service, photograph, zipped
from tests.page.conftest import check_accessible, drop, url_of

from flawsmith.core.store.datasets.outlines import decoded

DETAIL = "the artifact store refuses writes; make room on its disk"


@pytest.fixture(scope="module")
def job(page_service: Service) -> str:
    """The id of a training job that has published `manners@1`."""
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    page_service.upload("manners", zipped(files))
    found = page_service.train("manners", "manners")
    assert found["state"] == "succeeded", found
    return str(found["id"])


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.outerHTML"))


def tab_to(page: Page, name: str, role: str) -> None:
    """Presses the tabulator until the element has the focus, and sees that the focus is visible."""
    wanted = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tabulator does not reach {role} {name!r}; the focus is on {focused(page)[:200]}")


def test_images_are_made_and_looked_at_by_the_keyboard_alone(
    page_service: Service, open_page: Callable[..., Page], job: str
) -> None:
    page = open_page(url_of(page_service))
    tab_to(page, "Gallery", "link")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Gallery")).to_be_focused()
    tab_to(page, "Model", "combobox")
    page.keyboard.press("Control+A")
    page.keyboard.type("manners@1")
    tab_to(page, "How many", "spinbutton")
    page.keyboard.press("Control+A")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 images of manners@1.")).to_be_visible()
    thumbnails = page.get_by_role("button", name=re.compile("^Open "))
    tab_to(page, thumbnails.first.get_attribute("aria-label") or "", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
        assert inside, focused(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(thumbnails.first).to_be_focused()


def test_what_another_version_does_not_know_is_not_asked_of_it(
    page_service: Service, open_page: Callable[..., Page], job: str
) -> None:
    small = {"generator_width": 2, "discriminator_width": 4, "latent_size": 4, "batch_size": 4}
    page_service.upload("turned", zipped({f"pits/{number}.png": photograph(number) for number in range(5)}))
    turned = page_service.train("turned", "turned", preset="fewshot", overrides=small)
    assert turned["state"] == "succeeded", turned
    page = open_page(url_of(page_service, "gallery?model=turned@1"))
    page.get_by_label("Type", exact=True).select_option("pits")
    page.get_by_text("More settings").click()
    page.get_by_label("Angle", exact=True).fill("30 to 60")
    with page.expect_request("**/generate") as asked:
        page.get_by_role("button", name="Generate", exact=True).click()
    body = asked.value.post_data_json
    assert (body["defect_type"], body["attributes"]) == ("pits", {"angle": [30, 60]})
    page.get_by_label("Model").fill("manners@1")
    expect(page.get_by_label("Angle", exact=True)).to_have_count(0)
    with page.expect_request("**/generate") as asked:
        page.get_by_role("button", name="Generate", exact=True).click()
    assert asked.value.post_data_json == {"model": "manners@1", "count": 24}
    expect(page.get_by_text("24 images of manners@1.")).to_be_visible()


def test_a_person_can_skip_the_navigation(page_service: Service, open_page: Callable[..., Page]) -> None:
    page = open_page(url_of(page_service, "service"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Service")  # while the page loads it is another one
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_refreshes_leave_the_focus_where_it_is(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    page = open_page(url_of(page_service, "jobs"))
    box = page.get_by_role("checkbox", name=f"Compare {job}")
    box.focus()
    page.keyboard.press("Space")
    for _ in range(2):
        with page.expect_response(re.compile(r"/training-jobs\?")):
            pass
    added = page_service.train("manners", "newer")["id"]
    expect(page.get_by_role("checkbox", name=f"Compare {added}")).to_be_visible()  # a row came in above it
    expect(box).to_be_focused()
    expect(box).to_be_checked()


def test_two_jobs_are_shown_side_by_side(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    other = page_service.train("manners", "other-seed", seed=5)["id"]
    page = open_page(url_of(page_service, "jobs"))
    for each in (job, other):
        page.get_by_role("checkbox", name=f"Compare {each}").check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.get_by_role("slider")).to_have_count(2)
    expect(page.get_by_role("img", name=re.compile("Curve over the steps"))).to_be_visible()
    expect(page.get_by_text("Seed").first).to_be_visible()  # what is set differently
    check_accessible(page)


def test_the_samples_of_all_steps_are_played(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    steps = page_service.client.get(f"/training-jobs/{job}/samples").json()["steps"]
    page = open_page(url_of(page_service, f"jobs/{job}"))
    expect(page.get_by_text(f"{len(steps)} of {len(steps)}", exact=True)).to_be_visible()
    shown: list[str] = []
    page.on("request", lambda asked: shown.append(asked.url) if asked.url.endswith(".png") else None)
    with page.expect_request(re.compile(rf"samples/{steps[0]}\.png$")):
        page.get_by_role("button", name="Play").click()
    expect(page.get_by_text(f"{len(steps)} of {len(steps)}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert {int(re.findall(r"samples/(\d+)\.png", url)[0]) for url in shown} >= set(steps[:-1])
    for key, step in (("Home", steps[0]), ("ArrowRight", steps[1]), ("End", steps[-1])):
        page.get_by_role("slider").press(key)
        expect(page.get_by_role("img", name=f"Samples of manners at step {step}", exact=True)).to_be_visible()


def test_photographs_are_added_to_a_data_set(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    page = open_page(url_of(page_service, "datasets/manners"), width=390, scheme="dark")
    page.get_by_text("Add photographs to it").click()
    drop(page, "more.zip", zipped({"dents/new.png": photograph(9000), "dents/old.png": photograph(5)}))
    check_accessible(page)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("manners-2")
    expect(page.get_by_text("with 1 more photograph. 1 of the upload was there already.")).to_be_visible()
    expect(page.get_by_role("heading", name="1 file was refused")).to_be_visible()
    check_accessible(page)
    parent = page_service.client.get("/datasets/manners").json()["id"]
    page.get_by_role("link", name=parent).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("manners")
    page.get_by_text("Add photographs to it").click()
    drop(page, "old.zip", zipped({"dents/old.png": photograph(5)}))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("has every photograph of this upload already")


def test_masks_are_painted_and_learned(
    page_service: Service, open_page: Callable[..., Page], job: str, tmp_path: Path
) -> None:
    page = open_page(url_of(page_service, "models/manners/1"), width=390, scheme="dark")
    page.get_by_role("button", name="Paint masks of its images").click()
    masks = page.get_by_role("img", name=re.compile("^Mask of "))
    expect(masks).to_have_count(6)
    check_accessible(page)
    learn = page.get_by_role("button", name=re.compile("Learn from \\d"))
    expect(learn).to_have_text("Learn from 0 masks")
    box = masks.first.bounding_box()
    assert box
    masks.first.hover(position={"x": box["width"] / 4, "y": box["height"] / 2})  # waits until the layout is at rest
    page.mouse.down()
    masks.first.hover(position={"x": box["width"] * 3 / 4, "y": box["height"] / 2})
    page.mouse.up()
    expect(learn).to_have_text("Learn from 1 mask")
    files = page.get_by_label(re.compile("^Mask of .* as a PNG$"))
    (tmp_path / "no picture.png").write_bytes(b"text")
    files.nth(1).set_input_files(tmp_path / "no picture.png")
    expect(page.get_by_role("alert")).to_contain_text("no picture.png is no picture")
    (tmp_path / "mask.png").write_bytes(photograph(1, side=32))
    files.nth(1).set_input_files(tmp_path / "mask.png")
    expect(learn).to_have_text("Learn from 2 masks")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Clear the mask of").nth(1).click()
    expect(learn).to_have_text("Learn from 1 mask")
    learn.click()
    expect(page).to_have_url(re.compile("#/other/labellings/"))
    labelling = page_service.client.get(f"/labellings/{page.url.rpartition('/')[2]}").json()
    page_service.client.post(f"/labellings/{labelling['id']}/cancel")
    [sent] = labelling["config"]["masks"]
    painted = decoded(sent["runs"], (32, 32))
    assert sent["seed"] == 0
    assert painted[16, 8:24].all()  # where the pointer was drawn
    assert not painted[:10].any()
    assert not painted[22:].any()


def test_names_of_strangers_are_text(page_service: Service, open_page: Callable[..., Page]) -> None:
    evil = "<img src=x onerror=alert(1)>"
    files = {f"{evil}/{i}.png": photograph(700 + i) for i in range(3)} | {f"{evil}.txt.png": b"no picture"}
    answer = page_service.upload("strangers", zipped(files))
    assert answer.status_code == 201, answer.text
    [defect_type] = answer.json()["classes"]
    assert "<img" in defect_type
    page = open_page(url_of(page_service, "datasets/strangers"))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    expect(page.get_by_role("rowheader", name=defect_type)).to_have_text(defect_type)
    expect(page.get_by_text(answer.json()["rejected"][0]["reason"])).to_be_visible()
    assert page.locator("img[src='x']").count() == 0
    assert not dialogs
    check_accessible(page)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, f'{{"detail": "{DETAIL}"}}', DETAIL),
        (503, "<html>upstream</html>", "The service is starting or overloaded. Try again shortly."),
        (502, "<html>nginx</html>", "The proxy in front of the service got no answer from it. Try again shortly."),
        (500, "null", "The service answered with status 500 and gave no reason."),
    ],
)
def test_a_failure_reads_as_words_and_goes_by_itself(
    page_service: Service, open_page: Callable[..., Page], job: str, status: int, body: str, words: str
) -> None:
    page = open_page(url_of(page_service, "service"))
    failing = re.compile(r"/models\?")
    page.route(failing, lambda route: route.fulfill(status=status, body=body, content_type="text/html"))
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("alert")).to_have_text(words)
    page.unroute(failing)
    expect(page.get_by_role("link", name="manners", exact=True)).to_be_visible()


def test_a_value_that_the_service_refuses_is_explained_at_its_field(
    page_service: Service, open_page: Callable[..., Page], job: str
) -> None:
    page = open_page(url_of(page_service, "jobs/new?dataset=manners"))
    page.get_by_label("Model").fill("no spaces please")
    page.get_by_role("button", name="Start training").click()
    field = page.get_by_label("Model")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_be_visible()
    check_accessible(page)


def test_long_lists_come_in_pages(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    wanted = 60
    while (have := len(page_service.client.get("/training-jobs", params={"limit": 500}).json()["items"])) < wanted:
        answer = page_service.client.post(
            "/training-jobs", json={"dataset": "manners", "model": f"l{have}", **SMALL_JOB}
        )
        page_service.client.post(f"/training-jobs/{answer.json()['id']}/cancel")
    page = open_page(url_of(page_service, "jobs"))
    rows = page.get_by_role("table").get_by_role("checkbox")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Older").click()
    expect(rows).to_have_count(have - 50)
    page.get_by_role("button", name="Newer").click()
    expect(rows).to_have_count(50)


@pytest.mark.parametrize("width", [360, 1280])
def test_every_view_fits_and_is_accessible(
    page_service: Service, open_page: Callable[..., Page], job: str, width: int
) -> None:
    page = open_page(url_of(page_service), width=width, scheme="dark" if width == 1280 else "light")
    views = ["", "datasets", "datasets/manners", "jobs", "jobs/new", f"jobs/{job}", "models", "models/manners"]
    views += ["models/manners/1", "gallery", "other/exports", "other/compositions", "other/evaluations", "service", "x"]
    for view in views:
        page.goto(url_of(page_service, view))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Loading …")).to_have_count(0)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        check_accessible(page)


def test_exports_are_made_and_downloaded(page_service: Service, open_page: Callable[..., Page], job: str) -> None:
    page = open_page(url_of(page_service, "other/exports?model=manners@1"))
    page.get_by_label("Count", exact=True).fill("4")
    page.get_by_role("button", name="Start", exact=True).click()
    button = page.get_by_role("button", name=re.compile("Download the archive"))
    expect(button).to_be_visible(timeout=60_000)
    with page.expect_download() as archive:
        button.click()
    assert archive.value.suggested_filename.endswith(".zip")


def test_a_version_leaves_and_is_imported(
    page_service: Service, open_page: Callable[..., Page], job: str, tmp_path: Path
) -> None:
    page = open_page(url_of(page_service, "models/manners/1"))
    with page.expect_download() as bundle:
        page.get_by_role("button", name="Download the whole version").click()
    bundle.value.save_as(tmp_path / bundle.value.suggested_filename)
    page.goto(url_of(page_service, "models"))
    page.get_by_text("Import a version of another service").click()
    (tmp_path / "wrong.zip").write_bytes((tmp_path / "manners-1.bundle.zip").read_bytes()[:-10_000])
    for name in ("wrong.zip", "manners-1.bundle.zip"):
        page.get_by_label("Bundle").set_input_files(tmp_path / name)
        page.get_by_role("button", name="Import", exact=True).click()
        if name == "wrong.zip":
            expect(page.get_by_text("cut short").first).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="manners@1")).to_be_visible()
