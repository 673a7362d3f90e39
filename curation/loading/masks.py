"""Mask files for FiftyOne, beside the data set: one for each segment and one for each scene.

The masks of a photo are in one folder, which is named by a digest of what they show. So unchanged
photos keep their files, and browsers do not show old masks from their cache.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from base.files import digest, inside, write_bytes
from base.progress import track
from base.syncing import sync_all
from conversion.coco.lookup import find_file
from conversion.coco.panoptic import PanopticSet, Photo, Segment
from conversion.coco.png import SegmentIds


@dataclass(frozen=True)
class PhotoMasks:
    """The mask files of a photo: the scene (category ids), and each segment by segment id."""

    folder: Path

    @property
    def scene(self) -> Path:
        return self.folder / "scene.png"

    def segment(self, segment_id: int) -> Path:
        """Return the mask of a segment within its box."""
        return self.folder / f"{segment_id}.png"


def mask_folder(dataset: Dataset, kind: str) -> Path:
    """Folder of the masks of one kind (`truth`, `predictions`)."""
    return (dataset.root / "fiftyone" / kind).resolve()


def write_masks(sets: Iterable[PanopticSet], folder: Path, *, reuse: bool) -> dict[str, PhotoMasks]:
    """Write the masks of all photos; return them by file name. They survive a power cut.

    With `reuse`, those that `folder` has already are kept. It must be False if the last load was
    not complete: they may have been half removed, or lost in a power cut. Threads are enough,
    because OpenCV releases Python's lock. Raises InputError if a PNG cannot be read, and OSError if
    a mask cannot be written.
    """
    photos = [(panoptic, photo) for panoptic in sets for photo in panoptic.photos]
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda pair: _write_photo(pair[0], pair[1], folder, reuse=reuse), photos)
        masks = list(track(done, "masks", total=len(photos)))
    if folder.is_dir():
        sync_all(folder)
    return {photo.file_name: own for (_, photo), own in zip(photos, masks, strict=True)}


def remove_old_masks(folder: Path, kept: Mapping[str, PhotoMasks]) -> None:
    """Remove all folders of masks in `folder` except those in `kept`."""
    wanted = {masks.folder for masks in kept.values()}
    above = {parent for one in wanted for parent in one.parents}
    for path, names, _ in os.walk(folder):
        for name in names:
            inner = Path(path, name)
            if inner not in wanted and inner not in above:
                shutil.rmtree(inner)
        names[:] = [name for name in names if Path(path, name) in above]
    for earlier in folder.parent.glob(f"{folder.name}-*"):  # the layout before that of this file
        shutil.rmtree(earlier)


def _write_photo(panoptic: PanopticSet, photo: Photo, folder: Path, *, reuse: bool) -> PhotoMasks:
    """Write the masks of a photo; their folder appears when it is complete."""
    where = str(panoptic.json_path)
    png = find_file(panoptic.png_folder, photo.png_name, where=where)
    parent = inside(folder, photo.file_name, where=where)
    masks = PhotoMasks(parent / digest(repr(photo), png or "")[:12])
    if reuse and masks.folder.is_dir():
        return masks
    ids = panoptic.segment_ids(photo)
    partial = PhotoMasks(parent / f".{masks.folder.name}")
    shutil.rmtree(partial.folder, ignore_errors=True)  # left by a process that was killed
    partial.folder.mkdir(parents=True)
    for segment in photo.segments:
        _write_png(partial.segment(segment.id), _crop_mask(ids, segment))
    _write_png(partial.scene, scene_map(ids, photo))
    if masks.folder.exists():
        shutil.rmtree(masks.folder)
    partial.folder.rename(masks.folder)
    return masks


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
    _, png = cv2.imencode(".png", values)  # `imwrite` does not notice that the disk is full
    write_bytes(path, png.tobytes())
