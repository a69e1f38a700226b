"""What a job begins with is loaded at its first step, and only there."""

from pathlib import Path
from typing import Any, cast

import pytest
import redis
import torch
from tests.conftest import photograph, zipped
from tests.tiny_priors import TINY, write_tiny_prior
from torch import Tensor

from flawsmith.core.domain.job_kinds.evaluation import EvaluationJob
from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import ModelVersion, VerdictState, now
from flawsmith.core.domain.training_config import resolve_request
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.priors import Priors, UnknownPrior
from flawsmith.models.presets.fewshot.prior_trainer import PriorTrainer
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.worker.checkpoints import save_checkpoint
from flawsmith.worker.prior_file import load_prior
from flawsmith.worker.published_generator import PublishedGenerator
from flawsmith.worker.run_checkpoint import load_or_resume, to_checkpoint
from flawsmith.worker.start import start_generator
from flawsmith.worker.subset_training import subset_run
from flawsmith.worker.training_run import Run
from flawsmith.worker.verdict import verdict_in_steps

CPU = torch.device("cpu")
OF_THE_RUN = {"embedding.weight", "heads_by_type.weight", "conditioning", "directions"}


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    """With a prior for 32 px and a dataset `set` of two types."""
    write_tiny_prior(tmp_path / "priors")
    settings = Settings(
        data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock", priors_dir=tmp_path / "priors"
    )
    services = Services(settings)
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "pits") for i in range(6)}
    (tmp_path / "set.zip").write_bytes(zipped(files))
    services.datasets.add_archive("set", tmp_path / "set.zip")
    return services


def job_of(services: Services, **body: Any) -> TrainingJob:
    dataset = services.datasets.get("set")
    request = TrainingRequest(dataset="set", model="m", resolution=32, overrides=TINY, steps=4, **body)
    config = resolve_request(request, dataset, priors=services.priors.cards).config
    job = KIND.new_job(
        config=config, progress=TrainingProgress(total_steps=4), model="m", dataset=dataset.id, preset="fewshot"
    )
    return cast(TrainingJob, job)


def networks_of(run: Run) -> dict[str, dict[str, Tensor]]:
    return run.trainer.networks()


def is_prior(run: Run, services: Services) -> bool:
    """Whether both networks have the prior's weights, but for what belongs to types and photographs."""
    card = services.priors.cards[0]
    prior, networks = load_prior(services.priors.path(card.weights_sha256)), networks_of(run)
    return all(
        torch.equal(prior[network][name], each)
        for network, weights in networks.items()
        for name, each in weights.items()
        if name not in OF_THE_RUN
    )


def test_a_run_begins_with_the_priors_weights_and_its_own_for_the_types(services: Services) -> None:
    run = load_or_resume(job_of(services), services, CPU, threads=1)
    from_nothing = load_or_resume(job_of(services, start="nothing"), services, CPU, threads=1)
    assert is_prior(run, services)
    assert not is_prior(from_nothing, services)
    own, random = networks_of(run), networks_of(from_nothing)
    assert torch.equal(own["generator"]["embedding.weight"], random["generator"]["embedding.weight"])
    assert own["discriminator"]["heads_by_type.weight"].shape[1] == 2
    trainer = cast(FewshotTrainer, run.trainer)
    live, averaged = trainer.generator.state_dict(), trainer.ema.module.state_dict()
    assert all(torch.equal(each, averaged[name]) for name, each in live.items())


def test_a_resumed_run_continues_from_its_checkpoint_and_not_from_the_prior(services: Services) -> None:
    job = job_of(services)
    whole, first = (load_or_resume(job, services, CPU, threads=1) for _ in range(2))
    for run, steps in ((whole, 4), (first, 2)):
        for _ in range(steps):
            run.advance()
    save_checkpoint(
        services.store, services.store.claim(JobFolder(services.store, job.id).claims), job.id, to_checkpoint(first)
    )
    rest = load_or_resume(job, services, CPU, threads=1)
    assert rest.step == 2
    for _ in range(2):
        rest.advance()
    expected, found = to_checkpoint(whole).state, to_checkpoint(rest).state
    assert all(torch.equal(found[name], each) for name, each in expected.items() if not name.startswith("process."))


def test_a_job_of_an_earlier_release_starts_from_nothing(services: Services) -> None:
    job = job_of(services, start="nothing")
    stored = {name: value for name, value in job.config.items() if name not in ("start", "prior")}
    earlier = load_or_resume(job.changed(config=stored), services, CPU, threads=1)
    ours = load_or_resume(job, services, CPU, threads=1)
    for run in (earlier, ours):
        run.advance()
    expected, found = ours.trainer.state_dict(), earlier.trainer.state_dict()
    assert all(torch.equal(found[name], each) for name, each in expected.items())


def test_a_subset_of_an_evaluation_starts_as_its_version_did(services: Services) -> None:
    config, dataset = job_of(services).config, services.datasets.get("set")
    version = ModelVersion(
        model="m",
        version=1,
        classes=config["classes"],
        resolution=32,
        mode="L",
        preset="fewshot",
        config=config,
        training_job="job-1",
        dataset_digest=dataset.digest,
        weights_sha256="w",
        created_at=now(),
    )
    evaluation = EvaluationJob(
        id="evaluation-1",
        kind="evaluation",
        state=JobState.RUNNING,
        version=version.ref,
        dataset=dataset.id,
        config={"max_seconds": None},
        progress=TrainingProgress(total_steps=1),
        created_at=now(),
    )
    squares = services.datasets.load(dataset.id, 32)
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    run = subset_run(
        evaluation,
        version,
        images,
        torch.from_numpy(squares.type_index),
        torch.from_numpy(squares.photograph),
        [None] * len(images),
        7,
        services,
        CPU,
        threads=1,
    )
    assert is_prior(run, services)


def test_a_prior_that_is_not_there_is_named(services: Services) -> None:
    job = job_of(services)
    gone = job.changed(config={**job.config, "prior": "0123456789abcdef"})
    with pytest.raises(UnknownPrior, match=r"0123456789ab… .* FLAWSMITH_PRIORS_DIR"):
        load_or_resume(gone, services, CPU, threads=1)


def test_every_shipped_prior_fits_into_the_networks_that_its_card_names() -> None:
    shipped = Priors(None)
    assert {each.shape for each in shipped.cards} == {"64 px gray", "64 px color", "128 px gray", "128 px color"}
    for card in shipped.cards:
        networks = load_prior(shipped.path(card.weights_sha256))
        assert all(torch.isfinite(each).all() for weights in networks.values() for each in weights.values())
        config = PRESETS["fewshot"].fields_of(card.config)
        shape = 16, config["channels"], config["resolution"], config["resolution"]
        trainer = PriorTrainer(config, torch.randint(0, 256, shape, dtype=torch.uint8), CPU)
        trainer.load_prior(networks)  # raises where a shape differs
        assert trainer.preview().float().std() > 5, f"the prior for {card.shape} draws nothing"


def test_the_verdict_of_a_run_that_did_not_leave_its_start_is_failing(services: Services) -> None:
    job = job_of(services)
    run = load_or_resume(job, services, CPU, threads=1)
    card = {
        "preset": "fewshot",
        "config": job.config,
        "classes": job.config["classes"],
        "precision": "float32",
        "qualified_on": "cpu",
    }
    weights = networks_of(run)["generator"]
    start = start_generator(weights, card, services, CPU)
    assert start is not None
    published = PublishedGenerator(weights, device=CPU, **card)
    assert (start.sample(7, "pits") == published.sample(7, "pits")).all()
    dataset = services.datasets.get("set")
    steps = verdict_in_steps(
        published, start=start, preset="fewshot", config=job.config, dataset_digest=dataset.digest, services=services
    )
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    judged = end.value.value.judged
    assert judged.verdict.state is VerdictState.FAILING
    assert any("training started from" in each for each in judged.verdict.reasons)
    assert {each.type: each.value for each in judged.measures if each.name == "start_rate"} == dict.fromkeys(
        job.config["classes"], 1.0
    )


def test_there_is_no_start_to_compare_with_where_there_was_no_prior_or_it_is_gone(services: Services) -> None:
    config = job_of(services).config
    for prior in (None, "0123456789abcdef"):
        assert start_generator({}, {"config": {**config, "prior": prior}}, services, CPU) is None
