"""The command that is run where there is a GPU: here it runs small, on the CPU, so that its code is known to work."""

import pytest
from benchmarks import gpu
from benchmarks.gpu import Report
from tests.conftest import Service


def test_every_part_runs_on_a_cpu(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--device", "cpu", "--small", "--url", str(service.client.base_url)]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    speeds = {row[1]: float(row[2].replace(",", "")) for row in rows if row[0] == "32 px"}
    assert list(speeds) == [
        "the article's loop",
        "dcgan, float32",
        "dcgan, bfloat16",
        "fewshot, step by step",
        "fewshot, recorded",
    ]
    assert min(speeds.values()) > 0
    found = dict(row for row in rows if len(row) == 2)
    assert found["32 px, recorded against plain steps"].startswith("after 16 steps weights differ by at most 0.0e+00")
    assert found["32 px, a deterministic job"] == "two equal runs of 16 steps differ by 0.0e+00"
    assert "at most 0 gray levels from the CPU's" in found["32 px, sampling in float32"]
    assert "32 px, sampling in bfloat16" in found
    assert found["fewshot at 32 px to its end"].startswith("6 steps, 24 photographs")
    assert found["POST /generate, 8 images"].endswith("the same bytes")


def test_a_part_that_fails_is_told_and_the_others_still_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    for name in ("first", "second"):
        with report.part(name):
            if name == "first":
                raise RuntimeError("CUDA error:\nan illegal memory access")
            report.row(name, "works")
    assert report.failed == 1
    assert capsys.readouterr().out.splitlines() == [
        "| first | FAILED: RuntimeError: CUDA error: an illegal memory access |",
        "| second | works |",
    ]


def test_without_a_gpu_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main([]) == 2
    assert "make gpu DEVICE=cpu" in capsys.readouterr().err
