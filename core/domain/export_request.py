"""The body of POST /exports, and the images that it means."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from flawsmith.core.domain.addresses import SEEDS
from flawsmith.core.domain.attributes import Attributes, AttributesOfBody, to_json
from flawsmith.core.domain.export_layouts import ExportLayout, LabelKind, why_not
from flawsmith.core.domain.export_splits import Shares
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.request_body import examples
from flawsmith.core.domain.webhook_targets import JobRequest

MOST_IMAGES = 100_000
TRIES = 21  # candidates for each image, on average: as many as POST /generate draws
SPARE_TRIES = 16 * TRIES  # before an export gives up, so that bad luck at its beginning does not end it

_Count = Annotated[int, Field(ge=1, le=MOST_IMAGES)]


class CannotExport(Exception):
    """No export can be made of a request. ``pointer`` is the JSON pointer of the wrong value in the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.detail = pointer, detail


class ExportRequest(JobRequest):
    """The body of POST /exports."""

    model_config = examples({"model": "steel", "count": 100})

    model: str | None = Field(
        None, min_length=1, max_length=140, description="`scratches`, `scratches@2`, `scratches@production`"
    )
    composition: str | None = Field(
        None, min_length=1, max_length=64, description="instead of `model`: the id of a composition job that succeeded"
    )
    count: _Count | None = Field(None, description="images, of all types of the model in turn; of a composition, all")
    per_type: dict[str, _Count] | None = Field(
        None, min_length=1, max_length=1000, description="images of each defect type, instead of `count`"
    )
    layout: ExportLayout = Field("imagefolder", description="of the archive; all but imagefolder need masks or boxes")
    split: Shares | None = Field(
        None,
        description="the share of each split; the address of an image decides which it is in. null: no splits",
        examples=[{"train": 0.8, "val": 0.2}],
    )
    max_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="to a training photograph, at most, as in POST /generate; nearer images are left out",
    )
    seed: int = Field(
        0, ge=0, lt=SEEDS, description="the first seed; images that are left out are replaced by later ones"
    )
    attributes: AttributesOfBody | None = Field(
        None,
        description="what all images shall be, as in POST /generate, of the `attributes` that the version's card "
        "lists; seeds that draw no such image are left out",
        examples=[{"angle": [30, 60]}, {"brightness": [100, 150]}],
    )
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher priority run first")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.model is None) == (self.composition is None):
            raise PydanticCustomError("composition", "give one of 'model' and 'composition'")
        return self

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if self.composition is not None:
            for name in ("per_type", "max_similarity", "seed", "attributes"):
                if name in self.model_fields_set:
                    raise PydanticCustomError(
                        name, "'{name}' is of the images of a model; leave it out", {"name": name}
                    )
        elif (self.count is None) == (self.per_type is None):
            raise PydanticCustomError("count", "give one of 'count' and 'per_type'")
        return self


def resolve_export(
    request: ExportRequest,
    version: ModelVersion,
    labels: LabelKind,
    floor: float | None,
    canonical: Callable[[Sequence[str]], Attributes] = lambda _: (),
) -> dict[str, Any]:
    """The whole configuration of an export, as the job's record shows it.

    Beside the body's values: ``counts`` of images by type, ``seed_step`` from one seed of a type to the next, and the
    ``floor``, the lowest score of an image. ``attributes`` stand there only where some are given.

    Args:
        request: the body.
        version: that ``model`` stands for.
        labels: what the version's images come with.
        floor: the version's quality floor; None: it has none.
        canonical: the canonical attributes of the body, for images of these types.

    Raises:
        CannotExport: the version does not know a type, the layout needs other labels, or too much is asked for.
    """
    _check_layout(request, labels, version.ref)
    counts = _counts(request, version)
    step = 1 if request.per_type else len(version.classes)
    last = request.seed + step * (TRIES * max(counts.values()) + SPARE_TRIES)
    if last >= SEEDS:
        raise CannotExport("/seed", f"so many images may need seeds up to {last - request.seed} later: too high a seed")
    config = {
        **request.model_dump(exclude={"model", "composition", "count", "per_type", "attributes"}),
        "counts": counts,
        "seed_step": step,
        "floor": floor,
    }
    attributes = canonical(list(counts))
    return {**config, "attributes": to_json(attributes)} if attributes else config


def resolve_composition_export(request: ExportRequest, images: int) -> dict[str, Any]:
    """The whole configuration of an export of a composition job's first ``count`` images, as `resolve_export` has it.

    Args:
        request: the body.
        images: of the composition job.

    Raises:
        CannotExport: it has not so many images, or the layout has splits of its own.
    """
    _check_layout(request, LabelKind.MASKS, "compositions")
    if request.count is not None and request.count > images:
        raise CannotExport("/count", f"{request.count} images; the composition job has {images}, and null means all")
    return {
        **request.model_dump(include={"layout", "split", "priority"}),
        "count": images if request.count is None else request.count,
    }


def candidate_seed(config: dict[str, Any], version: ModelVersion, defect_type: str, number: int) -> int:
    """The seed of a type's candidate number 0, 1, …

    With ``count``, seeds s, s+1, … take the types in turn, as in POST /generate: a seed's type is seed modulo their
    number. With ``per_type``, each type has the seeds s, s+1, …
    """
    step: int = config["seed_step"]
    first: int = config["seed"]
    return first + (version.classes.index(defect_type) - first) % step + step * number


def _check_layout(request: ExportRequest, labels: LabelKind, source: str) -> None:
    if reason := why_not(request.layout, labels, source):
        raise CannotExport("/layout", reason)
    if request.layout == "mvtec" and request.split is not None:
        raise CannotExport(
            "/split", "'mvtec' has splits of its own: all images of defects are in 'test'; leave this out"
        )


def _counts(request: ExportRequest, version: ModelVersion) -> dict[str, int]:
    classes = version.classes
    if request.per_type is None:
        assert request.count is not None
        first = request.seed % len(classes)  # the type of the first seed has one more where they do not divide
        turns = {each: (index - first) % len(classes) for index, each in enumerate(classes)}
        counts = {each: (request.count - turns[each] + len(classes) - 1) // len(classes) for each in classes}
        return {each: count for each, count in counts.items() if count}
    for each in request.per_type:
        if each not in classes:
            name = each.replace("~", "~0").replace("/", "~1")
            known = ", ".join(classes)
            raise CannotExport(f"/per_type/{name}", f"unknown defect_type '{each}'; this model knows: {known}")
    total = sum(request.per_type.values())
    if total > MOST_IMAGES:
        raise CannotExport("/per_type", f"{total} images; an export holds at most {MOST_IMAGES}")
    return {each: request.per_type[each] for each in classes if each in request.per_type}
