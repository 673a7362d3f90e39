"""Masks as FiftyOne reads them: files beside the data set, one a segment and one a scene.

Everything of one load or review lies in one folder named by a digest of what it was made from, so
an old state stays whole until the new one is, and no browser shows an old mask from its cache.
"""

from __future__ import annotations

import shutil
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

Work = tuple[PanopticSet, Photo]


@dataclass(frozen=True)
class PhotoMasks:
    """One photo's mask files: the scene of category ids, and one a segment by segment id."""

    scene: Path
    segments: dict[int, Path]


def mask_folder(dataset: Dataset, kind: str, inputs: str) -> Path:
    """Folder of the masks of one `kind` (truth, predictions) made from `inputs`, a digest."""
    return (dataset.root / "fiftyone" / f"{kind}-{inputs[:12]}").resolve()


def write_masks(work: list[Work], folder: Path) -> None:
    """Write the masks of all photos into `folder`, which appears when it is whole.

    OpenCV lets threads share the processors.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        partial = Path(name) / "masks"
        partial.mkdir()
        with ThreadPoolExecutor() as pool:
            done = pool.map(lambda one: _write_photo(one[0], one[1], partial), work)
            for _ in track(done, "masks", total=len(work)):
                pass
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)


def masks_of(photo: Photo, folder: Path) -> PhotoMasks:
    """Where the masks of a photo lie in `folder`."""
    place = folder / photo.file_name
    return PhotoMasks(place / "scene.png", {s.id: place / f"{s.id}.png" for s in photo.segments})


def _write_photo(panoptic: PanopticSet, photo: Photo, folder: Path) -> None:
    ids = panoptic.segment_ids(photo)
    masks = masks_of(photo, folder)
    masks.scene.parent.mkdir(parents=True)
    for segment in photo.segments:
        _write_png(masks.segments[segment.id], crop_mask(ids, segment))
    _write_png(masks.scene, scene_map(ids, photo))


def crop_mask(ids: SegmentIds, segment: Segment) -> NDArray[np.uint8]:
    """(height, width) uint8 of the segment's box in (H, W) `ids`: 255 on the segment, else 0."""
    x, y, width, height = segment.bbox
    return np.where(ids[y : y + height, x : x + width] == segment.id, 255, 0).astype(np.uint8)


def scene_map(ids: SegmentIds, photo: Photo) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W) category ids of (H, W) segment `ids`, 0 on void; 16 bits only where 8 do not do."""
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
    """Remove the folders of the same kind that an earlier load or review wrote."""
    kind = folder.name.rpartition("-")[0]
    for other in sorted(folder.parent.glob(f"{kind}-*")):
        if other != folder:
            shutil.rmtree(other)
