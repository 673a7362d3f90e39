"""Segments as FiftyOne labels; what the user added to a segment is kept if it is unchanged.

Labels are plain values here, as FiftyOne stores them: making an object for each of them would take
most of the time of loading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone import ViewField as F

from conversion.coco.categories import Category
from conversion.coco.panoptic import ATTRIBUTES as FLAGS
from conversion.coco.panoptic import Photo, Segment
from curation.app.fiftyone_private import stored_values
from curation.loading.deleted import Deleted
from curation.loading.masks import PhotoMasks

Label = dict[str, Any]  # a stored fo.Detection
BATCH = 200  # photos whose labels are stored at once, to bound the memory that these take


def segment_labels(
    photo: Photo,
    masks: PhotoMasks,
    categories: Sequence[Category],
    *,
    things: bool,
    before: Sequence[Label] = (),
    deleted: Deleted | None = None,
) -> list[Label]:
    """Make labels of the things, or of the stuff, of one photo.

    A label in `before` with the same category and box is reused, so its id, its tags, a corrected
    label and the user's attributes are kept. Labels that the user added are kept too. Segments that
    are among the `deleted` have no label.
    """
    names = {c.id: c.name for c in categories if c.isthing == things}
    segments = [segment for segment in photo.segments if segment.category_id in names]
    keys = [(names[s.category_id], *xywh_norm(s.bbox, photo)) for s in segments]
    known = _by_category_and_box(before, set(keys))
    labels = []
    for segment, key in zip(segments, keys, strict=True):
        name, *box = key
        same = known.get(key)
        if not same and deleted and deleted.has(segment, masks):
            continue
        label = same.pop() if same else new_label(name, box)
        labels.append({**label, **_attributes(segment, name, masks)})
    return labels + [label for label in before if not label.get("category")]


Key = tuple[str, float, float, float, float]  # category, xywh relative to the photo


def _by_category_and_box(
    before: Iterable[Label], wanted: Collection[Key]
) -> dict[Key, list[Label]]:
    """Group labels by the key of their segment.

    If no segment has the category of a label that was corrected, the correction may have been
    carried into the Labelme file.
    """
    grouped: dict[Key, list[Label]] = {}
    for label in before:
        if category := label.get("category"):
            key, corrected = ((name, *label["bounding_box"]) for name in (category, label["label"]))
            grouped.setdefault(key if key in wanted else corrected, []).append(label)
    return grouped


def new_label(name: str, box: list[float]) -> Label:
    """Make a label with its box, xywh relative to the photo."""
    own = {"_id": ObjectId(), "_cls": "Detection", "attributes": {}, "tags": []}
    return {**own, "label": name, "bounding_box": box}


def _attributes(segment: Segment, name: str, masks: PhotoMasks) -> Label:
    return {
        "mask_path": str(masks.segment(segment.id)),
        "confidence": segment.score,
        "segment_id": segment.id,
        "category": name,
        "area": segment.area,
        "iscrowd": segment.iscrowd,
        **{flag: flag in segment.attributes for flag in FLAGS},
    }


def count_lost(before: Sequence[Label], now: Sequence[Label]) -> int:
    """Count the corrected labels in `before` that are not among those `now`.

    A correction that was carried into the Labelme file is not lost: there is a new label like it.
    """
    kept = {label["_id"] for label in now}
    earlier = {label["_id"] for label in before}
    new = {label["label"] for label in now if label["_id"] not in earlier}
    corrected = (one for one in before if one.get("category") not in (None, one["label"]))
    return sum(one["_id"] not in kept and one["label"] not in new for one in corrected)


def labels_of(samples: fo.Dataset, field: str, names: Iterable[str]) -> dict[str, list[Label]]:
    """Return the stored labels of photos that have any, by photo."""
    (found,) = values_of(samples, [field], names)
    return {
        name: [{"tags": [], **label} for label in labels.get("detections") or ()]
        for name, labels in found.items()
        if labels is not None
    }


def store_labels(
    samples: fo.Dataset,
    field: str,
    by_photo: Mapping[str, list[Label]],
    before: Mapping[str, list[Label]],
) -> None:
    """Set the segments of photos that had others `before`."""
    values = {
        name: {"_cls": "Detections", "detections": labels}
        for name, labels in by_photo.items()
        if labels != before.get(name)
    }
    set_by_photo(samples, field, values)


def clear_labels(samples: fo.Dataset, field: str, names: Iterable[str]) -> None:
    """Remove the labels of photos that have any."""
    found = samples.match(F("photo").is_in(list(names))).exists(field)
    set_by_photo(samples, field, dict.fromkeys(found.values("photo")))


def values_of(
    samples: fo.Dataset, fields: Sequence[str], names: Iterable[str]
) -> list[dict[str, Any]]:
    """Return what is stored in each of some fields, or parts of fields, by photo."""
    found = samples.match(F("photo").is_in(list(names)))
    photos, *columns = stored_values(found, ["photo", *fields])
    return [dict(zip(photos, column, strict=True)) for column in columns]


def set_changed(samples: fo.Dataset, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Set declared fields of those samples that have other values; by field, then by photo."""
    names = {name for by_photo in values.values() for name in by_photo}
    stored = values_of(samples, list(values), names)
    for (field, by_photo), before in zip(values.items(), stored, strict=True):
        changed = {name: value for name, value in by_photo.items() if value != before.get(name)}
        set_by_photo(samples, field, changed)


def set_by_photo(samples: fo.Dataset, field: str, by_photo: Mapping[str, Any]) -> None:
    """Set one declared field of many samples at once; values are given by photo."""
    samples.set_values(
        field, dict(by_photo), key_field="photo", expand_schema=False, validate=False
    )


def xywh_norm(xywh: tuple[int, int, int, int], photo: Photo) -> tuple[float, float, float, float]:
    """The box as FiftyOne expects it: relative to the photo's width and height."""
    x, y, width, height = xywh
    return x / photo.width, y / photo.height, width / photo.width, height / photo.height


def scene_label(masks: PhotoMasks) -> fo.Segmentation:
    """Make a label of the whole photo from a mask of category ids."""
    return fo.Segmentation(mask_path=str(masks.scene))
