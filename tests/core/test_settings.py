"""Settings, and whether the documentation lists all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from flawsmith.core.setting_values import bucket_address, parse_api_keys
from flawsmith.core.settings import Settings

ROOT = Path(__file__).parents[2]


def test_a_key_without_a_scope_has_the_scope_admin() -> None:
    assert parse_api_keys("a:train, b ,c:metrics") == {"a": "train", "b": "admin", "c": "metrics"}


@pytest.mark.parametrize("text", ["sesame:root", ":train", "sesame:", "sesame: ", "ok:train,sesame:", "a:b:sesame"])
def test_an_unknown_or_empty_scope_and_an_empty_key_are_rejected_without_showing_them(text: str) -> None:
    with pytest.raises(ValueError, match="KEY:SCOPE") as refused:
        parse_api_keys(text)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("text", ["sesame,sesame", "sesame:train,b,sesame:admin", "sesame , sesame"])
def test_a_key_that_comes_twice_is_rejected_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="repeats the key") as refused:
        parse_api_keys(text)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "demands"),
    [("verdict,uplift", {"verdict", "uplift"}), (" uplift ", {"uplift"}), ("verdict", {"verdict"}), ("none", set())],
)
def test_what_is_demanded_of_a_version_in_production(text: str, demands: set[str]) -> None:
    assert Settings(production_demands=text).demands == demands


@pytest.mark.parametrize("text", ["", ",", "verdicts", "verdict,none"])
def test_an_unknown_demand_is_rejected_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="verdict, uplift, separated by commas, or none"):
        Settings(production_demands=text)


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    keys, url = tmp_path / "keys", tmp_path / "url"
    keys.write_text("a:train\nb\n")
    url.write_text("redis://:sesame@redis/0\n")
    settings = Settings(api_keys_file=keys, redis_url_file=url)
    assert settings.keys == {"a": "train", "b": "admin"}
    assert settings.redis_url == "redis://:sesame@redis/0"
    assert "sesame" not in repr(settings)


def test_a_secret_given_twice_or_in_a_file_that_cannot_be_read_is_rejected_without_showing_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with pytest.raises(ValueError, match=r"cannot read .*keys \(No such file"):
        Settings(api_keys_file=keys)
    keys.write_text("sesame")
    with pytest.raises(ValueError, match="not both") as refused:
        Settings(api_keys_file=keys, api_keys="sesame")
    assert "sesame" not in str(refused.value)
    keys.write_bytes(b"sesame\xff")
    with pytest.raises(ValueError, match="it is not text") as refused:
        Settings(api_keys_file=keys)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"API_KEYS": "sesame:root"},
        {"API_KEYS": "sesame:"},
        {"API_KEYS": "sesame", "PORT": "http"},
        {"API_KEYS": "sesame", "MAX_WAITING_IMAGES": "1"},
        {"REDIS_URL": "redis://:sesame@redis", "PORT": "http", "MAX_WAITING_IMAGES": "1"},
    ],
)
@pytest.mark.parametrize("command", ["serve", "api", "redis"])
def test_a_wrong_setting_never_prints_a_secret(wrong: dict[str, str], command: str, tmp_path: Path) -> None:
    environment = {"FLAWSMITH_DATA_DIR": str(tmp_path), **{f"FLAWSMITH_{name}": text for name, text in wrong.items()}}
    done = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "FLAWSMITH_" in done.stderr
    assert "sesame" not in done.stderr + done.stdout


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


@pytest.mark.parametrize(
    "address",
    ["/data", "s3://", "s3:///x", "s3://ab", "S3://bucket", "s3://key:secret@bucket/x", "s3://bucket/../x", "s3://b*t"],
)
def test_an_artifact_store_that_is_no_bucket_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ValidationError, match=r"give s3://BUCKET or s3://BUCKET/PREFIX") as caught:
        Settings(artifact_store=address)
    assert "secret" not in str(caught.value)


def test_the_address_of_a_bucket_is_its_name_and_a_prefix() -> None:
    assert bucket_address(Settings(artifact_store="s3://my.bucket-1/a/site=1/").artifact_store) == (
        "my.bucket-1",
        "a/site=1",
    )
    assert bucket_address("s3://bucket") == ("bucket", "")
