"""How many CPUs a process may use."""

import os
from pathlib import Path

import pytest

from flawsmith.core.cpus import usable_cpus


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def cpus(root: Path, group: str, quotas: dict[str, str]) -> int:
    """The number in a control group of a hierarchy with these files ``cpu.max``."""
    (root / group.strip("/")).mkdir(parents=True, exist_ok=True)
    for place, quota in quotas.items():
        (root / place.strip("/") / "cpu.max").write_text(quota)
    own = root / "own"
    own.write_text(f"1:name=systemd:/legacy\n0::{group}\n")
    return usable_cpus(root, own)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("50000 100000", 1), ("150000 100000", 2), ("400000 100000", 4), ("1600000 100000", 8)],
)
def test_the_quota_of_a_container_counts(eight_cpus: None, tmp_path: Path, quota: str, expected: int) -> None:
    assert cpus(tmp_path, "/", {"/": quota}) == expected


def test_the_lowest_quota_of_the_groups_around_it_counts(eight_cpus: None, tmp_path: Path) -> None:
    quotas = {"/pod": "300000 100000", "/pod/box": "max 100000"}
    assert cpus(tmp_path, "/pod/box", quotas) == 3


@pytest.mark.parametrize("text", ["", "nonsense", "1 0 0"])
def test_a_quota_that_cannot_be_read_is_none(eight_cpus: None, tmp_path: Path, text: str) -> None:
    assert cpus(tmp_path, "/", {"/": text}) == 8


def test_without_control_groups_the_affinity_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cpus(tmp_path, tmp_path / "missing") == 1
