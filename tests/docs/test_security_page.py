"""docs/security.md names tests that there are, and the versions and rights that the code has."""

import re
from pathlib import Path

import pytest
from tests.service.test_redis_tls import RIGHTS

from flawsmith.core.live.server_version import SAFE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def threats() -> list[str]:
    table = PAGE.partition("## Threats")[2].partition("**Not covered**")[0]
    return [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| threat")]


@pytest.mark.parametrize("threat", threats(), ids=lambda row: row[2:40])
def test_each_threat_has_what_stops_it_and_a_test_that_there_is(threat: str) -> None:
    what, stops, shown = (cell.strip() for cell in threat.strip("| ").split(" | "))
    assert what and stops
    folder, found = "", 0
    for named in re.findall(r"`([^`]+)`", shown):
        if match := re.fullmatch(r"python -m benchmarks\.(\w+)", named):
            assert (ROOT / "benchmarks" / f"{match[1]}.py").is_file(), named
            continue
        folder = named.rpartition("/")[0] or folder  # a name without a folder is in that of the one before it
        assert (ROOT / folder / named.rpartition("/")[2]).is_file(), named
        found += 1
    assert found


def test_the_versions_on_the_page_are_those_that_the_service_warns_by() -> None:
    for product, lines in SAFE.items():
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {product} |")]
        listed = [f"{'.'.join(map(str, line))}.{patch}" for line, patch in lines.items()]
        assert row.split(" | ")[1].split(", ") == listed


def test_the_rights_on_the_page_are_those_that_are_tested() -> None:
    assert f"user flawsmith on >PASSWORD {RIGHTS}\n" in PAGE
