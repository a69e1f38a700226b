"""From a training request to the whole configuration of its run, and from a stored configuration to a trainer's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flawsmith.core.domain.crops import GRID_ABOVE, NATIVE_ABOVE, WHOLE, Around, Crop
from flawsmith.core.domain.image_modes import CHANNELS, mode_of
from flawsmith.core.domain.job_config import (
    HOLDOUT_FIELDS,
    TRAINER_FIELDS,
    InheritedHoldout,
    JobConfig,
    Start,
)
from flawsmith.core.domain.learned_labels import CountMasked, NoLabels, learned_labels
from flawsmith.core.domain.presets.preset import Length, Overrides, Preset
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.priors import PriorCard, fitting, why_none_fits
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.size_notes import resolution_note, size_notes
from flawsmith.core.domain.training_request import DEFAULT_PRESET, TrainingRequest

Measure = Callable[[Dataset, Crop, int], Dataset]
"""A dataset with the effect of a crop at a resolution in ``crops``, and the types of its squares in ``classes``."""

FEWEST_DISTINCT = 2  # photographs of a type


class CannotTrain(Exception):
    """No run can be made of a request. ``pointer`` is the JSON pointer of the wrong value in the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.detail = pointer, detail


class WrongConfig(Exception):
    """A stored configuration does not have the fields of its preset; the message names them."""


@dataclass(frozen=True)
class Resolved:
    """What a request became: the whole configuration, and sentences on what was chosen for it, and why."""

    config: dict[str, Any]
    notes: list[str]


def resolve(request: TrainingRequest, dataset: Dataset, origin: ModelVersion | None = None) -> dict[str, Any]:
    """The configuration of `resolve_request`, where there are no priors."""
    return resolve_request(request, dataset, origin).config


def resolve_request(
    request: TrainingRequest,
    dataset: Dataset,
    origin: ModelVersion | None = None,
    priors: Sequence[PriorCard] = (),
    measure: Measure | None = None,
    masked: CountMasked = lambda dataset: {},
) -> Resolved:
    """The whole configuration of a run, defaults included, as the job's record shows it.

    Args:
        request: the body of POST /training-jobs.
        dataset: the dataset that it names.
        origin: the version that ``init_from`` names.
        priors: those that a job can start from.
        measure: of squares whose number depends on more than the record. Without it the default crop is one of `WHOLE`.
        masked: counts the photographs with masks.

    Raises:
        CannotTrain: a type has fewer than two different photographs, the preset has no layers for the resolution,
            ``origin`` is of another preset or has networks of another shape, a prior is demanded and none fits, or
            masks are to be learned where there are none. Of a preset without networks: nothing is annotated, or a
            value asks for what only training has.
        pydantic.ValidationError: an override is unknown or out of its bounds.
    """
    _check_photographs(dataset)
    preset = PRESETS[request.preset]
    if not preset.has_networks:
        return _resolve_untrained(request, preset, dataset, measure)
    if origin and not origin.has_networks:
        made_of = "its images are composed of photographs, and it has no weights to start from"
        raise CannotTrain("/init_from", f"{origin.ref} is of preset '{origin.preset}': {made_of}")
    if origin and origin.preset != preset.name:
        raise CannotTrain("/preset", f"{origin.ref} is of preset '{origin.preset}'; init_from needs the same")
    inherited = _shape(preset, origin) if origin else {}
    default = inherited.pop("resolution", preset.resolution_for(dataset, request.max_seconds))
    resolution = default if request.resolution is None else request.resolution
    notes = [] if origin or request.resolution else [resolution_note(preset, dataset, resolution)]
    _check_resolution(preset, resolution)
    crop = _crop(request, dataset, resolution, measure is not None)
    trained = _cropped(measure(dataset, crop, resolution) if measure and crop.measured else dataset, crop)
    labels, words = _labels(request, preset, dataset, origin, masked)
    words = [*size_notes(request, preset, dataset, crop, resolution), *words] if not origin else words
    given = _overrides(request, preset, origin, inherited)
    batch_size: int = given.model_dump()["batch_size"]
    job = _job_config(request, preset, trained, crop, origin, resolution, batch_size)
    job = job.model_copy(update={"labels": labels})
    overrides = given.completed(trained, resolution, job.total_steps, job.max_seconds).model_dump()
    config = {**job.model_dump(mode="json"), **overrides}
    if labels and config.get("wavelet"):
        raise CannotTrain("/labels", "networks with 'wavelet' learn no masks; leave one of the two out")
    if origin:
        _check_shape(preset, config, origin)
        notes.append(f"starts from the weights of {origin.ref}")
        if config["inherited_holdout"]:
            notes.append(f"the photographs that {origin.ref} was judged with stay held out")
        elif dataset.parent:
            notes.append(
                f"{origin.ref} was not trained on a dataset that this one continues: photographs that it was judged "
                "with may be trained on, if they are here"
            )
        # Its images must not be the prior's either, and that one did not have to come far.
        return Resolved({**config, "prior": origin.config.get("prior")}, [*notes, *words])
    start, prior, note = _start(request, preset, config, priors)
    return Resolved({**config, "start": start, "prior": prior}, [*notes, note, *words])


def _resolve_untrained(request: TrainingRequest, preset: Preset, dataset: Dataset, measure: Measure | None) -> Resolved:
    """`resolve_request` for a preset without networks: a step cuts the defects out of one photograph."""
    for name in ("init_from", "start"):
        if getattr(request, name) is not None:
            raise CannotTrain(f"/{name}", f"preset '{preset.name}' trains nothing that could start from weights")
    if Around.ANNOTATIONS not in dataset.crops:
        raise CannotTrain(
            "/dataset",
            f"nothing is annotated in the photographs of '{dataset.name}', and preset '{preset.name}' cuts out what "
            "is: upload them with masks, outlines or boxes (COCO, YOLO, VOC, image and mask pairs, …)",
        )
    crop = (request.crop or Crop(around=Around.ANNOTATIONS)).completed()
    if crop.around is not Around.ANNOTATIONS or not crop.native:
        words = f"preset '{preset.name}' keeps the photographs' scale, in squares around annotations: leave 'crop' out"
        raise CannotTrain("/crop", words)
    _check_photographs(dataset)
    resolution = preset.resolution_for(dataset, None) if request.resolution is None else request.resolution
    _check_resolution(preset, resolution)
    measured = measure(dataset, crop, resolution) if measure else dataset
    cut_out_of = dataset.image_count - measured.crops[crop.around].left_out
    of_photographs = measured.model_copy(update={"image_count": cut_out_of})
    unused = [name for name in ("epochs", "steps", "max_seconds", "patience") if getattr(request, name) is not None]
    alone = request.model_copy(update=dict.fromkeys(unused) | {"epochs": 1})
    job = _job_config(alone, preset, of_photographs, crop, None, resolution, batch_size=1)
    given = preset.overrides.model_validate(request.overrides)
    overrides = given.completed(measured, resolution, job.total_steps, None)
    notes = [f"preset '{preset.name}' trains nothing: {' and '.join(map(repr, unused))} not used"] if unused else []
    if request.labels is not None:
        notes.append(f"images of preset '{preset.name}' have masks in any case: 'labels' not used")
    if request.resolution is None:
        notes.append(f"resolution {resolution}, by the size of the defects at the photographs' own scale")
    return Resolved({**job.model_dump(mode="json"), **overrides.model_dump(mode="json")}, notes)


def trainer_config(preset_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The part of a job's configuration that its trainer takes: `TRAINER_FIELDS` and all fields of the preset.

    A configuration that an earlier release stored is read under the field names of today; it is not changed.

    Raises:
        UnknownPreset: this process does not know the preset.
        WrongConfig: a field is missing or unknown.
    """
    preset = PRESETS[preset_name]
    fields = preset.fields_of(config)
    needed = {*TRAINER_FIELDS, *preset.overrides.model_fields}
    if missing := needed - fields.keys():
        raise WrongConfig(
            f"preset '{preset.name}' needs fields that the configuration lacks: {', '.join(sorted(missing))}"
        )
    if unknown := fields.keys() - needed - JobConfig.model_fields.keys():
        raise WrongConfig(
            f"preset '{preset.name}' does not know fields of the configuration: {', '.join(sorted(unknown))}"
        )
    return {name: value for name, value in fields.items() if name in needed}


def _labels(
    request: TrainingRequest, preset: Preset, dataset: Dataset, origin: ModelVersion | None, masked: CountMasked
) -> tuple[Literal["mask"] | None, list[str]]:
    try:
        return learned_labels(request, preset, dataset, origin, masked)
    except NoLabels as error:
        raise CannotTrain("/labels", str(error)) from error


def _check_resolution(preset: Preset, resolution: int) -> None:
    if resolution not in preset.resolutions:
        known = ", ".join(map(str, preset.resolutions))
        has, of = ("has layers", "for") if preset.has_networks else ("makes images", "of")
        raise CannotTrain("/resolution", f"preset '{preset.name}' {has} {of} {known}, not {of} {resolution}")


def usual_resolution(dataset: Dataset) -> int:
    """That of a job on the dataset that says nothing but its name."""
    return PRESETS[DEFAULT_PRESET].resolution_for(dataset, None)


def _start(
    request: TrainingRequest, preset: Preset, config: dict[str, Any], priors: Sequence[PriorCard]
) -> tuple[Start, str | None, str]:
    """What the run begins with, the prior's digest, and a sentence on it. Raises CannotTrain."""
    if request.start == "nothing":
        return "nothing", None, "starts from nothing, as the request says"
    if prior := fitting(priors, preset, config):
        return "prior", prior.weights_sha256, f"starts from the prior for {prior.shape}, learned from drawn surfaces"
    reason = why_none_fits(priors, preset, config)
    if request.start == "prior":
        alike = [each.config for each in priors if each.preset == preset.name]
        others = sorted({each["resolution"] for each in alike if each["channels"] == config["channels"]})
        missing = others and config["resolution"] not in others
        sizes = f"; set 'resolution' to {' or '.join(map(str, others))}" if missing else ""
        raise CannotTrain(
            "/start", f"{reason}{sizes}; leave 'start' out, or set it to 'nothing', to start from nothing"
        )
    return "nothing", None, f"starts from nothing: {reason}"


def _job_config(
    request: TrainingRequest,
    preset: Preset,
    dataset: Dataset,
    crop: Crop,
    origin: ModelVersion | None,
    resolution: int,
    batch_size: int,
) -> JobConfig:
    if request.epochs is None and request.steps is None:
        length = preset.default_length(dataset, batch_size)
    else:
        length = Length(request.epochs, request.steps)
    steps_per_epoch = -(-dataset.image_count // batch_size)
    return JobConfig(
        resolution=resolution,
        channels=CHANNELS[dataset.mode],
        classes=sorted(dataset.classes),
        crop=crop,
        scale=_scale(dataset, crop, resolution),
        whole_photographs=True,
        seed=request.seed,
        epochs=length.epochs,
        steps_per_epoch=steps_per_epoch,
        total_steps=length.total_steps(steps_per_epoch),
        priority=request.priority,
        max_seconds=request.max_seconds,
        patience=request.patience,
        deterministic=request.deterministic,
        init_from=origin.ref if origin else None,
        holdout_by="photograph",
        inherited_holdout=inherited_holdout(dataset, origin) if origin else None,
    )


def inherited_holdout(dataset: Dataset, origin: ModelVersion) -> InheritedHoldout | None:
    """What the run of a version held out, where a dataset with a parent has its photographs; None elsewhere.

    A dataset without a parent is held out anew, as in earlier releases.
    """
    count = dataset.photographs_of(origin.dataset_digest) if dataset.parent else None
    if count is None:
        return None
    return InheritedHoldout(
        version=origin.ref,
        dataset_digest=origin.dataset_digest,
        photographs=count,
        preset=origin.preset,
        config={name: origin.config[name] for name in HOLDOUT_FIELDS if name in origin.config},
    )


def _crop(request: TrainingRequest, dataset: Dataset, resolution: int, measurable: bool) -> Crop:
    """What the request says; else around annotations, or a grid at native scale over large photographs."""
    if request.crop:
        if request.crop.around is Around.ANNOTATIONS and Around.ANNOTATIONS not in dataset.crops:
            others = ", ".join(WHOLE)
            raise CannotTrain("/crop/around", f"'{dataset.name}' has no annotations to cut around; choose: {others}")
        return request.crop.completed()
    if measurable and dataset.crop is Around.ANNOTATIONS:
        return Crop(around=Around.ANNOTATIONS).completed()
    if measurable and dataset.crops and dataset.largest_square > NATIVE_ABOVE * resolution:
        return Crop(around=Around.GRID, native=True).completed()
    if dataset.crop in WHOLE:
        return Crop(around=dataset.crop)
    return Crop(around=Around.GRID if max(dataset.size.max) > GRID_ABOVE * min(dataset.size.max) else Around.MIDDLE)


def _cropped(dataset: Dataset, crop: Crop) -> Dataset:
    """The dataset with as many images as there are squares to train on."""
    effect = dataset.crops.get(crop.around)
    return dataset.model_copy(update={"image_count": effect.images}) if effect else dataset


def _scale(dataset: Dataset, crop: Crop, resolution: int) -> float | None:
    """Pixels of a photograph for one of an image, at the median; None for datasets of earlier releases."""
    effect = dataset.crops.get(crop.around)
    return round(effect.side / resolution, 4) if effect and effect.side else None


def _check_photographs(dataset: Dataset) -> None:
    for defect_type, count in dataset.distinct.items():
        if count < FEWEST_DISTINCT:
            which = {0: "none of which shows anything", 1: "all of which show the same"}[count]
            raise CannotTrain(
                "/dataset",
                f"'{dataset.name}' has {dataset.classes[defect_type]} photographs of '{defect_type}', {which}; "
                f"at least {FEWEST_DISTINCT} different ones are needed, and 20 are few",
            )


def _other_shape(origin: ModelVersion, name: str, theirs: Any, ours: Any) -> CannotTrain:
    pointer = "/resolution" if name == "resolution" else f"/overrides/{name}"
    return CannotTrain(pointer, f"{origin.ref} has {name} {theirs}, not {ours}; leave it out, or set it to {theirs}")


def _shape(preset: Preset, origin: ModelVersion) -> dict[str, Any]:
    """The values that shaped the version's networks."""
    config = preset.fields_of(origin.config)
    return {name: config[name] for name in ("resolution", *preset.shaping, *preset.shaping_of_types)}


def _overrides(
    request: TrainingRequest, preset: Preset, origin: ModelVersion | None, inherited: dict[str, Any]
) -> Overrides:
    """Those of the request, and of the version that it starts from where the request is silent. Raises CannotTrain."""
    given = preset.overrides.model_validate(request.overrides)
    for name in given.model_fields_set & inherited.keys():
        if origin and getattr(given, name) not in (None, inherited[name]):
            raise _other_shape(origin, name, inherited[name], getattr(given, name))
    return preset.overrides.model_validate({**inherited, **request.overrides})


def _check_shape(preset: Preset, config: dict[str, Any], origin: ModelVersion) -> None:
    for name, value in _shape(preset, origin).items():
        if config[name] != value:
            raise _other_shape(origin, name, value, config[name])
    if config["channels"] != origin.config["channels"]:
        mode = mode_of(config["channels"])
        raise CannotTrain("/init_from", f"{origin.ref} makes images of mode {origin.mode}, the dataset's are {mode}")
    # A network for one type is told nothing of it but the kind, so it can continue with another one.
    if config["classes"] != origin.classes and not len(config["classes"]) == len(origin.classes) == 1:
        theirs, ours = ", ".join(origin.classes), ", ".join(config["classes"])
        raise CannotTrain(
            "/init_from", f"{origin.ref} knows {theirs}, and the dataset has {ours}; they must be the same"
        )
