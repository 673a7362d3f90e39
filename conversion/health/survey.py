"""Counts and measures of a built panoptic set, and the places where its categories lie."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from base.errors import InputError
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, Segment, find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from conversion.coco.png import SegmentIds

ROWS, COLUMNS = 24, 32  # of a map of places
MOSTLY_VOID = 0.5  # share of void from which a photo is listed

Places = NDArray[np.float64]  # (ROWS, COLUMNS) shares of photos, 0..1


@dataclass(frozen=True)
class CategoryHealth:
    """What one category has in the set.

    `photos` and `segments` are numbers by split, without crowds in `segments`. `share` is that of
    all pixels. `typical_side` is the square root of the median area of its segments in pixels, or
    None if there are none. `places` is the share of photos in which each place has the category.
    """

    category: Category
    photos: Mapping[str, int]
    segments: Mapping[str, int]
    share: float
    typical_side: float | None
    places: Places


@dataclass(frozen=True)
class Health:
    """What a built set has.

    `photos` are numbers by split, `sizes` numbers of photos by (width, height), `things` the number
    of things of each photo, in rising order. `void` is the share of all pixels. `mostly_void` and
    `without_things` name photos as `SPLIT/NAME`.
    """

    photos: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    things: tuple[int, ...]
    void: float
    mostly_void: tuple[str, ...]
    without_things: tuple[str, ...]
    categories: tuple[CategoryHealth, ...]

    @property
    def thing_places(self) -> Places:
        """The mean number of categories of things at each place, per photo."""
        things = [one.places for one in self.categories if one.category.isthing]
        return np.sum(things, axis=0) if things else np.zeros((ROWS, COLUMNS))


def survey(panoptic: Path) -> Health:
    """Measure the folder `panoptic/` of a data set; reads all PNGs of segment ids.

    Raises InputError if the set is not built, has no photos, or a file cannot be read.
    """
    paths = find_split_jsons(panoptic)
    if not paths or not (panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(panoptic.parent))}"
        raise InputError(f"{panoptic}: not built; run `{command}`")
    splits = {split: read_panoptic(path) for split, path in paths.items()}
    everything = [(split, photo) for split, each in splits.items() for photo in each.photos]
    if not everything:
        raise InputError(f"{panoptic}: expected at least one photo, found none")
    photos = [photo for _, photo in everything]
    pixels = sum(_pixels(photo) for photo in photos)
    categories = next(iter(splits.values())).categories
    kinds = {category.id: category.isthing for category in categories}
    things = {id(p): sum(kinds[s.category_id] for s in p.segments) for p in photos}
    named = [(f"{split}/{photo.file_name}", photo) for split, photo in everything]
    has_things = any(kinds.values())
    return Health(
        photos={split: len(each.photos) for split, each in splits.items()},
        sizes=Counter((photo.width, photo.height) for photo in photos),
        things=tuple(sorted(things.values())),
        void=1 - sum(_labelled(photo) for photo in photos) / pixels,
        mostly_void=tuple(
            name for name, p in named if _labelled(p) <= (1 - MOSTLY_VOID) * _pixels(p)
        ),
        without_things=tuple(name for name, p in named if has_things and not things[id(p)]),
        categories=_categories(splits, categories, pixels),
    )


def _pixels(photo: Photo) -> int:
    return photo.width * photo.height


def _labelled(photo: Photo) -> int:
    """Return the number of pixels that are not void; segments do not overlap."""
    return sum(segment.area for segment in photo.segments)


def _categories(
    splits: Mapping[str, PanopticSet], categories: Iterable[Category], pixels: int
) -> tuple[CategoryHealth, ...]:
    places = _places(splits)
    return tuple(
        _category(category, splits, pixels, places.get(category.id, np.zeros((ROWS, COLUMNS))))
        for category in categories
    )


def _category(
    category: Category, splits: Mapping[str, PanopticSet], pixels: int, places: Places
) -> CategoryHealth:
    own = {
        split: [[s for s in p.segments if s.category_id == category.id] for p in panoptic.photos]
        for split, panoptic in splits.items()
    }
    every: list[Segment] = [s for photos in own.values() for found in photos for s in found]
    areas = [segment.area for segment in every if not segment.iscrowd]
    return CategoryHealth(
        category,
        photos={split: sum(map(bool, photos)) for split, photos in own.items()},
        segments={
            split: sum(not s.iscrowd for found in photos for s in found)
            for split, photos in own.items()
        },
        share=sum(segment.area for segment in every) / pixels,
        typical_side=float(median(areas)) ** 0.5 if areas else None,
        places=places,
    )


def _places(splits: Mapping[str, PanopticSet]) -> dict[int, Places]:
    """Return the share of photos that have each category, by id, at each place."""
    counts: dict[int, Places] = {}
    photos = [(panoptic, photo) for panoptic in splits.values() for photo in panoptic.photos]
    for panoptic, photo in track(photos, "read segments"):
        grid = sample(panoptic.segment_ids(photo))
        ids_of: dict[int, list[int]] = {}
        for segment in photo.segments:
            ids_of.setdefault(segment.category_id, []).append(segment.id)
        for category_id, ids in ids_of.items():
            here = counts.setdefault(category_id, np.zeros((ROWS, COLUMNS)))
            here += np.isin(grid, ids)
    return {category_id: count / len(photos) for category_id, count in counts.items()}


def sample(ids: SegmentIds) -> SegmentIds:
    """Sample (H, W) uint32 segment ids at the centres of ROWS x COLUMNS cells of equal size."""
    pairs = zip(ids.shape, (ROWS, COLUMNS), strict=True)
    rows, columns = ((2 * np.arange(cells) + 1) * side // (2 * cells) for side, cells in pairs)
    sampled: SegmentIds = ids[np.ix_(rows, columns)]
    return sampled
