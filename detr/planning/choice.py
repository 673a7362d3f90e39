"""A choice of settings, with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from detr.settings import Settings


@dataclass(frozen=True)
class Choice:
    """Values of settings that are chosen together, and why."""

    values: Mapping[str, Any]
    reason: str

    def __str__(self) -> str:
        """Return the values and the reason as one line."""
        named = ", ".join(f"{key} {_text(value)}" for key, value in self.values.items())
        return f"{named}: {self.reason}"

    def without(self, given: Iterable[str]) -> Choice:
        """Return the choice without the settings that were given by hand."""
        left = {key: value for key, value in self.values.items() if key not in set(given)}
        return Choice(left, self.reason)


def values_of(choices: Iterable[Choice]) -> dict[str, Any]:
    """Return the values of all choices."""
    return {key: value for choice in choices for key, value in choice.values.items()}


def reasons_of(choices: Iterable[Choice]) -> dict[str, str]:
    """Return the reason of each chosen setting."""
    return {key: choice.reason for choice in choices for key in choice.values}


def left_open(choices: Iterable[Choice], settings: Settings) -> tuple[Choice, ...]:
    """Return the choices about settings that were not given by hand."""
    remaining = (choice.without(settings.values) for choice in choices)
    return tuple(choice for choice in remaining if choice.values)


def _text(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
