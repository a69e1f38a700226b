"""Settings, and how their table in the README is kept true."""

from pathlib import Path

import pytest

from flawsmith.core.settings import Settings, parse_api_keys


def test_a_key_without_a_scope_is_an_admins() -> None:
    assert parse_api_keys("a:train, b ,c:metrics") == {"a": "train", "b": "admin", "c": "metrics"}


@pytest.mark.parametrize("text", ["a:root", ":train"])
def test_a_key_of_no_known_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="KEY:SCOPE"):
        parse_api_keys(text)


def test_the_readme_tells_of_every_setting() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    missing = [name for name in Settings.model_fields if f"`FLAWSMITH_{name.upper()}`" not in readme]
    assert missing == []


def test_preset_packages_that_cannot_be_imported_are_refused_by_name() -> None:
    assert Settings(preset_packages="").extra_preset_packages == []
    with pytest.raises(ValueError, match=r"no module 'nowhere\.preset'"):
        Settings(preset_packages="nowhere")
    with pytest.raises(ValueError, match=r"no module 'json\.preset'"):
        Settings(preset_packages="json")
