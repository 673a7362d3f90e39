"""Errors name the place first, then what was expected and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest

from base.errors import InputError
from base.parsing import parse


@dataclass(frozen=True)
class Part:
    colour: Literal["red", "blue"] = "red"
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    label: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.label == "bad":
            raise ValueError("label: expected a good one, found 'bad'")


@dataclass(frozen=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    part: Part = Part()
    counts: dict[str, int] = field(default_factory=dict)
    colours: dict[str, Literal["red", "blue"]] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected a mapping, found a list"),
        ({}, "expected the key 'name', found none"),
        ({"name": 3}, "name: expected a string, found 3"),
        ({"name": None}, "name: expected a string, found nothing"),
        ({"name": "a", "parts": 5}, "parts: expected a list, found 5"),
        ({"name": "a", "parts": [{}, "b"]}, "parts[1]: expected a mapping, found 'b'"),
        ({"name": "a", "part": {"share": "x"}}, "part: share: expected a number, found 'x'"),
        ({"name": "a", "part": {"share": 2}}, "part: share: expected a number <= 1.0, found 2"),
        (
            {"name": "a", "part": {"label": 1}},
            "part: label: expected a string or a list, found 1",
        ),
        (
            {"name": "a", "parts": [{"colour": "green"}]},
            "parts[0]: colour: expected one of red, blue, found 'green'",
        ),
        ({"name": "a", "colours": {"x": "green"}}, "colours: expected one of red, blue, found"),
        ({"name": "a", "counts": {"x": "many"}}, "counts: expected an integer, found a string"),
        ({"name": "a", "part": {"label": "bad"}}, "part: label: expected a good one, found 'bad'"),
        ({"name": "a", "part": {"label": 10**99}}, "part: label: expected a string or a list"),
    ],
)
def test_a_wrong_value(values: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Whole, values, where="a.yaml")
    assert str(error.value).startswith(f"a.yaml: {message}")
    assert "`" not in str(error.value)


def test_long_values_are_not_shown() -> None:
    with pytest.raises(InputError, match="share: expected a number, found a string") as error:
        parse(Whole, {"name": "a", "part": {"share": "x" * 1000}, "parts": []}, where="a.yaml")
    assert len(str(error.value)) < 100
