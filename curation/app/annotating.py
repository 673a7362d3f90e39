"""The tab *Annotate* of the App: which labels a person may give to a thing."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo

from conversion.coco.categories import Category
from curation.app.fields import TRUE_SEGMENTS


def offer_labels(samples: fo.Dataset, categories: Sequence[Category]) -> None:
    """Let the tab offer the labels of things, and open without asking for a schema first.

    Does nothing if the labels are the same as before, because the user may have changed the schema,
    or if this release of FiftyOne has no such tab.
    """
    names = [category.name for category in categories if category.isthing]
    field = TRUE_SEGMENTS[0]
    if not names or not hasattr(samples, "update_label_schema"):
        return
    if samples.info.get("labels") == names and field in samples.label_schemas:
        return
    schema = {"type": "detections", "component": "dropdown", "classes": names, "attributes": []}
    samples.update_label_schema(field, schema)
    samples.activate_label_schemas(field)
    samples.info = {**samples.info, "labels": names}
    samples.save()
