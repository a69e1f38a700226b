"""Checkpoints on disk: valid ones are read, damaged ones are passed over."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.interface import Claim
from flawsmith.worker.checkpoints import FORMAT, Checkpoint, NewerFormat, newest_checkpoint, save_checkpoint

RUN = {"config_sha256": "c", "dataset_digest": "d"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


@pytest.fixture
def claim(store: ArtifactStore) -> Claim:
    return store.claim(store.path("claims"))


def save(store: ArtifactStore, claim: Claim, step: int, run: dict[str, str] = RUN) -> None:
    history: list[dict[str, float]] = [{"step": step, "generator_loss": 0.1 + 0.2}]
    save_checkpoint(store, claim, "job-1", Checkpoint(step, {"weights": torch.full((100,), float(step))}, run, history))


def steps(store: ArtifactStore) -> list[int]:
    return sorted(int(each.name) for each in store.path("jobs", "job-1", "checkpoints").iterdir())


def flip_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def change_a_number(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace("0.3000", "0.4000") if file.suffix == ".json" else text)


def test_a_checkpoint_is_read_as_it_was_written_and_three_are_kept(store: ArtifactStore, claim: Claim) -> None:
    for step in range(1, 6):
        save(store, claim, step)
    assert steps(store) == [3, 4, 5]
    newest = newest_checkpoint(store, "job-1", RUN)
    assert newest is not None
    assert newest.step == 5
    assert newest.history == [{"step": 5, "generator_loss": 0.1 + 0.2}]
    assert torch.equal(newest.state["weights"], torch.full((100,), 5.0))


@pytest.mark.parametrize("name", ["state.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", [flip_bit, truncate, empty, Path.unlink])
def test_a_damaged_one_is_logged_and_passed_over_for_the_one_before(
    store: ArtifactStore, claim: Claim, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[Path], None]
) -> None:
    save(store, claim, 1)
    save(store, claim, 2)
    damage(store.path("jobs", "job-1", "checkpoints", "000000002", name))
    newest = newest_checkpoint(store, "job-1", RUN)
    assert newest is not None
    assert newest.step == 1
    assert "checkpoint 000000002 is passed over" in caplog.text
    save(store, claim, 2)
    mended = newest_checkpoint(store, "job-1", RUN)
    assert mended is not None
    assert mended.step == 2


def test_a_changed_number_in_the_card_is_damage(store: ArtifactStore, claim: Claim) -> None:
    save(store, claim, 1)
    change_a_number(store.path("jobs", "job-1", "checkpoints", "000000001", "checkpoint.json"))
    assert newest_checkpoint(store, "job-1", RUN) is None


def test_a_checkpoint_of_another_run_is_not_used(store: ArtifactStore, claim: Claim) -> None:
    save(store, claim, 1)
    save(store, claim, 2, {**RUN, "dataset_digest": "another"})
    newest = newest_checkpoint(store, "job-1", RUN)
    assert newest is not None
    assert newest.step == 1


def test_damaged_ones_do_not_displace_valid_ones(store: ArtifactStore, claim: Claim) -> None:
    for step in (4, 5, 10, 11):
        save(store, claim, step)
    for step in (10, 11):
        empty(store.path("jobs", "job-1", "checkpoints", f"{step:09d}", "state.safetensors"))
    newest = newest_checkpoint(store, "job-1", RUN)
    assert newest is not None
    assert newest.step == 5
    for step in (6, 7):
        save(store, claim, step)
    assert steps(store) == [5, 6, 7]


def test_a_read_error_is_not_damage(store: ArtifactStore, claim: Claim) -> None:
    save(store, claim, 1)
    weights = store.path("jobs", "job-1", "checkpoints", "000000001", "state.safetensors")
    weights.unlink()
    weights.mkdir()  # reading it raises an OSError
    with pytest.raises(IsADirectoryError):
        newest_checkpoint(store, "job-1", RUN)
    assert steps(store) == [1]


def test_a_checkpoint_is_safetensors_and_json(store: ArtifactStore, claim: Claim) -> None:
    save(store, claim, 1)
    folder = store.path("jobs", "job-1", "checkpoints", "000000001")
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint.json", "state.safetensors"]
    json.loads((folder / "checkpoint.json").read_text())


def test_a_checkpoint_of_a_later_release_is_refused_and_stays_where_it_is(store: ArtifactStore, claim: Claim) -> None:
    for step in (1, 2, 3):
        save(store, claim, step)
    later = store.path("jobs", "job-1", "checkpoints", "000000003", "checkpoint.json")
    later.write_text(json.dumps({"format": FORMAT + 1, "everything": "is different"}))
    with pytest.raises(NewerFormat, match=rf"format {FORMAT + 1}.* reads up to {FORMAT}.*resume the job"):
        newest_checkpoint(store, "job-1", RUN)
    assert steps(store) == [1, 2, 3]
    assert not store.path("jobs", "job-1", "damaged").exists()


def test_a_checkpoint_of_a_later_release_is_not_overwritten_by_the_same_step(
    store: ArtifactStore, claim: Claim
) -> None:
    save(store, claim, 1)
    later = store.path("jobs", "job-1", "checkpoints", "000000001", "checkpoint.json")
    later.write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(NewerFormat):
        save(store, claim, 1)
    assert json.loads(later.read_text()) == {"format": FORMAT + 1}


def test_a_checkpoint_of_commit_b2444ae_is_read_under_the_names_of_today(store: ArtifactStore) -> None:
    folder = store.path("jobs", "job-1", "checkpoints", "000000007")
    folder.mkdir(parents=True)
    names = ("average.last.weight", "softened", "p_values", "generator.last.weight")
    save_file(
        {name: torch.full((2,), float(number)) for number, name in enumerate(names)}, folder / "state.safetensors"
    )
    card: dict[str, Any] = {
        "step": 7, "run": RUN, "history": [{"step": 7, "copies": 0.1, "gap": 0.2}], "losses": {},
        "best": {"step": 7, "distance": 0.3, "copies": 0.1}, "mishaps": [[5, "NaN"]],
        "trained_seconds": 1.0, "threads": 1, "random_states": {},
    }  # fmt: skip
    digests = {"sha256": sha256((folder / "state.safetensors").read_bytes()), "card_sha256": sha256(json.dumps(card))}
    (folder / "checkpoint.json").write_text(json.dumps({**card, **digests}))
    checkpoint = newest_checkpoint(store, "job-1", RUN)
    assert checkpoint is not None
    assert checkpoint.history == [{"step": 7, "memorization_rate": 0.1, "overfitting_r_v": 0.2}]
    assert checkpoint.best == {"step": 7, "distance": 0.3, "memorization_rate": 0.1}
    assert checkpoint.rollbacks == [[5, "NaN"]]
    assert {name: int(value[0]) for name, value in checkpoint.state.items()} == {
        "generator_ema.last.weight": 0,
        "learning_rate_reductions": 1,
        "symmetry_p_values": 2,
        "generator.last.weight": 3,
    }


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
