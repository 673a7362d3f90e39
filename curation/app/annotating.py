"""Correcting labels in the App: which labels the plugin offers, and no tab *Annotate*."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from conversion.coco.categories import Category
from curation.app.fields import TRUE_SEGMENTS


def offer_labels(samples: fo.Dataset, categories: Sequence[Category]) -> None:
    """Let *Correct label* of the plugin offer the labels of things, and close the tab *Annotate*.

    That tab knows segments by their position in the view (FiftyOne 1.22). If the view hides some,
    as the views of errors do, each change deletes these from the photo. Without the schema that
    earlier versions of this project have set, it shows no segments.
    """
    field = TRUE_SEGMENTS[0]
    if field in getattr(samples, "label_schemas", ()):
        samples.deactivate_label_schemas(field)
        samples.delete_label_schemas(field)
    names = [category.name for category in categories if category.isthing]
    if samples.info.get("labels") != names:
        samples.info = {**samples.info, "labels": names}
        samples.save()
