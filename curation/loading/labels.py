"""Segments as FiftyOne's labels; what a user added to an unchanged segment stays with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import fiftyone as fo

from conversion.coco.categories import Category
from conversion.coco.panoptic import ATTRIBUTES as FLAGS
from conversion.coco.panoptic import Photo, Segment
from curation.loading.masks import PhotoMasks

ATTRIBUTES = {  # of every segment; FiftyOne lists only declared ones in its sidebar
    "segment_id": fo.IntField,
    "area": fo.IntField,
    "iscrowd": fo.BooleanField,
    **dict.fromkeys(FLAGS, fo.BooleanField),
}
OUTCOMES = ("hit", "false", "missed", "ignored")


def segment_labels(
    photo: Photo,
    masks: PhotoMasks,
    categories: Sequence[Category],
    *,
    things: bool,
    before: fo.Detections | None,
) -> fo.Detections:
    """The things, or the stuff, of one photo; labels of `before` are used again where they fit."""
    names = {c.id: c.name for c in categories if c.isthing == things}
    known = _by_place(before)
    found = []
    for segment in photo.segments:
        if segment.category_id in names:
            box = box_norm(segment, photo)
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
            found.append(detection)
    return fo.Detections(detections=found)


def mark_segments(
    labels: fo.Detections, outcomes: Mapping[int, str], ious: Mapping[int, float]
) -> fo.Detections:
    """The labels with outcome and IoU by segment id; the outcome is a tag too, to click on."""
    for detection in labels.detections:
        if not detection.has_field("segment_id"):
            continue  # the user drew it in the App
        outcome = outcomes.get(detection["segment_id"])
        others = [tag for tag in detection.tags if tag not in OUTCOMES]
        detection.tags = [outcome, *others] if outcome else others
        detection["outcome"] = outcome
        detection["iou"] = ious.get(detection["segment_id"])
    return labels


def _by_place(before: fo.Detections | None) -> dict[tuple[object, ...], list[fo.Detection]]:
    places: dict[tuple[object, ...], list[fo.Detection]] = {}
    for detection in before.detections if before else []:
        places.setdefault((detection.label, *detection.bounding_box), []).append(detection)
    return places


def box_norm(segment: Segment, photo: Photo) -> list[float]:
    """The segment's xywh box in shares of the photo's width and height, as FiftyOne has it."""
    x, y, width, height = segment.bbox
    return [x / photo.width, y / photo.height, width / photo.width, height / photo.height]


def scene_label(path: Path) -> fo.Segmentation:
    """All pixels of one photo as category ids."""
    return fo.Segmentation(mask_path=str(path))


def declare_segments(samples: fo.Dataset, field: str, **more: type) -> None:
    """Make `field` a field of segments whose attributes the App can filter by."""
    samples.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for name, kind in {**ATTRIBUTES, **more}.items():
        samples.add_sample_field(f"{field}.detections.{name}", kind)


def declare_scene(samples: fo.Dataset, field: str) -> None:
    """Make `field` a field of whole scenes."""
    samples.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Segmentation)
