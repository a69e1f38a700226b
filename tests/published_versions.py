"""Published versions whose generator is only bytes, for tests that sample nothing."""

from typing import Any

from flawsmith.core.domain.records import ModelVersion, Verdict, VerdictState
from flawsmith.core.store.registry import Registry

FAILING = Verdict(
    state=VerdictState.FAILING,
    sentence="its images cannot be told from photographs whose scratches were wiped out",
    reasons=["no measure ranks its images before wiped photographs"],
)
GOOD = Verdict(state=VerdictState.GOOD, sentence="its images are as near to photographs as photographs are")


def publish(registry: Registry, job: str, model: str = "scratches", **card: Any) -> ModelVersion:
    """Publishes the job's version of a model; ``card`` has fields of `ModelVersion` that differ."""
    with registry.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(job.encode())
        fields: dict[str, Any] = {
            "classes": ["scratches"],
            "resolution": 32,
            "mode": "L",
            "preset": "dcgan",
            "config": {},
            "training_job": job,
            "dataset_digest": "d",
            "weights_sha256": "w",
        }
        return registry.publish(model, staged, **fields | card)
