"""The ids that an imported set had in its source, so that an export can use them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from annotation.dataset import Dataset
from annotation.labelme.annotation import Annotation, Shape
from conversion.coco.categories import Category
from conversion.importing.provenance import read_provenance
from conversion.painting.merge import KEPT


class KeptIds:
    """Ids of one kind: those of the source, up to `last`, are given once; new ones follow."""

    def __init__(self, last: int) -> None:
        self._last, self._next = last, last + 1
        self._taken: set[int] = set()

    def take(self, wanted: object) -> int:
        """Return the wanted id if it is free, or else a new one."""
        if type(wanted) is not int or not 0 <= wanted <= self._last or wanted in self._taken:
            self._next += 1
            return self._next - 1
        self._taken.add(wanted)
        return wanted


@dataclass(frozen=True)
class SourceIds:
    """The highest ids of images and annotations in the sources, and their categories' ids by name.

    Sets that were not imported have none, so that counting starts at 1.
    """

    last_image: int
    last_annotation: int
    categories: dict[str, int]


def read_source_ids(dataset: Dataset) -> SourceIds:
    """Read the ids that imports have recorded; raises InputError if the record is damaged."""
    entries = read_provenance(dataset.root).sources
    last = [entry.get("last_ids", {}) for entry in entries]
    categories: dict[str, int] = {}
    for entry in entries:
        for one in entry.get("categories", ()):
            if isinstance(one.get("id"), int) and isinstance(one.get("name"), str):
                categories.setdefault(one["name"].strip(), one["id"])
    return SourceIds(
        max((ids.get("images", 0) for ids in last), default=0),
        max((ids.get("annotations", 0) for ids in last), default=0),
        categories,
    )


def with_source_ids(categories: Sequence[Category], source: SourceIds) -> tuple[Category, ...]:
    """Return categories with the ids of the source; they are unchanged if two would be equal."""
    kept = [replace(one, id=source.categories.get(one.name, one.id)) for one in categories]
    return tuple(kept if len({one.id for one in kept}) == len(kept) else categories)


def image_id(annotation: Annotation) -> object:
    """Return the id of a photo in its source, or None."""
    kept = annotation.extra.get(KEPT)
    image = kept.get("image") if isinstance(kept, dict) else None
    return image.get("id") if isinstance(image, dict) else None


def annotation_id(shape: Shape) -> object:
    """Return the id of a shape in its source, or None."""
    kept = shape.extra.get(KEPT)
    return kept.get("id") if isinstance(kept, dict) else None
