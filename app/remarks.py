"""Notes and tags of jobs and versions: their change, and lists that are narrowed by them."""

from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import Query

from flawsmith.app.problems import invalid
from flawsmith.core.domain.records import Model
from flawsmith.core.domain.remarks import LONGEST_SEARCH, Remarks, RemarksChange, RemarksFilter, TooManyTags
from flawsmith.core.services import Services

Tagged = Annotated[
    str | None,
    Query(max_length=LONGEST_SEARCH, description="only what has this tag; several, with commas: all of them"),
]
SearchedFor = Annotated[
    str | None,
    Query(
        max_length=LONGEST_SEARCH,
        description="only what has each of these words in its note, its tags, its name or what it is of",
    ),
]


def with_tags(model: Model, services: Services) -> Model:
    """The model with the tags that any of its versions has."""
    remarks = services.registry.remarks
    tags = sorted({tag for number in model.versions for tag in remarks.of(model.name, number).tags})
    return model.changed(tags=tags)


def fitting(model: Model, wanted: RemarksFilter, services: Services) -> Iterator[int]:
    """The versions of a model that fit, newest first. A search looks at the names of the model and its aliases too."""
    for number in model.versions:
        remarks = services.registry.remarks.of(model.name, number)
        aliases = [alias for alias, target in model.aliases.items() if target == number]
        if wanted.fits(remarks.tags, [f"{model.name}@{number}", *aliases, remarks.note or "", *remarks.tags]):
            yield number


def changed_by(body: RemarksChange) -> Callable[[Remarks], Remarks]:
    """The change that a body asks for, which raises Problem 422 where there would be too many tags."""

    def change(remarks: Remarks) -> Remarks:
        try:
            return body.of(remarks)
        except TooManyTags as error:
            raise invalid("/add_tags", str(error)) from error

    return change
