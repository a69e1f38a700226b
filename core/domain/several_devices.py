"""Which training jobs can use several devices, and what is said of it before they are queued."""

from typing import Any

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.training_config import CannotTrain
from flawsmith.core.domain.training_request import TrainingRequest

WITHOUT_GRAPH = (
    "several devices record no CUDA graph, which on one GPU makes steps on small images several times as fast: "
    "compare the speed with that of one"
)


def several_devices(request: TrainingRequest, config: dict[str, Any], most: int | None) -> list[str]:
    """Sentences for the job's notes; none for a job on one device.

    Args:
        request: the body of POST /training-jobs.
        config: what it was resolved to.
        most: devices that one of the live training workers has; None while no worker is live.

    Raises:
        CannotTrain: its preset cannot, its batches are too small, it must be deterministic, or no worker has as many.
    """
    count = request.devices
    if count == 1:
        return []
    if not PRESETS[request.preset].several_devices:
        able = " and ".join(f"'{each.name}'" for each in PRESETS if each.several_devices)
        raise CannotTrain("/devices", f"preset '{request.preset}' trains on one device; {able} can use several")
    if (batch_size := config["batch_size"]) < count:
        raise CannotTrain(
            "/devices",
            f"each device needs a photograph of every batch, and batch_size is {batch_size}: choose at most "
            f"{batch_size} devices, or a larger batch_size",
        )
    if request.deterministic:
        raise CannotTrain(
            "/devices",
            "the last bits of the weights depend on how many devices are free at each moment, so that a deterministic "
            "job needs \"devices\": 1; leave one of 'devices' and 'deterministic' out",
        )
    if most is not None and most < count:
        has = "one device" if most == 1 else f"{most} devices"
        raise CannotTrain(
            "/devices",
            f"no live training worker has {count} devices, the most is {has}: choose at most {most}, or start a worker "
            "that sees more (FLAWSMITH_TRAIN_DEVICES)",
        )
    smallest = batch_size // count
    share = str(smallest) if batch_size % count == 0 else f"{smallest} or {smallest + 1}"
    return [
        f"trains on up to {count} devices, with {share} of the {batch_size} photographs of a step on each; on fewer "
        "while other jobs need them. The weights differ from those of one device by rounding",
        *([WITHOUT_GRAPH] if config.get("cuda_graph") else []),
    ]
