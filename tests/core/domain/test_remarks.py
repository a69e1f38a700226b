"""Notes and tags: what they may be, how they change, and what a list is narrowed to."""

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from flawsmith.core.domain.records import now
from flawsmith.core.domain.remarks import MOST_TAGS, Remarks, RemarksChange, RemarksFilter, TooManyTags


def change(**body: object) -> RemarksChange:
    return RemarksChange.model_validate(body)


def test_what_is_left_out_stays() -> None:
    before = Remarks(note="as it was", tags=["a", "b"], noted_at=now())
    assert change(note="new").of(before).tags == ["a", "b"]
    assert change(tags=["c"]).of(before).note == "as it was"
    added = change(add_tags=["c", "a"], remove_tags=["b", "z"]).of(before)
    assert (added.note, added.tags) == ("as it was", ["a", "c"])
    assert change(note=None).of(before).note is None
    assert change(note=" \n ").of(before).note is None
    assert change(note="").of(before).note is None
    assert change(tags=None).of(before).tags == []
    assert change().of(before) is before
    assert change(tags=["a", "b", "a"]).of(before) is before, "nothing is changed, so it was not noted anew"


def test_a_change_is_later_than_what_it_changes_even_where_the_clock_went_back() -> None:
    tomorrow = Remarks(note="from a clock that was wrong", noted_at=now() + timedelta(days=1))
    assert change(note="new").of(tomorrow).later_than(tomorrow)


def test_there_are_at_most_20_tags() -> None:
    many = [f"t{number}" for number in range(MOST_TAGS)]
    full = change(tags=many).of(Remarks())
    assert full.tags == many
    with pytest.raises(TooManyTags, match="there would be 21 tags, and 20 is the most"):
        change(add_tags=["one more"]).of(full)
    assert change(add_tags=["one more"], remove_tags=["t0"]).of(full).tags == [*many[1:], "one more"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"tags": [""]}, "at least 1"),
        ({"tags": ["x" * 65]}, "at most 64"),
        ({"tags": ["a,b"]}, "no comma"),
        ({"tags": [" a"]}, "no space at its ends"),
        ({"tags": ["a\nb"]}, "no line break"),
        ({"tags": ["a\u2028b"]}, "no line break"),
        ({"tags": [f"t{number}" for number in range(21)]}, "at most 20"),
        ({"tags": "a"}, "list"),
        ({"tags": [1]}, "string"),
        ({"tags": ["a"], "add_tags": ["b"]}, "replaces all tags"),
        ({"note": "x" * 4_001}, "at most 4000"),
        ({"note": "bell \a"}, "no control characters"),
        ({"note": 5}, "string"),
        ({"notes": "x"}, "Extra inputs"),
    ],
)
def test_what_is_no_remark_is_refused_in_words(body: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        RemarksChange.model_validate(body)


def test_what_looks_equal_is_one_tag() -> None:
    assert change(tags=["Öl", "O\u0308l"]).tags == ["Öl"]
    assert RemarksFilter.of("O\u0308l", None).tags == ("Öl",)


@pytest.mark.parametrize(
    ("tag", "search", "fits"),
    [
        (None, None, True),
        ("line-3", None, True),
        ("line-3, rust", None, True),
        ("line-3,gone", None, False),
        ("LINE-3", None, False),
        ("", " ", True),
        (None, "LAMP steel", True),
        (None, "lamp zinc", False),
        (None, "ÄUSSERST", True),
        (None, 'say "yes"', True),
        (None, "a\\b", True),
        ("rust", "lamp", True),
    ],
)
def test_a_list_is_narrowed_to_all_tags_and_all_words(tag: str | None, search: str | None, fits: bool) -> None:
    tags, note = ["line-3", "rust"], 'New lamp: I say "yes", äußerst hell, a\\b'
    wanted = RemarksFilter.of(tag, search)
    assert wanted.fits(tags, [note, "steel@2", *tags]) is fits
    record = json.dumps({"note": note, "tags": tags, "produced": "steel@2"}, ensure_ascii=False)
    assert wanted.may_fit(record.encode()) or not fits, "a record that fits would be passed over"
