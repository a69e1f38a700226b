"""Which Redis and Valkey servers the service warns of."""

import logging

import pytest
import redis

from flawsmith.core.live.server_version import vulnerability, warn_of_vulnerable_server


@pytest.mark.parametrize(
    ("product", "version"),
    [("Redis", "7.2.15"), ("Redis", "8.8.1"), ("Redis", "9.0.0"), ("Valkey", "9.1.2"), ("Valkey", "8.1.10")],
)
def test_a_server_with_all_fixes_is_not_warned_of(product: str, version: str) -> None:
    assert vulnerability(product, version) is None


@pytest.mark.parametrize(
    ("product", "version", "words"),
    [
        ("Redis", "7.4.9", "7.4.10 closes"),
        ("Redis", "7.0.15", "line without fixes; the safe ones are 6.2.23, 7.2.15"),
        ("Redis", "8.0.6", "line without fixes"),
        ("Valkey", "9.0.4", "9.0.5 closes"),
        ("Valkey", "8.1", "8.1.9 closes"),
    ],
)
def test_an_older_server_is_warned_of_with_what_would_be_right(product: str, version: str, words: str) -> None:
    assert words in str(vulnerability(product, version))


def test_another_server_that_speaks_the_protocol_is_not_judged() -> None:
    assert vulnerability("Redis", "unstable") is None


def test_the_embedded_server_is_safe(empty_redis: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_vulnerable_server(empty_redis)
    assert not caplog.records
