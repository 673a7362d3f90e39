"""Segments as FiftyOne labels; what the user added to a segment is kept if it is unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import fiftyone as fo

from conversion.coco.categories import Category
from conversion.coco.panoptic import ATTRIBUTES as FLAGS
from conversion.coco.panoptic import Photo, Segment
from curation.app.fields import OUTCOMES
from curation.loading.masks import PhotoMasks

ATTRIBUTES = {  # of every segment; the sidebar of the App lists only declared ones
    "segment_id": fo.IntField,
    "area": fo.IntField,
    "iscrowd": fo.BooleanField,
    **dict.fromkeys(FLAGS, fo.BooleanField),
}


def segment_labels(
    photo: Photo,
    masks: PhotoMasks,
    categories: Sequence[Category],
    *,
    things: bool,
    before: fo.Detections | None,
) -> fo.Detections:
    """Make labels of the things, or of the stuff, of one photo.

    A label in `before` with the same name and box is reused, so its id, its tags and the user's
    attributes are kept.
    """
    names = {c.id: c.name for c in categories if c.isthing == things}
    known = _by_label_and_box(before)
    labels = []
    for segment in photo.segments:
        if segment.category_id in names:
            box = _xywh_norm(segment, photo)
            same = known.get((names[segment.category_id], *box))
            detection = same.pop() if same else fo.Detection()
            detection.label, detection.bounding_box = names[segment.category_id], box
            detection.mask_path = str(masks.segments[segment.id])
            detection.confidence = segment.score
            detection["segment_id"] = segment.id
            detection["area"] = segment.area
            detection["iscrowd"] = segment.iscrowd
            for flag in FLAGS:
                detection[flag] = flag in segment.attributes
            labels.append(detection)
    return fo.Detections(detections=labels)


def mark_segments(
    labels: fo.Detections, outcomes: Mapping[int, str], ious: Mapping[int, float]
) -> fo.Detections:
    """Set outcome and IoU, both by segment id; the outcome is also a tag, to filter by in the App.

    Changes and returns `labels`.
    """
    for detection in labels.detections:
        if not detection.has_field("segment_id"):
            continue  # the user added it in the App
        outcome = outcomes.get(detection["segment_id"])
        others = [tag for tag in detection.tags if tag not in OUTCOMES]
        detection.tags = [outcome, *others] if outcome else others
        detection["outcome"] = outcome
        detection["iou"] = ious.get(detection["segment_id"])
    return labels


def _by_label_and_box(
    before: fo.Detections | None,
) -> dict[tuple[object, ...], list[fo.Detection]]:
    grouped: dict[tuple[object, ...], list[fo.Detection]] = {}
    for detection in before.detections if before else []:
        grouped.setdefault((detection.label, *detection.bounding_box), []).append(detection)
    return grouped


def _xywh_norm(segment: Segment, photo: Photo) -> list[float]:
    """The segment's box as FiftyOne expects it: xywh, relative to the photo's width and height."""
    x, y, width, height = segment.bbox
    return [x / photo.width, y / photo.height, width / photo.width, height / photo.height]


def scene_label(path: Path) -> fo.Segmentation:
    """Make a label of the whole photo from a mask of category ids."""
    return fo.Segmentation(mask_path=str(path))


def declare_segments(samples: fo.Dataset, field: str, **more: type) -> None:
    """Declare a field of segments, with the attributes that the App can filter by."""
    samples.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for name, kind in {**ATTRIBUTES, **more}.items():
        samples.add_sample_field(f"{field}.detections.{name}", kind)


def declare_scene(samples: fo.Dataset, field: str) -> None:
    """Declare a field of whole scenes."""
    samples.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation)
