"""Attributes of images: their ranges and the texts that addresses have of them."""

import math
from typing import Any

import pytest

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Attribute, InvalidRange, Range, angle_attribute, range_text

ANGLE = angle_attribute()
BRIGHTNESS = Attribute(range=(0.0, 255.0), unit="gray levels", wraps=False)


@pytest.mark.parametrize(
    ("given", "canonical", "text"),
    [
        ([30, 60], (30, 60), "30..60"),
        ([170, 10], (170, 10), "170..10"),
        ([0, 180], (0, 180), "0..180"),
        ([45, 45], (45, 45), "45..45"),
        ([12.5, 20.25], (12.5, 20.25), "12.5..20.25"),
        ([0.1 + 0.2, 100 / 3], (0.3, 33.33), "0.3..33.33"),
        ([0, 0], (0, 0), "0..0"),
        ([-0.0, 5], (0, 5), "0..5"),
        # 180 degrees are 0 degrees: one range, one text
        ([180, 10], (0, 10), "0..10"),
        ([170, 0], (170, 180), "170..180"),
        ([180, 180], (0, 0), "0..0"),
        ([179.999, 20], (0, 20), "0..20"),
    ],
)
def test_a_range_has_one_form(given: list[float], canonical: Range, text: str) -> None:
    assert ANGLE.canonical(given) == canonical
    assert range_text(ANGLE.canonical(given)) == text
    assert ANGLE.parse(text) == canonical
    assert ANGLE.canonical(canonical) == canonical
    assert "-" not in text


@pytest.mark.parametrize(
    "given",
    [
        *([30], [30, 60, 90], [], 30, "30..60", None, {"low": 30, "high": 60}, [[30], [60]]),
        *([-1, 60], [30, 180.1], [math.nan, 60], [30, math.nan], [-math.inf, math.inf], [10**400, 10]),
        *(["30", "60"], [True, False], [None, None]),
    ],
)
def test_what_is_no_range_is_refused_with_what_would_be_one(given: Any) -> None:
    with pytest.raises(InvalidRange, match=r"\[low, high\], two numbers from 0 to 180 \(degrees.*low above high wraps"):
        ANGLE.canonical(given)


@pytest.mark.parametrize(
    "text", ["", "30", "30..", "..60", "30-60", "30..60..90", "-1..5", "+3..5", "1e1..20", "nan..1"]
)
def test_a_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRange, match=r"LOW\.\.HIGH"):
        ANGLE.parse(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        *(("30.0..60", "30..60"), ("030..60", "30..60"), ("12.50..60", "12.5..60")),
        *(("12.345..60", "12.35..60"), ("180..10", "0..10"), ("170..0", "170..180")),
    ],
)
def test_another_spelling_is_refused_with_the_right_one(text: str, right: str) -> None:
    with pytest.raises(InvalidRange, match=f"written {right}$"):
        ANGLE.parse(text)


def test_without_wrapping_a_range_must_not_be_reversed() -> None:
    assert BRIGHTNESS.canonical([10, 255]) == (10, 255)
    assert BRIGHTNESS.canonical([255, 255]) == (255, 255)
    with pytest.raises(InvalidRange, match="low not above high"):
        BRIGHTNESS.canonical([60, 30])


@pytest.mark.parametrize("attributes", [(), (("angle", (30.0, 60.0)),), (("angle", (170.0, 10.25)), ("b", (0.0, 1.0)))])
def test_an_address_comes_back_from_its_text_and_its_json(attributes: Any) -> None:
    address = Address("edge: left? a=1..2&b", 2**53 - 1, attributes)
    assert Address.parse(str(address)) == address
    assert Address.from_json(address.to_json()) == address
    assert ("attributes" in address.to_json()) == bool(attributes)


def test_addresses_of_the_same_seed_differ_by_their_attributes() -> None:
    addresses = {Address("pits", 1), Address("pits", 1, (("angle", (30.0, 60.0)),)), Address("pits", 1, ())}
    assert len(addresses) == len(set(map(str, addresses))) == 2
    assert {each.plain for each in addresses} == {Address("pits", 1)}
