"""Remarks: the note and the tags that people put on a job or a version."""

import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.domain.request_body import RequestBody, examples

MOST_TAGS = 20
LONGEST_TAG = 64  # characters
LONGEST_NOTE = 4_000
LONGEST_SEARCH = 200
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class TooManyTags(ValueError):
    """More than `MOST_TAGS` would be on one job or version."""


def _tag(text: str) -> str:
    """In Unicode's form NFC, so that what looks equal is equal."""
    tag = unicodedata.normalize("NFC", text)
    if tag != tag.strip() or "," in tag or not _printable(tag):
        raise PydanticCustomError(
            "tag", "a tag has no comma, no line break or other control character, and no space at its ends"
        )
    return tag


def _note(text: str) -> str | None:
    note = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if not _printable(note.replace("\n", "").replace("\t", "")):
        raise PydanticCustomError("note", "a note has no control characters but line breaks and tabs")
    return note or None


def _printable(text: str) -> bool:
    return not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text)


def _each_once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG), AfterValidator(_tag)]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_each_once)]
Note = Annotated[str | None, Field(max_length=LONGEST_NOTE), AfterValidator(lambda text: _note(text or ""))]


class Remarks(Record):
    """The note and the tags of a job or version. ``noted_at`` is when they were changed last; null: never."""

    note: str | None = None
    tags: list[str] = Field(default_factory=list)
    noted_at: Moment | None = None

    def later_than(self, other: "Remarks") -> bool:
        """Whether these were made after the other ones."""
        return (self.noted_at or _LONG_AGO) > (other.noted_at or _LONG_AGO)


class CheckedRemarks(Remarks):
    """Remarks that another service wrote: within the same bounds."""

    note: Note = None
    tags: Tags = Field(default_factory=list)


class RemarksChange(RequestBody):
    """The body of PATCH on a job or a version: what is left out stays."""

    model_config = examples({"note": "Line 3, new lamp", "add_tags": ["line-3"]}, {"tags": []})

    note: Note = Field(None, description="a text for people; null or blank removes it")
    tags: Tags | None = Field(None, description="in place of those that are there; null removes them")
    add_tags: Tags = Field([], description="beside those that are there")
    remove_tags: Tags = Field([], description="those that are not there do not matter")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if "tags" in self.model_fields_set and (self.add_tags or self.remove_tags):
            raise ValueError("'tags' replaces all tags; leave it out to add or remove some")
        return self

    def of(self, remarks: Remarks) -> Remarks:
        """The remarks after the change; unchanged ones are returned as they are. Raises TooManyTags."""
        given = self.model_fields_set
        kept = (self.tags or []) if "tags" in given else remarks.tags
        tags = [each for each in _each_once([*kept, *self.add_tags]) if each not in self.remove_tags]
        if len(tags) > MOST_TAGS:
            raise TooManyTags(f"there would be {len(tags)} tags, and {MOST_TAGS} is the most; remove some")
        note = self.note if "note" in given else remarks.note
        if (note, tags) == (remarks.note, remarks.tags):
            return remarks
        later = (remarks.noted_at or _LONG_AGO) + timedelta(milliseconds=1)  # also where a clock goes back
        return Remarks(note=note, tags=tags, noted_at=max(now(), later))


@dataclass(frozen=True)
class RemarksFilter:
    """What a list is narrowed to: all of the ``tags``, and all of the ``words`` in some text, whatever their case."""

    tags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, tag: str | None, search: str | None) -> "RemarksFilter":
        """Of query parameters: tags separated by commas, words by spaces."""
        tags = (unicodedata.normalize("NFC", each.strip()) for each in (tag or "").split(","))
        words = unicodedata.normalize("NFC", search or "").casefold().split()
        return cls(tuple(each for each in tags if each), tuple(words))

    def fits(self, tags: list[str], texts: list[str]) -> bool:
        """Whether these tags have all those wanted, and each word is a part of one of the texts."""
        if not set(self.tags) <= set(tags):
            return False
        folded = [each.casefold() for each in texts] if self.words else []
        return all(any(word in text for text in folded) for word in self.words)

    def may_fit(self, record: bytes | str) -> bool:
        """Whether a record as JSON can fit: looked at before it is read, which takes ten times as long."""
        if not (self.tags or self.words):
            return True
        text = record.decode() if isinstance(record, bytes) else record
        if not all(_quoted(each) in text for each in self.tags):
            return False
        folded = text.casefold() if self.words else ""
        return all(_quoted(each)[1:-1] in folded for each in self.words)


ALL = RemarksFilter()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
