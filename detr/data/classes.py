"""Which output of the model means which category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from base.errors import InputError
from conversion.coco.categories import Category, coco_categories


@dataclass(frozen=True)
class ClassTable:
    """Category ids by class index; a data set's own are packed, published ones index by id."""

    categories: tuple[Category, ...]
    category_ids: tuple[int, ...]  # one a class; ids that no category has are never predicted

    @cached_property
    def _by_id(self) -> dict[int, Category]:
        return {category.id: category for category in self.categories}

    @cached_property
    def _index_by_id(self) -> dict[int, int]:
        return {category_id: index for index, category_id in enumerate(self.category_ids)}

    def __len__(self) -> int:
        return len(self.category_ids)

    def category(self, index: int) -> Category | None:
        """Category of a class; None for no-object and for gaps between published ids."""
        return self._by_id.get(self.category_ids[index]) if index < len(self) else None

    def index(self, category_id: int, *, where: str) -> int:
        """Class of a category; InputError where the table has none."""
        if category_id not in self._index_by_id:
            raise InputError(f"{where}: category {category_id} is not in the file's categories")
        return self._index_by_id[category_id]


def packed_classes(categories: Sequence[Category]) -> ClassTable:
    """Classes 0, 1, 2, ... in the order of the categories' ids."""
    ordered = tuple(sorted(categories, key=lambda c: c.id))
    return ClassTable(ordered, tuple(c.id for c in ordered))


def published_classes(count: int) -> ClassTable:
    """Classes of published COCO weights: each one's index is a category's id, with gaps."""
    categories = tuple(c for c in coco_categories() if c.id < count)
    return ClassTable(categories, tuple(range(count)))
