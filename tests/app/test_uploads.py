"""Multipart bodies as browsers and other clients write them, on the whole API without workers."""

import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped

BOUNDARY = b"xxBOUNDARYxx"
ARCHIVE = zipped({f"pits/{number}.png": photograph(number) for number in range(3)})

Part = tuple[bytes, bytes]


def field(name: bytes, value: bytes) -> Part:
    return b'form-data; name="' + name + b'"', value


def file(name: bytes, file_name: bytes, content: bytes) -> Part:
    return b'form-data; name="' + name + b'"; filename="' + file_name + b'"', content


def post(api: TestClient, *parts: Part) -> tuple[int, dict]:
    """The status and the body of the answer to an upload with exactly these bytes."""
    body = b"".join(
        b"--%s\r\nContent-Disposition: %s\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n" % (BOUNDARY, *part)
        for part in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    answer = api.post("/datasets", content=body + b"--" + BOUNDARY + b"--\r\n", headers=headers)
    return answer.status_code, answer.json()


def test_a_file_input_where_no_file_was_chosen_is_no_file(api: TestClient) -> None:
    none_chosen = file(b"images", b"", b"")
    assert post(api, field(b"name", b"a"), file(b"archive", b"a.zip", ARCHIVE), none_chosen)[0] == 201
    assert post(api, field(b"name", b"b"), none_chosen, file(b"archive", b"a.zip", ARCHIVE))[0] in (200, 201)
    images = [file(b"images", b"%d.png" % number, photograph(10 + number)) for number in range(2)]
    status, dataset = post(api, field(b"name", b"c"), file(b"archive", b"", b""), *images)
    assert (status, dataset["image_count"], dataset["rejected"]) == (201, 2, [])


def test_a_form_without_any_file_is_refused_as_such(api: TestClient) -> None:
    status, problem = post(api, field(b"name", b"a"), file(b"archive", b"", b""), file(b"images", b"", b""))
    assert (status, problem["errors"][0]["pointer"]) == (422, "/archive")
    assert "send one 'archive'" in problem["detail"]


@pytest.mark.parametrize("name", [b"name", b"replace", b"split"])
def test_a_repeated_field_is_refused(api: TestClient, name: bytes) -> None:
    value = b"true" if name == b"replace" else b"train"
    twice = [field(name, value), field(name, value)]
    others = [] if name == b"name" else [field(b"name", b"a")]
    status, problem = post(api, *others, *twice, file(b"archive", b"a.zip", ARCHIVE))
    assert (status, problem["errors"][0]["pointer"]) == (422, f"/{name.decode()}")
    assert "send it once" in problem["detail"]


def test_an_empty_file_that_was_chosen_is_a_file(api: TestClient) -> None:
    assert post(api, field(b"name", b"a"), file(b"archive", b"a.zip", b""))[0] == 415


def test_a_file_without_a_name_is_a_file(api: TestClient) -> None:
    assert post(api, field(b"name", b"a"), file(b"archive", b"", ARCHIVE))[0] == 201


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("dünn.png".encode(), "dünn.png"),
        ("キズ.png".encode(), "キズ.png"),
        ("dünn.png".encode("latin-1"), "dünn.png"),
        ("Maße “1”.png".encode("cp1252"), "Maße “1”.png"),
        ("キズ.png".encode("shift_jis"), None),  # the reader cannot tell, and shows other characters
        ("划痕.png".encode("gbk"), None),
        (b"\xff\x81.png", None),
    ],
)
def test_a_file_name_in_any_encoding_is_accepted(api: TestClient, name: bytes, shown: str | None) -> None:
    images = [file(b"images", b"%d.png" % number, photograph(20 + number)) for number in range(2)]
    status, dataset = post(api, field(b"name", b"a"), *images, file(b"images", name, b"no image"))
    assert (status, dataset["image_count"]) == (201, 2)
    [rejected] = dataset["rejected"]
    assert rejected["file"].endswith(".png")
    assert rejected["file"].isprintable()
    assert shown in (None, rejected["file"])


def test_a_photograph_under_such_a_name_is_used(api: TestClient) -> None:
    names = ["ä.png".encode("latin-1"), "傷.png".encode("shift_jis"), "ö.png".encode()]
    images = [file(b"images", name, photograph(30 + number)) for number, name in enumerate(names)]
    status, dataset = post(api, field(b"name", b"a"), *images)
    assert (status, dataset["image_count"], dataset["rejected"]) == (201, 3, [])
