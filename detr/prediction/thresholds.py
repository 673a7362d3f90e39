"""The thresholds of a prediction, as a person gives them. Does not load torch."""

from __future__ import annotations

from dataclasses import dataclass

from base.errors import InputError


@dataclass(frozen=True)
class Thresholds:
    """Minimum scores of a segment (None: those of the checkpoint) and of an instance.

    Raises InputError unless both are in 0..1.
    """

    segment: float | None = None
    instance: float = 0.05

    def __post_init__(self) -> None:
        for name, value in (("threshold", self.segment), ("instance-threshold", self.instance)):
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"--{name}: expected 0 to 1, found {value}")
