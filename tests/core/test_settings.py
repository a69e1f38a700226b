"""Settings, and whether the documentation lists all of them."""

from pathlib import Path

import pytest

from flawsmith.core.settings import Settings, parse_api_keys

ROOT = Path(__file__).parents[2]


def test_a_key_without_a_scope_has_the_scope_admin() -> None:
    assert parse_api_keys("a:train, b ,c:metrics") == {"a": "train", "b": "admin", "c": "metrics"}


@pytest.mark.parametrize("text", ["a:root", ":train"])
def test_an_unknown_scope_and_an_empty_key_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="KEY:SCOPE"):
        parse_api_keys(text)


def test_the_documentation_lists_every_setting() -> None:
    pages = "\n".join(page.read_text() for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
    missing = [name for name in Settings.model_fields if f"`FLAWSMITH_{name.upper()}`" not in pages]
    assert missing == []


def test_preset_packages_that_cannot_be_imported_are_refused_by_name() -> None:
    assert Settings(preset_packages="").extra_preset_packages == []
    with pytest.raises(ValueError, match=r"no module 'nowhere\.preset'"):
        Settings(preset_packages="nowhere")
    with pytest.raises(ValueError, match=r"no module 'json\.preset'"):
        Settings(preset_packages="json")
