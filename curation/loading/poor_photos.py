"""The quality of photos in the App: its fields, and a view of the poor ones."""

from __future__ import annotations

from collections.abc import Mapping

import fiftyone as fo
from fiftyone import ViewField as F

from base.files import digest
from curation.app.database import forget
from curation.app.fields import QUALITY, SHARPNESS
from curation.loading.declaring import declare, new_field, strings_field
from curation.loading.labels import set_by_photo
from curation.loading.quality import FORMAT, LEAST_SHARPNESS, Quality

POOR = "poor photo quality"  # saved view


def has_quality(samples: fo.Dataset) -> bool:
    """Whether the quality of the photos was stored, and its fields were not deleted since."""
    return "quality" in samples.info and {QUALITY, SHARPNESS} <= set(samples.get_field_schema())


def show_quality(samples: fo.Dataset, qualities: Mapping[str, Quality]) -> None:
    """Store the quality of photos in two fields, and save a view of the poor ones.

    Does nothing if it is the same as before.
    """
    inputs = digest(FORMAT, repr(qualities))
    if has_quality(samples) and samples.info["quality"] == inputs:
        return
    forget(samples, "quality")
    sharpness_field = new_field(fo.FloatField, f"0 to 1; below {LEAST_SHARPNESS} is blurry")
    declare(samples, {QUALITY: strings_field("problems of the photo"), SHARPNESS: sharpness_field})
    others = dict.fromkeys(n for n in samples.values("photo") if n and n not in qualities)
    kinds = {name: list(one.kinds) for name, one in qualities.items()}
    set_by_photo(samples, QUALITY, {**others, **kinds})
    sharpness = {name: one.sharpness for name, one in qualities.items()}
    set_by_photo(samples, SHARPNESS, {**others, **sharpness})
    poor = samples.match(F(QUALITY).length() > 0).sort_by(SHARPNESS)
    samples.save_view(POOR, poor, overwrite=True)
    samples.info = {**samples.info, "quality": inputs}
    samples.save()
