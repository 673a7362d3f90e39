"""Pictures of predicted segments, and what a prediction found in words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from base.counting import counted
from base.files import inside, write_bytes
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet
from detr.prediction.results import PhotoPrediction
from evaluation.report.draw import draw_segments, shrink
from evaluation.report.lettering import has_font, names_by_id

FOLDER = "pictures"
LONG_SIDE = 1600  # pixels
_QUALITY = 90  # of a JPEG
_MOST_NAMED = 8  # categories in one line


def picture_name(png_name: str) -> str:
    """Return the name of the picture, below the folder of pictures, for a PNG of segment ids."""
    return Path(png_name).with_suffix(".jpg").as_posix()


def write_picture(predicted: PhotoPrediction, categories: tuple[Category, ...], out: Path) -> str:
    """Write a JPEG of a photo with its predicted segments to `out/pictures`; return its name."""
    name = picture_name(predicted.photo.png_name)
    small = np.ascontiguousarray(shrink(predicted.pixels, long_side=LONG_SIDE)[..., ::-1])
    drawn = draw_segments(small, predicted.ids, predicted.photo.segments, categories)
    jpeg = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    write_bytes(inside(out / FOLDER, name, where=str(out)), jpeg.tobytes())
    return name


def found_line(panoptic: PanopticSet) -> str:
    """Say how many photos a prediction has, and how many segments of which categories."""
    names = {category.id: category.name for category in panoptic.categories}
    counts = Counter(names[s.category_id] for photo in panoptic.photos for s in photo.segments)
    listed = [f"{count} {name}" for name, count in counts.most_common(_MOST_NAMED)]
    if len(counts) > _MOST_NAMED:
        listed.append(counted(len(counts) - _MOST_NAMED, "more category", "more categories"))
    empty = sum(not photo.segments for photo in panoptic.photos)
    text = f"{counted(len(panoptic.photos), 'photo')}, {counted(counts.total(), 'segment')}"
    text += f" ({', '.join(listed)})" if listed else ""
    text += f"; nothing found in {counted(empty, 'photo')}" if empty else ""
    listed_by_id = [c for c in panoptic.categories if c.name in counts and not has_font(c.name)]
    return text + (f"; names without a font: {names_by_id(listed_by_id)}" if listed_by_id else "")
