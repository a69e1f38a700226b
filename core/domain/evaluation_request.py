"""The body of POST /models/{name}/versions/{v}/evaluations, and what of it can be done."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.image_modes import CHANNELS
from flawsmith.core.domain.presets.registry import PRESETS, UnknownPreset
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.request_body import examples
from flawsmith.core.domain.training_request import HIGHEST_SEED
from flawsmith.core.domain.webhook_targets import JobRequest

CLEAN = "good"  # the type of photographs without a defect, which a version of one type is told from
CLASSIFIER_STEPS = 400
HELD_OUT_SHARE = 3  # one photograph of so many is held out
MOST_HELD_OUT = 100  # photographs of a type
FURTHER_ARMS = 3  # beside those with photographs and generated images: real, synthetic, paste
MOST_SYNTHETIC_BYTES = 512 * 2**20  # of the generated images of one subset, which a worker holds in memory


class CannotEvaluate(Exception):
    """No evaluation can be made of a request. ``pointer`` is the JSON pointer of the wrong value in the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.detail = pointer, detail


class EvaluationRequest(JobRequest):
    """The body of POST /models/{name}/versions/{v}/evaluations."""

    model_config = examples({"dataset": "steel", "per_type": [10], "repeats": 5, "max_seconds": 150})

    dataset: str = Field(min_length=1, max_length=64, description="a dataset's id or name, with the version's types")
    per_type: list[Annotated[int, Field(ge=2, le=10_000)]] = Field(
        [10, 50], min_length=1, max_length=8, description="photographs of each type that the classifiers see"
    )
    ratios: list[Annotated[float, Field(ge=0.01, le=20)]] = Field(
        [0.5, 1.0, 2.0, 4.0], min_length=1, max_length=8, description="generated images for each photograph"
    )
    repeats: int = Field(
        5, ge=2, le=50, description="subsets of each size; an interval needs at least 2, and is wide with fewer than 5"
    )
    retrain: bool = Field(
        True,
        description="train a generator for each subset, as the version's was trained, on what the classifier sees; "
        "false: sample the version, which has seen photographs that classifiers are tested on",
    )
    max_seconds: float | None = Field(None, gt=0, le=1e9, description="of training for each subset; null: no bound")
    seed: int = Field(0, ge=0, le=HIGHEST_SEED, description="of everything random in the evaluation")
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher priority run first")

    @field_validator("per_type", "ratios")
    @classmethod
    def _each_once(cls, values: list[float]) -> list[float]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands in the list twice; give each once")
        return values


def held_out_count(photographs: int) -> int:
    """How many photographs of a type are held out, to test classifiers on."""
    return min(MOST_HELD_OUT, max(1, photographs // HELD_OUT_SHARE))


def resolve_evaluation(request: EvaluationRequest, dataset: Dataset, version: ModelVersion) -> dict[str, Any]:
    """The whole configuration of an evaluation, as the job's record shows it.

    Beside the body's values: ``types`` that classifiers tell apart, `CLEAN` among them where the version has one type;
    ``held_out`` photographs of each; ``unseen_by_origin``, whether only photographs are held out that the version
    which training starts from was not trained on; ``training_steps`` of a generator at most; ``classifier_steps``;
    ``not_measurable``, the reason why nothing can be measured, or None.

    Raises:
        CannotEvaluate: the dataset lacks photographs, or the version's preset is unknown.
    """
    _check_types(dataset, version)
    photographs = {each: dataset.classes[each] for each in version.classes}
    clean = dataset.layout.clean if dataset.layout else 0
    not_measurable = None
    if len(photographs) == 1:
        if clean:
            photographs[CLEAN] = clean
        else:
            not_measurable = (
                f"{version.ref} makes one type, and dataset '{dataset.name}' has no clean photographs to tell it from; "
                f"upload the photographs with a folder '{CLEAN}' beside that of the defect"
            )
    held_out = {each: held_out_count(count) for each, count in photographs.items()}
    _check_per_type(request, photographs, held_out)
    _check_memory(request, dataset, version)
    return {
        **request.model_dump(exclude={"dataset"}),
        "types": list(photographs),
        "held_out": held_out,
        "unseen_by_origin": request.retrain and _knows_what_origin_saw(dataset, version),
        "training_steps": _training_steps(version) if request.retrain else 0,
        "classifier_steps": CLASSIFIER_STEPS,
        "not_measurable": not_measurable,
    }


def _knows_what_origin_saw(dataset: Dataset, version: ModelVersion) -> bool:
    inherited = version.config.get("inherited_holdout")
    return inherited is not None and dataset.photographs_of(inherited["dataset_digest"]) is not None


def total_steps(config: dict[str, Any]) -> int:
    """Steps of all generators and classifiers; 0 where nothing can be measured."""
    if config["not_measurable"]:
        return 0
    return len(config["per_type"]) * int(config["repeats"]) * subset_steps(config)


def subset_steps(config: dict[str, Any]) -> int:
    """Steps for one subset: those of its generator, then those of the classifier of each arm."""
    arms = len(config["ratios"]) + FURTHER_ARMS
    return int(config["training_steps"]) + arms * int(config["classifier_steps"])


def _check_types(dataset: Dataset, version: ModelVersion) -> None:
    if missing := [each for each in version.classes if each not in dataset.classes]:
        raise CannotEvaluate(
            "/dataset",
            f"dataset '{dataset.name}' has no photographs of {', '.join(missing)}, which {version.ref} makes; "
            f"its types: {', '.join(sorted(dataset.classes))}",
        )
    if dataset.mode != version.mode:
        raise CannotEvaluate(
            "/dataset",
            f"dataset '{dataset.name}' has photographs of mode {dataset.mode}, and {version.ref} makes images of mode "
            f"{version.mode}; they must be the same",
        )


def _check_per_type(request: EvaluationRequest, photographs: dict[str, int], held_out: dict[str, int]) -> None:
    left = {each: count - held_out[each] for each, count in photographs.items()}
    scarcest = min(left, key=lambda each: left[each])
    for index, count in enumerate(request.per_type):
        if count > left[scarcest]:
            raise CannotEvaluate(
                f"/per_type/{index}",
                f"there are {photographs[scarcest]} photographs of '{scarcest}', and {held_out[scarcest]} of them are "
                f"held out: per_type is at most {left[scarcest]}",
            )


def _check_memory(request: EvaluationRequest, dataset: Dataset, version: ModelVersion) -> None:
    crop = dataset.crops.get(crop_of(version.config).around)
    squares = crop.images / dataset.image_count if crop else 1.0  # of a photograph
    image = version.resolution**2 * CHANNELS[version.mode] * len(version.classes) * squares
    most = int(MOST_SYNTHETIC_BYTES / image)
    if max(request.per_type) * max(request.ratios) > most:
        raise CannotEvaluate("/ratios", f"a worker can hold {most} generated images: that is the most per_type * ratio")


def _training_steps(version: ModelVersion) -> int:
    if not version.has_networks:
        raise CannotEvaluate(
            "/retrain",
            f"{version.ref} trains no networks, so none can be trained again; 'retrain': false samples it as it is. "
            "Every evaluation of another version has an arm 'paste'",
        )
    try:
        PRESETS[version.preset]
        return int(version.config["total_steps"])
    except (UnknownPreset, KeyError) as error:
        raise CannotEvaluate(
            "/retrain", f"{version.ref} cannot be trained again ({error}); 'retrain': false samples it as it is"
        ) from error
