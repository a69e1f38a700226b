"""What an upload sends: folders as archives, single pictures, names, progress."""

import io
import zipfile
from contextlib import ExitStack
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering, problem

from flawsmith.client.uploads import opened_files, suggested_name

DATASET = Reply(
    201,
    b'{"id": "ds-1", "name": "a", "digest": "", "image_count": 2, "classes": {}, "mode": "L", "rejected": [],'
    b' "created_at": "2026-01-01T00:00:00.000Z"}',
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "my steel"
    for name in ("pits/a.png", "pits/b.png", "scratches/a.png", ".git/config", "pits/.DS_Store"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    return place


def parts(call: Call) -> dict[str, list[Message]]:
    """The parts of a multipart body by their fields."""
    whole = message_from_bytes(f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode() + call.body)
    found: dict[str, list[Message]] = {}
    for part in whole.walk():
        if name := part.get_param("name", header="content-disposition"):
            found.setdefault(str(name), []).append(part)
    return found


@both
def test_a_folder_is_sent_as_an_archive_of_its_visible_files(run: Run, folder: Path) -> None:
    with answering(lambda *_: DATASET) as service:
        run(service.url, "upload", folder, split="all", replace=True)
    sent = parts(service.calls[0])
    texts = {name: part[0].get_payload() for name, part in sent.items() if name != "archive"}
    assert texts == {"name": "my-steel", "split": "all", "replace": "true"}
    content = sent["archive"][0].get_payload(decode=True)
    assert isinstance(content, bytes)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["pits/a.png", "pits/b.png", "scratches/a.png"]
        assert archive.read("scratches/a.png") == b"scratches/a.png"


@both
def test_a_repeated_upload_is_the_same_to_the_byte(run: Run, folder: Path) -> None:
    (folder / "pits" / "large.png").write_bytes(bytes(200_000))
    told: list[tuple[int, int]] = []
    refusal = problem(503, "unavailable", headers={"Retry-After": "0"})
    with answering(lambda number, _: refusal if number == 0 else DATASET) as service:
        run(service.url, "upload", folder, on_progress=lambda *at: told.append(at))
    first, second = ([part.as_bytes() for part in parts(call)["archive"]] for call in service.calls)
    assert first == second
    assert service.calls[0].headers["idempotency-key"] == service.calls[1].headers["idempotency-key"]
    assert told[-1][0] == told[-1][1] == max(done for done, _ in told)
    assert [done for done, _ in told] != sorted(done for done, _ in told), "the second time begins at 0"


@both
def test_single_pictures_have_a_part_each(run: Run, folder: Path) -> None:
    with answering(lambda *_: DATASET) as service:
        run(service.url, "upload", [folder / "pits" / "a.png", folder / "pits" / "b.png"], on_progress=lambda *_: None)
    sent = parts(service.calls[0])
    assert [part.get_filename() for part in sent["images"]] == ["a.png", "b.png"]
    assert sent["name"][0].get_payload() == "pits"


@pytest.mark.parametrize(
    ("source", "name"),
    [("a/steel.zip", "steel"), ("a/My Set.tar.gz", "My-Set"), ("a/.hidden.tgz", "hidden"), ("a/pit_1.png", "pit_1")],
)
def test_the_name_is_that_of_the_file(source: str, name: str, tmp_path: Path) -> None:
    assert suggested_name(tmp_path / source) == name


def test_a_name_that_makes_none_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="makes no name"):
        suggested_name(tmp_path / "キズ.zip")


def test_nothing_to_send_is_an_error_before_any_call(tmp_path: Path) -> None:
    (tmp_path / "empty" / "types").mkdir(parents=True)
    with ExitStack() as stack:
        with pytest.raises(ValueError, match="no file in the folder"):
            opened_files(tmp_path / "empty", None, stack)
        with pytest.raises(ValueError, match="nothing to upload"):
            opened_files([], None, stack)
        with pytest.raises(FileNotFoundError):
            opened_files(tmp_path / "none.zip", None, stack)
