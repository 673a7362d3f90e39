"""The categories that a model's class outputs represent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from base.errors import InputError
from conversion.coco.categories import Category, coco_categories


@dataclass(frozen=True)
class ClassTable:
    """Category ids by class index.

    Models trained here number the categories of their data set 0, 1, 2, ...; in published models,
    class indices are category ids, which have gaps.
    """

    categories: tuple[Category, ...]
    category_ids: tuple[int, ...]  # by class index; ids without a category are never predicted

    @cached_property
    def _by_id(self) -> dict[int, Category]:
        return {category.id: category for category in self.categories}

    @cached_property
    def _index_by_id(self) -> dict[int, int]:
        return {category_id: index for index, category_id in enumerate(self.category_ids)}

    def __len__(self) -> int:
        return len(self.category_ids)

    def category(self, index: int) -> Category | None:
        """Return the category of a class; None for no-object and gaps between published ids."""
        return self._by_id.get(self.category_ids[index]) if index < len(self) else None

    def index(self, category_id: int, *, where: str) -> int:
        """Return the class of a category. Raises InputError if the table has no such category."""
        if category_id not in self._index_by_id:
            raise InputError(f"{where}: category {category_id} is not among the file's categories")
        return self._index_by_id[category_id]


def packed_classes(categories: Sequence[Category]) -> ClassTable:
    """Return classes 0, 1, 2, ... in the order of the categories' ids."""
    ordered = tuple(sorted(categories, key=lambda category: category.id))
    return ClassTable(ordered, tuple(category.id for category in ordered))


def published_classes(count: int) -> ClassTable:
    """Return the classes of published COCO weights, whose indices are category ids."""
    categories = tuple(category for category in coco_categories() if category.id < count)
    return ClassTable(categories, tuple(range(count)))
