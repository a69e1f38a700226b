"""The commands `flawsmith keys …`, on a data folder without a service."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flawsmith.cli.main import app
from flawsmith.core.settings import get_settings


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FLAWSMITH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_key_is_made_listed_and_revoked(data_dir: Path) -> None:
    limits = ["--calls-per-second", "2.5", "--images-per-day", "1000"]
    done = keys("create", "--scope", "train", "--name", "line 3", "--expires-in", "90d", *limits, "--json")
    assert done.exit_code == 0, done.output
    key = json.loads(done.stdout)
    [shown] = json.loads(keys("list", "--json").stdout)
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert (shown["name"], shown["scope"], shown["state"]) == ("line 3", "train", "usable")
    assert shown["limits"] == {"calls_per_second": 2.5, "images_per_second": None, "images_per_day": 1000}
    assert shown["expires_at"][:10] > shown["created_at"][:10]
    assert "line 3" in keys("list").stdout
    assert keys("revoke", shown["id"]).exit_code == 0
    [revoked] = json.loads(keys("list", "--json").stdout)
    assert revoked["state"] == "revoked"
    lines = [json.loads(line) for line in (data_dir / "artifacts" / "audit.jsonl").read_text().splitlines()]
    assert [(each["event"], each["key"]) for each in lines] == [
        ("key_created", shown["id"]),
        ("key_revoked", shown["id"]),
    ]
    secret = key["key"].rpartition("_")[2]
    everywhere = "".join(path.read_text() for path in data_dir.rglob("*") if path.is_file()) + keys("list").output
    assert secret not in everywhere


def test_standard_output_is_the_key_and_nothing_else() -> None:
    done = keys("create", "--scope", "generate", "--name", "a")
    assert done.stdout.startswith("flawsmith_") and done.stdout.count("\n") == 1
    assert "nothing can show it again" in done.stderr


def test_other_users_cannot_read_the_hashes(data_dir: Path) -> None:
    keys("create", "--scope", "generate", "--name", "a")
    assert stat.S_IMODE((data_dir / "artifacts" / "api-keys" / "keys.json").stat().st_mode) == 0o600


def test_another_user_than_the_services_makes_no_key_that_it_could_not_read(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "artifacts").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    done = keys("create", "--scope", "generate", "--name", "a")
    assert done.exit_code == 2
    assert "run this command as that user" in done.stderr
    assert not list((data_dir / "artifacts").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--name", "a"], "--scope"),
        (["create", "--scope", "root", "--name", "a"], "'root'"),
        (["create", "--scope", "train", "--name", ""], "name"),
        (["create", "--scope", "train", "--name", "a\nb"], "name"),
        (["create", "--scope", "train", "--name", "a" * 65], "name"),
        (["create", "--scope", "train", "--name", "a", "--expires-in", "soon"], "90d"),
        (["create", "--scope", "train", "--name", "a", "--expires-in", "0d"], "90d"),
        (["create", "--scope", "train", "--name", "a", "--expires-in", "99999999w"], "never expires"),
        (["create", "--scope", "train", "--name", "a", "--calls-per-second", "-1"], "-1"),
        (["create", "--scope", "train", "--name", "a", "--calls-per-second", "nan"], "calls_per_second"),
    ],
)
def test_a_wrong_option_is_refused_and_makes_no_key(arguments: list[str], words: str) -> None:
    done = keys(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr.replace("\n", "")
    assert keys("list").stdout == ""


def test_an_unknown_key_is_one_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flawsmith.cli.main import main

    monkeypatch.setattr("sys.argv", ["flawsmith", "keys", "revoke", "key-1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert not (data_dir / "artifacts" / "audit.jsonl").exists()
    assert capsys.readouterr().err.strip().startswith("there is no API key 'key-1'; `flawsmith keys list`")
