"""YOLO segmentation: `images/<split>/`, `labels/<split>/*.txt` and `data.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from annotation.dataset import Dataset
from base.files import inside, write_bytes
from base.links import link_or_copy
from conversion.coco.categories import Category
from conversion.coco.cropped_mask import CroppedMask
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.exporting.outline import outline_of_mask
from conversion.exporting.splits import Splits, track_photos


def write_yolo(dataset: Dataset, splits: Splits, out: Path) -> None:
    """Write the things of all splits; the photos are links."""
    things = [c for c in next(iter(splits.values())).categories if c.isthing]
    class_of = {c.id: number for number, c in enumerate(things)}
    images = dataset.images.resolve()
    for one in track_photos(splits):
        photo, where = one.photo, str(one.panoptic.json_path)
        # PNG names without .png are unique, while the photos a.jpg and a.png would share a.txt
        stem, suffix = photo.png_name.removesuffix(".png"), PurePosixPath(photo.file_name).suffix
        source = inside(images, photo.file_name, where=where)
        target = inside(out / "images" / one.split, stem + suffix, where=where)
        link_or_copy(source, target, kind="symbolic")
        path = inside(out / "labels" / one.split, f"{stem}.txt", where=where)
        write_bytes(path, "".join(_lines(one.panoptic, photo, class_of)).encode())
    for split in splits:
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
    write_bytes(out / "data.yaml", _data_yaml(list(splits), things).encode())


def _lines(panoptic: PanopticSet, photo: Photo, class_of: dict[int, int]) -> Iterator[str]:
    """Yield a line for each instance that is not a crowd: its class and its normalized outline."""
    ids = panoptic.segment_ids(photo)
    for segment in photo.segments:
        if segment.category_id not in class_of or segment.iscrowd:
            continue
        mask = CroppedMask.of_segment(ids, segment.id, segment.bbox)
        offset, size = np.array([mask.x, mask.y]), [photo.width, photo.height]
        points = (outline_of_mask(mask.pixels) + offset) / size
        numbers = " ".join(f"{value:.6g}" for value in points.ravel().tolist())
        yield f"{class_of[segment.category_id]} {numbers}\n"


def _data_yaml(splits: Sequence[str], things: Sequence[Category]) -> str:
    """Return `data.yaml`; trainers need `val`, for which `test` is used if it does not exist."""
    names = {split: f"images/{split}" for split in splits}
    if "val" not in names and "test" in names:
        names["val"] = names["test"]
    values = {**names, "names": {number: c.name for number, c in enumerate(things)}}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
