"""The minimum scores of predicted segments, which a checkpoint may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conversion.coco.categories import Category
from detr.config import TrainConfig

STUFF = 0.5  # minimum presence of stuff in `variant: fast`, unless the threshold is higher


@dataclass(frozen=True)
class SegmentThresholds:
    """Minimum scores of things and of stuff; `by_category` (by id) takes precedence."""

    things: float
    stuff: float
    by_category: Mapping[int, float] = field(default_factory=dict)

    def of(self, category: Category) -> float:
        """Return the threshold of a category."""
        return self.by_category.get(category.id, self.things if category.isthing else self.stuff)

    @property
    def lowest(self) -> float:
        """The lowest threshold of any category."""
        return min(self.things, self.stuff, *self.by_category.values())


def same_threshold(config: TrainConfig, threshold: float) -> SegmentThresholds:
    """Return the thresholds of all categories if one number is given.

    In `variant: fast`, where the scores of things and of stuff have different meanings, that of
    stuff is at least STUFF.
    """
    least = STUFF if config.variant == "fast" else 0.0
    return SegmentThresholds(things=threshold, stuff=max(least, threshold))
