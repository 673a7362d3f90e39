"""Durations in options and in messages."""

from __future__ import annotations

import pytest

from base.durations import duration, parse_duration
from base.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5h", 5400), (" 5m ", 300)]
)
def test_numbers_with_units_are_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, where="--time") == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-5m", "0s", "0.0h", "ten", "10 min", "1e3s", "5d"]
)
def test_other_text_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=f"--time: expected a time such as 90s.*'{text}'"):
        parse_duration(text, where="--time")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (150, "2 min"), (11100, "3 h 05 min")]
)
def test_durations_are_short_text(seconds: float, text: str) -> None:
    assert duration(seconds) == text
