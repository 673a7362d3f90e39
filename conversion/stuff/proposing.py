"""The stuff in the label maps of a data set whose `dataset.yaml` is still to be proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from base.errors import InputError
from base.progress import track
from conversion.coco.categories import coco_categories
from conversion.coco.png import read_png_header
from conversion.stuff.map_names import MapNames
from conversion.stuff.maps import LabelMaps
from conversion.stuff.meanings import SILENT


def find_stuff(folder: Path) -> list[tuple[str, float]]:
    """Return the names of COCO's stuff in the label maps below `folder`, the most frequent first.

    Each has its fraction of all pixels. The list is empty if a map cannot be read or has values
    that are no panoptic ids of COCO, because only the user knows what they mean.
    """
    categories = coco_categories()
    meanings = {SILENT: SILENT, **{c.id: c.id for c in categories}}
    maps = LabelMaps(MapNames(folder), meanings, False, "COCO's panoptic ids")
    counts = np.zeros(max(meanings) + 1, np.int64)
    paths = [path for path in folder.rglob("*") if path.suffix.lower() == ".png"]
    for path in track(paths, "read stuff"):
        try:
            height, width = read_png_header(path).size
            found = maps.read_file(path, height=height, width=width)
        except InputError:
            return []
        counts += np.bincount(found.ravel(), minlength=len(counts))
    stuff = [c for c in categories if not c.isthing and counts[c.id]]
    stuff.sort(key=lambda c: -counts[c.id])
    return [(c.name, float(counts[c.id] / counts.sum())) for c in stuff]
