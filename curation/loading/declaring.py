"""Fields of photos and segments to declare in FiftyOne; those that exist are left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo

from conversion.coco.panoptic import ATTRIBUTES as FLAGS

Fields = dict[str, fo.Field]  # by path
ATTRIBUTES: dict[str, type] = {  # of every segment; the sidebar of the App lists declared ones only
    "segment_id": fo.IntField,
    "category": fo.StringField,  # the label as loaded, to find labels that the user has corrected
    "area": fo.IntField,
    **dict.fromkeys(("iscrowd", *FLAGS), fo.BooleanField),
}


def declare(samples: fo.Dataset, fields: Fields) -> None:
    """Declare fields at once, because FiftyOne saves and reloads the set each time."""
    samples.add_dynamic_sample_fields(fields)


def new_field(kind: type, description: str | None = None, **options: Any) -> fo.Field:
    """Make a field; a photo need not have a value."""
    return kind(description=description, null=True, **options)


def strings_field(description: str | None = None) -> fo.Field:
    """Make a field of lists of strings."""
    return new_field(fo.ListField, description, field=fo.StringField())


def scene_field() -> fo.Field:
    """Make a field of whole scenes."""
    return new_field(fo.EmbeddedDocumentField, document_type=fo.Segmentation)


def segment_fields(name: str, more: Mapping[str, type] | None = None) -> Fields:
    """Make a field of segments, with `more` attributes than all segments have."""
    return label_fields(name, {**ATTRIBUTES, **(more or {})})


def label_fields(name: str, attributes: Mapping[str, type]) -> Fields:
    """Make a field of labels, with the attributes that the App can filter by."""
    labels = new_field(fo.EmbeddedDocumentField, document_type=fo.Detections)
    inner = {f"{name}.detections.{one}": new_field(kind) for one, kind in attributes.items()}
    return {name: labels, **inner}
