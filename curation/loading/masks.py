"""Mask files for FiftyOne, beside the data set: one for each segment and one for each scene.

The masks of one load or review are in one folder, which is named by a digest of their inputs. So
the old masks remain until the new ones are complete, and browsers do not show old masks from their
cache.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from base.errors import InputError
from base.progress import track
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import SegmentIds


@dataclass(frozen=True)
class PhotoMasks:
    """The mask files of a photo: the scene (category ids), and each segment by segment id."""

    scene: Path
    segments: dict[int, Path]


def mask_folder(dataset: Dataset, kind: str, inputs: str) -> Path:
    """Folder of the masks of one kind (`truth`, `predictions`); `inputs` is a digest."""
    return (dataset.root / "fiftyone" / f"{kind}-{inputs[:12]}").resolve()


def write_masks(sets: Iterable[PanopticSet], folder: Path) -> None:
    """Write the masks of all photos of `sets` into `folder`, which appears when it is complete.

    Threads are enough, because OpenCV releases Python's lock. Raises InputError if a PNG cannot
    be read or a mask cannot be written.
    """
    photos = [(panoptic, photo) for panoptic in sets for photo in panoptic.photos]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        partial = Path(name) / "masks"
        partial.mkdir()
        with ThreadPoolExecutor() as pool:
            done = pool.map(lambda pair: _write_photo(pair[0], pair[1], partial), photos)
            for _ in track(done, "masks", total=len(photos)):
                pass
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)


def masks_of(photo: Photo, folder: Path) -> PhotoMasks:
    """Paths of the masks of a photo in `folder`."""
    inner = folder / photo.file_name
    return PhotoMasks(inner / "scene.png", {s.id: inner / f"{s.id}.png" for s in photo.segments})


def _write_photo(panoptic: PanopticSet, photo: Photo, folder: Path) -> None:
    ids = panoptic.segment_ids(photo)
    masks = masks_of(photo, folder)
    masks.scene.parent.mkdir(parents=True)
    for segment in photo.segments:
        _write_png(masks.segments[segment.id], _crop_mask(ids, segment))
    _write_png(masks.scene, scene_map(ids, photo))


def _crop_mask(ids: SegmentIds, segment: Segment) -> NDArray[np.uint8]:
    """The segment in its box, from (H, W) `ids`: (h, w) uint8, 255 on the segment, 0 elsewhere."""
    x, y, width, height = segment.bbox
    return np.where(ids[y : y + height, x : x + width] == segment.id, 255, 0).astype(np.uint8)


def scene_map(ids: SegmentIds, photo: Photo) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W) category ids of (H, W) segment `ids`, 0 on void; 16 bits only if 8 are too few."""
    scene = np.zeros(ids.shape, np.uint16)
    for segment in photo.segments:
        x, y, width, height = segment.bbox
        inside = ids[y : y + height, x : x + width] == segment.id
        scene[y : y + height, x : x + width][inside] = segment.category_id
    return scene if scene.max() > 255 else scene.astype(np.uint8)


def _write_png(path: Path, values: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    if not cv2.imwrite(str(path), values):
        raise InputError(f"{path}: cannot be written")


def remove_old_masks(folder: Path) -> None:
    """Remove the folders of the same kind that earlier loads or reviews wrote."""
    kind = folder.name.rpartition("-")[0]
    for other in sorted(folder.parent.glob(f"{kind}-*")):
        if other != folder:
            shutil.rmtree(other)
