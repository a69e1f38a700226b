"""What a run held out stays held out in runs that continue its version on more photographs."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import torch
from PIL import Image
from tests.conftest import photograph, zipped

from flawsmith.core.domain.job_kinds.evaluation import KIND as EVALUATIONS
from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.training_config import resolve_request
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.worker import evaluation, run_checkpoint
from flawsmith.worker.held_out import held_out_squares
from flawsmith.worker.run_checkpoint import load_or_resume

SMALLEST = {"latent_size": 4, "generator_width": 1, "discriminator_width": 2, "batch_size": 4}
CPU = torch.device("cpu")


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    found = Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))
    monkeypatch.setattr(evaluation, "services", lambda: found)
    # What a run holds out does not depend on the weights that it starts from.
    monkeypatch.setattr(run_checkpoint, "load_start", lambda *_: None)
    return found


def added(services: Services, parent: str | None, files: dict[str, bytes]) -> Dataset:
    path = services.settings.data_dir / "upload.zip"
    path.write_bytes(zipped(files))
    if parent is None:
        return services.datasets.add_archive("steel", path)[0]
    return services.datasets.continue_with_archive(parent, None, path)[0]


def config_of(services: Services, dataset: Dataset, origin: ModelVersion | None, **body: Any) -> dict[str, Any]:
    request = TrainingRequest(
        dataset=dataset.id,
        model="steel",
        resolution=32,
        steps=1,
        overrides={} if origin else SMALLEST,
        init_from=origin.ref if origin else None,
        **body,
    )
    return resolve_request(request, dataset, origin, measure=services.datasets.measured).config


def published(services: Services, dataset: Dataset, config: dict[str, Any]) -> ModelVersion:
    with services.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        return services.registry.publish(
            "steel",
            staged,
            classes=config["classes"],
            resolution=32,
            mode="L",
            preset="fewshot",
            config=config,
            training_job=f"job-{dataset.id}",
            dataset_digest=dataset.digest,
            weights_sha256="weights",
        )


def held_out(services: Services, dataset: Dataset, config: dict[str, Any]) -> set[str]:
    """The names of the photographs that a run with this configuration holds out, as its trainer has them."""
    job: Any = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=1), model="steel", dataset=dataset.id, preset="fewshot"
    )
    trainer: Any = load_or_resume(job, services, CPU, threads=1).trainer
    squares = services.datasets.load(dataset.id, 32, config["crop"]["around"])
    said = held_out_squares("fewshot", config, squares, dataset.id, services)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2)
    assert torch.equal(images[said], trainer.holdout) and torch.equal(images[~said], trainer.images)
    return {squares.files[position] for position in said.nonzero().squeeze(1).tolist()}


def brighter(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).point(lambda value: 30 + value * 0.8).save(buffer, "PNG")
    return buffer.getvalue()


FIRST = {f"pits/{number}.png": photograph(number) for number in range(60)}


def test_a_chain_of_versions_never_trains_on_what_one_of_them_was_judged_with(services: Services) -> None:
    steel = added(services, None, FIRST)
    origin = published(services, steel, config_of(services, steel, None))
    spared = held_out(services, steel, origin.config)
    assert len(spared) == 10
    seen = sorted(FIRST.keys() - spared)

    more = {f"pits/new-{number}.png": photograph(100 + number) for number in range(100)}
    exposures = {f"pits/again-{each[5:]}": brighter(FIRST[each]) for each in [*sorted(spared)[:3], seen[0]]}
    second = added(services, steel.id, more | exposures)
    assert second.added is not None and second.added.near_duplicate_count == 4
    for seed in range(3):
        config = config_of(services, second, origin, seed=seed)
        found = held_out(services, second, config)
        assert spared < found and found.isdisjoint(seen)
        assert {f"pits/again-{each[5:]}" for each in sorted(spared)[:3]} < found
        assert f"pits/again-{seen[0][5:]}" not in found
        assert len(found) == 16  # a tenth

    version = published(services, second, config)
    services.datasets.delete(steel.id)
    services.registry.delete_version("steel", "1")
    assert held_out(services, second, version.config) == found
    third = added(services, second.id, {f"pits/third-{number}.png": photograph(900 + number) for number in range(30)})
    grandchild = held_out(services, third, config_of(services, third, version, seed=9))
    assert found < grandchild and len(grandchild) == 19
    assert all(each.startswith("pits/third") for each in grandchild - found)
    # Again on the same photographs: nothing is unseen but what was held out.
    assert held_out(services, second, config_of(services, second, version, seed=9)) == found


def test_a_run_that_starts_anew_on_more_photographs_holds_out_anew(services: Services) -> None:
    steel = added(services, None, FIRST)
    second = added(services, steel.id, {f"pits/new-{number}.png": photograph(100 + number) for number in range(20)})
    config = config_of(services, second, None)
    assert config["inherited_holdout"] is None
    assert len(held_out(services, second, config)) == 10


def test_a_dataset_without_a_parent_is_held_out_as_ever(services: Services) -> None:
    steel = added(services, None, FIRST)
    origin = published(services, steel, config_of(services, steel, None))
    config = config_of(services, steel, origin, seed=5)
    assert config["inherited_holdout"] is None
    earlier = {name: each for name, each in config.items() if name not in ("holdout_by", "inherited_holdout")}
    assert held_out(services, steel, config) == held_out(services, steel, earlier)


def test_other_crops_keep_whole_photographs_held_out(services: Services) -> None:
    random = np.random.default_rng(0)
    files = {}
    for number in range(30):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (40, 107), np.uint8)).save(buffer, "PNG")
        files[f"pits/{number}.png"] = buffer.getvalue()
    steel = added(services, None, files)
    origin = published(services, steel, config_of(services, steel, None))  # three squares of each
    spared = held_out(services, steel, origin.config)
    assert len(spared) == 3
    second = added(services, steel.id, {f"pits/new-{number}.png": photograph(100 + number) for number in range(40)})
    config = config_of(services, second, origin, crop={"around": "pad"})
    found = held_out(services, second, config)
    assert spared < found and len(found) == 10
    assert all(each.startswith("pits/new") for each in found - spared)


def test_an_evaluation_tests_on_photographs_that_the_origin_never_saw(services: Services) -> None:
    files = {f"{name}/{number}.png": photograph(1000 * index + number)
             for index, name in enumerate(("dents", "pits")) for number in range(50)}  # fmt: skip
    more = {f"{name}/new-{number}.png": photograph(5000 + 1000 * index + number)
            for index, name in enumerate(("dents", "pits")) for number in range(20)}  # fmt: skip
    steel = added(services, None, files)
    origin = published(services, steel, config_of(services, steel, None))
    spared = held_out(services, steel, origin.config)
    second = added(services, steel.id, more)
    version = published(services, second, config_of(services, second, origin))
    config: dict[str, Any] = {
        "types": version.classes, "held_out": {"dents": 23, "pits": 23}, "per_type": [10], "ratios": [1.0],
        "repeats": 2, "retrain": True, "seed": 0, "classifier_steps": 1, "unseen_by_origin": True,
    }  # fmt: skip
    job = EVALUATIONS.new_job(config=config, progress=Progress(total_steps=1), version=version.ref, dataset=second.id)
    assert isinstance(job, EvaluationJob)
    experiment = evaluation._experiment(job, version)
    numbers = experiment.photographs.photograph[experiment.split.held_out].tolist()
    tested = {services.datasets.photographs(second.id)[each].file for each in numbers}
    assert len(tested) == 46
    assert all(each in spared or each in more for each in tested) and spared & tested
