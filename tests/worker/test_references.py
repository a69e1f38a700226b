"""A version's references are the photographs that it was trained on, without those that were held out."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import redis
import torch
from tests.conftest import SMALL_JOB, photograph, zipped

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.training_config import resolve
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs
from flawsmith.worker.references import save_references
from flawsmith.worker.run_checkpoint import load_or_resume
from flawsmith.worker.version_findings import save_findings
from flawsmith.worker.version_photographs import VersionPhotographs


def test_held_out_photographs_are_no_references(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (8, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    photographs = VersionPhotographs(
        classes=["dents", "pits"],
        images=images,
        type_index=torch.arange(8) % 2,
        held_out=torch.arange(8) >= 6,
        files=[f"{number}.png" for number in range(8)],
        masks=[None] * 8,
    )
    save_references(photographs, tmp_path)
    references = ReferencePhotographs.load(tmp_path / FILE)
    assert references.files == [f"{number}.png" for number in range(6)]
    pixels = list(images.permute(0, 2, 3, 1).numpy())
    found = references.nearest(pixels, ["dents", "pits"] * 4)
    assert [each.file for each in found[:6]] == references.files
    assert [each.distance for each in found[:6]] == [0.0] * 6
    assert min(each.distance for each in found[6:]) > 1
    assert {name: len(own) for name, own in references.own_distances.items()} == {"dents": 3, "pits": 3}
    assert np.isfinite(references.own_distances["pits"]).all()


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))


@pytest.mark.parametrize("deleted", [False, True], ids=["with its dataset", "without its dataset"])
def test_the_references_of_a_run_are_the_photographs_of_its_dataset(
    services: Services, tmp_path: Path, deleted: bool
) -> None:
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "pits") for i in range(4)}
    (tmp_path / "upload").write_bytes(zipped(files))
    dataset, _ = services.datasets.add_archive("steel", tmp_path / "upload")
    config = resolve(TrainingRequest(dataset="steel", model="steel", **SMALL_JOB), dataset)
    progress = TrainingProgress(total_steps=6)
    job: Any = KIND.new_job(config=config, progress=progress, model="steel", dataset=dataset.id, preset="dcgan")
    run = load_or_resume(job, services, torch.device("cpu"), threads=1)
    unmeasured: Any = SimpleNamespace(judged=SimpleNamespace(measures=[]), scores=None)
    if deleted:
        services.datasets.delete(dataset.id)
    save_findings(
        unmeasured,
        tmp_path,
        preset=job.preset,
        config=job.config,
        dataset_digest=run.dataset_digest,
        services=services,
    )
    assert (tmp_path / FILE).exists() is not deleted
    if not deleted:
        references = ReferencePhotographs.load(tmp_path / FILE)
        assert sorted(references.files) == sorted(files)
        assert references.own_distances.keys() == {"dents", "pits"}
