"""The commands against a real service: what they print, their statuses, and errors in one line."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Service, photograph
from tests.service.shell import Shell

from flawsmith.client.images import array_png

MASK = array_png(np.eye(32, dtype=bool))
SMALL = ["--preset", "dcgan", "--resolution", "32", "--steps", "6", "--set", "generator_depth=4"]
SMALL += ["--set", "discriminator_depth=4", "--set", "batch_size=4"]


@pytest.fixture
def shell(service: Service, tmp_path: Path) -> Shell:
    return Shell(service, tmp_path)


def test_from_a_folder_to_an_archive(shell: Shell) -> None:
    for kind in ("dents", "scratches"):
        (shell.folder / "parts" / kind).mkdir(parents=True)
        for each in range(5):
            (shell.folder / "parts" / kind / f"{each}.png").write_bytes(photograph(3000 + 10 * len(kind) + each))
    (shell.folder / "parts" / "dents" / "broken.png").write_bytes(b"no picture")
    uploaded = shell.run("upload", "parts", "--name", "by-shell")
    assert "10 photographs: dents 5, scratches 5" in uploaded.stdout
    assert "not used: dents/broken.png: " in uploaded.stderr
    assert [each["name"] for each in shell.json("datasets") if each["name"] == "by-shell"] == ["by-shell"]

    assert "6 steps" in shell.run("train", "by-shell", *SMALL, "--dry-run").stdout
    trained = shell.run("train", "by-shell", *SMALL, "--watch")
    assert "succeeded: by-shell@1" in trained.stdout
    [job] = [each for each in shell.json("jobs") if each["model"] == "by-shell"]
    assert job["id"] in shell.run("jobs").stdout
    assert shell.json("jobs", job["id"])["produced"] == "by-shell@1"
    events = [json.loads(line) for line in shell.run("watch", job["id"], "--json").stdout.splitlines()]
    assert events[-1]["state"] == "succeeded"

    made = shell.json("generate", "by-shell@1", "--count", "4", "--seed", "3", "--type", "dents")
    assert [each["seed"] for each in made["images"]] == [3, 4, 5, 6]
    assert (shell.folder / "images" / "dents" / "3.png").read_bytes().startswith(b"\x89PNG")
    assert "by-shell@1\tfailing" in shell.run("models", "by-shell").stdout
    assert "by-shell\t1" in shell.run("models").stdout

    (shell.folder / "images" / "dents" / "3_mask.png").write_bytes(MASK)
    labelling = shell.run("label", "by-shell@1", "--masks", "images", "--no-wait").stdout.strip()
    masks = shell.json("cancel", labelling)["config"]["masks"]
    assert [(each["defect_type"], each["seed"]) for each in masks] == [("dents", 3)]

    (shell.folder / "more").mkdir()
    (shell.folder / "more" / "new.png").write_bytes(photograph(3999))
    grown = shell.json("upload", "more", "--onto", "by-shell", "--class-from", "dataset")
    assert (grown["image_count"], grown["added"]["photographs"]) == (11, 1)
    assert "already" in shell.refused("upload", "more", "--onto", grown["id"], "--class-from", "dataset")

    assert shell.refused("promote", "by-shell@1").startswith(
        "refused: by-shell@1 should not be in production: its verdict"
    )
    assert "by-shell@production is by-shell@1 now" in shell.run("promote", "by-shell@1", "--override", "a test").stdout

    exported = shell.run("export", "by-shell", "--count", "10", "--split", "train=0.5,val=0.5", "--out", "all.zip")
    assert exported.stdout == "all.zip\n"
    with zipfile.ZipFile(shell.folder / "all.zip") as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 10
    [export] = [each for each in shell.json("jobs", "--kind", "export") if each["version"] == "by-shell@1"]
    again = shell.json("download", export["id"], "--out", ".")
    assert (shell.folder / again["file"]).read_bytes() == (shell.folder / "all.zip").read_bytes()


def test_notes_and_tags_by_commands(shell: Shell, trained: dict[str, Any]) -> None:
    job = trained["id"]
    assert shell.run("note", job).stdout == "no note\ntags: none\n"
    assert shell.run("note", job, "New lamp", "--tag", "line-3", "--tag", "best").stdout == (
        "New lamp\ntags: line-3, best\n"
    )
    assert shell.json("note", job, "--untag", "best")["tags"] == ["line-3"]
    assert [each["id"] for each in shell.json("jobs", "--tag", "line-3", "--search", "lamp")] == [job]
    assert shell.run("jobs", "--tag", "line-3").stdout.splitlines()[0].endswith("\tline-3")
    assert shell.run("note", "two-types@1", "--tag", "fair").stdout.endswith("tags: fair\n")
    assert shell.run("models", "--tag", "fair").stdout.startswith("two-types\t")
    assert "two-types@1\t" in shell.run("models", "two-types", "--search", "FAIR").stdout
    assert "no comma" in shell.refused("note", job, "--tag", "a,b")
    history = shell.run("history", job).stdout.splitlines()
    assert history[0].startswith("step,")
    assert len(history) == 7
    shell.run("note", job, "", "--untag", "line-3")
    shell.run("note", "two-types@1", "--untag", "fair")


def test_errors_are_one_line_and_a_status(shell: Shell, trained: dict[str, Any]) -> None:
    assert "job" in shell.refused("watch", "nojob")
    assert "job" in shell.refused("jobs", "nojob")
    assert "nothing" in shell.refused("generate", "nothing@1")
    assert "knows: dents, scratches" in shell.refused("generate", "two-types@1", "--type", "rust")
    assert "no report of two-types@1" in shell.refused("report", "two-types@1")
    assert "nowhere.zip" in shell.refused("upload", "nowhere.zip")
    assert "steps" in shell.refused("train", "two-types", "--steps", "-5")
    assert "succeeded" in shell.refused("resume", trained["id"])
    assert "no other version yet" in shell.refused("compare", "two-types@1", "two-types@1")
    assert "versions of one model" in shell.refused("compare", "two-types@1", "other@1")
    assert "no mask in" in shell.refused("label", "two-types@1", "--masks", ".")
    assert "nothing is annotated" in shell.refused("compose", "two-types", "--defects", "two-types", "--count", "1")
    assert "FLAWSMITH_WEBHOOK_SECRETS" in shell.refused("webhooks", "add", "https://lab.example/hook")
    assert shell.refused("jobs", "--url", "http://127.0.0.1:9", status=3).startswith("no answer from the service")
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["generate"],
        ["generate", "steel@1", "--count", "0"],
        ["generate", "steel@1", "--attribute", "angle"],
        ["generate", "steel@1", "--labels", "words"],
        ["train", "steel", "--set", "depth"],
        ["export", "steel@1", "--split", "train"],
        ["jobs", "--kind", "nothing"],
        ["compose", "steel", "--count", "1", "--per-image", "few"],
        ["compose", "steel", "--count", "1", "--region", "nowhere.png"],
        ["compose", "steel", "--count", "1", "--region", "1,2 " * 200 + "x"],
        ["webhooks", "add", "https://lab.example/hook", "--event", "job.over"],
    ],
)
def test_a_wrong_command_line_calls_no_service(shell: Shell, words: list[str]) -> None:
    done = shell.run(*words, "--url", "http://127.0.0.1:9", status=2)
    assert "Usage: " in done.stderr


def test_it_says_whether_the_service_is_ready(shell: Shell) -> None:
    assert shell.run("ready").stdout == "ready\n"
    assert shell.json("ready", "--wait", "5")["status"] == "ready"


def test_completion_for_the_shell(shell: Shell) -> None:
    offered = shell.run(_FLAWSMITH_COMPLETE="complete_bash", COMP_WORDS="flawsmith ex", COMP_CWORD="1").stdout
    assert offered.split() == ["export"]
