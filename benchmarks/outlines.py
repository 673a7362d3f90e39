"""Vertices of the outlines that `relabel` and `prelabel` propose for predicted things.

They are compared with the Douglas-Peucker algorithm, whose tolerance is the largest for which the
IoU of the areas is still 0.95, and with the exact outlines along the edges of pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np
import shapely
from rich.console import Console
from rich.table import Table

from annotation.labelme.geometry import mask_figure
from base.progress import track
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.panoptic_file import read_panoptic
from conversion.painting.raster import polygon_masks
from conversion.proposing.shapes import LEAST_IOU, Outline, outlines_of


def predicted_things(prediction: PanopticSet) -> Iterator[tuple[Photo, CroppedMask]]:
    """Yield the masks of all predicted things."""
    things = {c.id for c in prediction.categories if c.isthing}
    for photo in track(prediction.photos, "outline", total=len(prediction.photos)):
        ids = prediction.segment_ids(photo)
        for segment in photo.segments:
            if segment.category_id in things:
                yield photo, CroppedMask.of_segment(ids, segment.id, segment.bbox)


def douglas_peucker(part: shapely.Polygon) -> int:
    """Return the number of vertices with the largest tolerance that keeps the IoU."""
    low, high, fewest = 0.0, 20.0, len(part.simplify(0).exterior.coords) - 1
    for _ in range(10):
        middle = (low + high) / 2
        simple = part.simplify(middle)
        both = simple.intersection(part).area
        if simple.is_valid and both / (simple.area + part.area - both) >= LEAST_IOU:
            low, fewest = middle, len(simple.exterior.coords) - 1
        else:
            high = middle
    return fewest


def pixel_iou(outlines: list[Outline], mask: CroppedMask, photo: Photo) -> float:
    """Return the IoU of the painted outlines and the mask."""
    painted, wanted = np.zeros((2, photo.height, photo.width), bool)
    mask.paint(wanted, 1)
    arrays = [np.array(outline) for outline in outlines]
    for filled in polygon_masks(arrays, height=photo.height, width=photo.width):
        filled.paint(painted, 1)
    return float((painted & wanted).sum() / (painted | wanted).sum())


def main() -> None:
    """Print the mean number of vertices of a thing, the IoU, and the time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run with predictions")
    options = parser.parse_args()
    counts, ious, seconds = [], [], 0.0
    for photo, mask in predicted_things(read_panoptic(options.run / "predictions/panoptic.json")):
        start = process_time()
        outlines = outlines_of(mask, width=photo.width, height=photo.height)
        seconds += process_time() - start
        parts = shapely.get_parts(mask_figure(mask.pixels, (mask.x, mask.y)))
        whole = [shapely.Polygon(part.exterior) for part in parts]
        whole = sorted(whole, key=lambda part: -float(part.area))[: len(outlines)]
        exact = sum(len(part.simplify(0).exterior.coords) - 1 for part in whole)
        counts.append((sum(map(len, outlines)), sum(map(douglas_peucker, whole)), exact))
        ious.append(pixel_iou(outlines, mask, photo))
    ours, compared, exact = np.mean(counts, axis=0)
    table = Table("", "vertices per thing", title=f"{len(counts)} things")
    table.add_row("this project", f"{ours:.1f}")
    table.add_row("Douglas-Peucker", f"{compared:.1f}")
    table.add_row("exact", f"{exact:.1f}")
    low = sum(iou < LEAST_IOU for iou in ious)
    table.caption = (
        f"IoU in pixels: mean {np.mean(ious):.3f}, least {min(ious):.3f}, below {LEAST_IOU}: {low};"
        f" {1000 * seconds / len(counts):.0f} ms per thing"
    )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
