"""Corrections of labels made in the App, found and carried into the Labelme files.

The App can change the label of a segment, delete a segment, change its outline, and add labels. The
first two become changes of the shapes of that segment. Outlines are drawn in Labelme only, so the
other two are reported as what will not last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import fiftyone as fo
import numpy as np

from annotation.dataset import Dataset
from annotation.fixing.backups import replace_with_backup
from annotation.fixing.fix import write_checked
from annotation.fixing.shape_fixes import NotFixedError
from annotation.labelme.annotation import Annotation, read_annotation
from annotation.labelme.instances import Instance, find_instances
from base.counting import counted
from base.errors import InputError
from base.files import read_regular
from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment
from conversion.config import read_conversion_config
from conversion.painting.merge import Merged, merge
from curation.app.fields import TRUE_SEGMENTS
from curation.loading.labels import xywh_norm

REDRAW = "draw it in Labelme: tag the photo `relabel`"


@dataclass(frozen=True)
class Correction:
    """A segment of a photo with another label, or, with None, one that was deleted."""

    photo: str
    segment: Segment
    label: str | None


@dataclass(frozen=True)
class Found:
    """Corrections of a data set, and changes made in the App that cannot be carried over."""

    corrections: tuple[Correction, ...]
    problems: tuple[str, ...]


def find_corrections(
    samples: fo.Dataset, photos: Mapping[str, Photo], categories: Sequence[Category]
) -> Found:
    """Compare the true segments in the App with those of the panoptic set, by photo."""
    corrections: list[Correction] = []
    problems: list[str] = []
    names = {category.id: category for category in categories}
    for field, isthing in zip(TRUE_SEGMENTS, (True, False), strict=True):
        inner = [f"{field}.detections.{key}" for key in ("segment_id", "label", "bounding_box")]
        for name, *columns in zip(*samples.values(["photo", *inner]), strict=True):
            if name not in photos or columns[0] is None:
                continue  # added by the user, or excluded
            photo = photos[name]
            segments = [s for s in photo.segments if names[s.category_id].isthing == isthing]
            shown = {i: (label, box) for i, label, box in zip(*columns, strict=True) if i}
            added = len(columns[0]) - len(shown)
            if added:
                problems.append(f"{name}: {counted(added, 'label')} added to {field}; {REDRAW}")
            for segment in segments:
                old = names[segment.category_id].name
                label, box = shown.get(segment.id, (None, None))
                if label != old and isthing:
                    corrections.append(Correction(name, segment, label))
                elif label != old:
                    problems.append(f"{name}: '{old}' is stuff, which decide cannot change")
                if box is not None and tuple(box) != xywh_norm(segment.bbox, photo):
                    problems.append(f"{name}: the outline of a '{old}' was changed; {REDRAW}")
    return Found(tuple(corrections), tuple(problems))


def carry_corrections(
    dataset: Dataset,
    corrections: Iterable[Correction],
    photos: Mapping[str, Photo],
    annotations: Mapping[str, Path],
    categories: Sequence[Category],
) -> Found:
    """Change the Labelme files, with backups for `validate --undo`; return what was carried.

    `annotations` are the files by photo. Either all corrections of a photo are carried or none.
    """
    by_photo: dict[str, list[Correction]] = defaultdict(list)
    for correction in corrections:
        by_photo[correction.photo].append(correction)
    carried: list[Correction] = []
    problems: list[str] = []
    for name, of_photo in sorted(by_photo.items()):
        path = annotations.get(name)
        if path is None:
            problems.append(f"{name}: has no Labelme file in which labels could be corrected")
            continue
        try:
            data = read_regular(path)
            annotation = read_annotation(path)
            merged = _paint(dataset, annotation, photos[name], categories)
            if _has_corrections(merged, of_photo, photos[name], categories):
                continue  # `decide` was killed after it had written this file
            shapes = _shapes_of(merged, photos[name], categories)
            corrected = _corrected(dataset, annotation, of_photo, shapes)
            replace_with_backup(path, data, partial(write_checked, annotation=corrected))
        except (InputError, NotFixedError, OSError) as error:
            reason = str(error).removeprefix(f"{path}: ")
            problems.append(f"{dataset.relative(path)}: {reason}")
        else:
            carried += of_photo
    return Found(tuple(carried), tuple(problems))


def _paint(
    dataset: Dataset, annotation: Annotation, photo: Photo, categories: Sequence[Category]
) -> Merged:
    """Paint the things of a photo.

    Stuff lies below all things, so the things are the same when they are painted without it.
    """
    return merge(
        annotation.shapes,
        np.zeros((photo.height, photo.width), np.uint16),
        tuple(categories),
        dataset.config,
        least_visible=read_conversion_config(dataset).least_visible,
    )


def _has_corrections(
    merged: Merged,
    corrections: Iterable[Correction],
    photo: Photo,
    categories: Sequence[Category],
) -> bool:
    """Return whether the painted things are those of the photo with the corrections."""
    things = {category.name: category.id for category in categories if category.isthing}
    changed = {one.segment.id: one.label and things.get(one.label) for one in corrections}
    expected = [
        (changed.get(s.id, s.category_id), s.area, s.bbox)
        for s in photo.segments
        if s.category_id in things.values() and changed.get(s.id, s.category_id) is not None
    ]
    return sorted(expected) == sorted((s.category_id, s.area, s.bbox) for s in merged.segments)


def _shapes_of(merged: Merged, photo: Photo, categories: Sequence[Category]) -> dict[int, Instance]:
    """Return the instance of each thing of a photo by segment id.

    Raises NotFixedError if the file has changed since the conversion.
    """
    things = {category.id for category in categories if category.isthing}
    segments = sorted((s for s in photo.segments if s.category_id in things), key=lambda s: s.id)
    painted = sorted(merged.segments, key=lambda s: s.id)
    if [(s.category_id, s.area, s.bbox) for s in segments] != [
        (s.category_id, s.area, s.bbox) for s in painted
    ]:
        raise NotFixedError("has changed since it was converted; run `convert` and `curate` first")
    return {
        segment.id: merged.instances[own.id] for segment, own in zip(segments, painted, strict=True)
    }


def _corrected(
    dataset: Dataset,
    annotation: Annotation,
    corrections: Sequence[Correction],
    shapes_of: Mapping[int, Instance],
) -> Annotation:
    """Return the annotation with the corrections; raise NotFixedError if one is impossible."""
    if annotation.encoding != "utf-8":
        raise NotFixedError(f"is not UTF-8 but {annotation.encoding}; run `validate --fix` first")
    labels: dict[int, str] = {}
    deleted: set[int] = set()
    for correction in corrections:
        instance = shapes_of[correction.segment.id]
        if correction.label is None:
            deleted |= {*instance.parts, *instance.holes}
        elif correction.label not in dataset.config.things:
            things = ", ".join(dataset.config.things)
            raise NotFixedError(f"label: expected one of {things}, found '{correction.label}'")
        else:
            labels |= dict.fromkeys(instance.parts, correction.label)
    shapes = tuple(
        replace(shape, label=labels.get(number, shape.label))
        for number, shape in enumerate(annotation.shapes)
    )
    before = [one.parts for one in find_instances(annotation.shapes, dataset.config)]
    if [one.parts for one in find_instances(shapes, dataset.config)] != before:
        raise NotFixedError("the corrected shapes would join an instance with the same group_id")
    kept = tuple(shape for number, shape in enumerate(shapes) if number not in deleted)
    return replace(annotation, shapes=kept)
