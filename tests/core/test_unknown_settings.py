"""Warnings of variables that look like settings."""

import pytest

from flawsmith.core.unknown_settings import warn_of_unknown_settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FLAWSMITH_WORKER_METRICS_PORT", "did you mean FLAWSMITH_METRICS_PORT?"),
        ("FLAWSMITH_DATADIR", "did you mean FLAWSMITH_DATA_DIR?"),
        ("flawsmith_segment_second", "did you mean FLAWSMITH_SEGMENT_SECONDS?"),
        ("FLAWSMITH_COLOUR", "docs/settings.md lists them"),
    ],
)
def test_a_variable_that_is_no_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, meant: str
) -> None:
    for each in (
        "FLAWSMITH_URL",
        "FLAWSMITH_API_KEY",
        "FLAWSMITH_API_KEYS_FILE",
        "flawsmith_port",
        "A_FLAWSMITH",
        name,
    ):
        monkeypatch.setenv(each, "sesame")
    warn_of_unknown_settings()
    [line] = caplog.messages
    assert name in line and meant in line and "sesame" not in line
