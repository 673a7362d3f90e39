"""Training examples from a panoptic data set: photos, and their segments as boxes and masks.

Photo and segment ids go through the same view (crop, size, mirror) once; boxes and masks are read
off the ids afterwards, so nothing can come apart, and thirty masks cost no more than one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.utils.data import Dataset

from annotation.photos.files import open_photo
from base.errors import InputError
from base.files import inside
from conversion.coco.panoptic import PanopticSet, Photo, Segment, read_panoptic
from conversion.coco.png import SegmentIds
from detr.config import TrainConfig
from detr.data.classes import ClassTable, packed_classes
from detr.data.padded import Padded
from detr.data.view import View, draw_view, plain_view

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """The segments of one photo as the model sees it; `size` is (H, W)."""

    image_id: int
    file_name: str
    size: tuple[int, int]
    labels: Tensor  # (N,) int64 class indices
    cxcywh_norm: Tensor  # (N, 4)
    masks: Tensor  # (N, H, W) bool

    def to(self, device: torch.device) -> Target:
        moved = (t.to(device) for t in (self.labels, self.cxcywh_norm, self.masks))
        return Target(self.image_id, self.file_name, self.size, *moved)


@dataclass(frozen=True)
class SegmentMap:
    """The segments of one photo as they are read and kept: one map for all masks.

    `indices` (H, W) uint8 or int16 holds 0 where no segment counts, else 1 + the segment's index;
    it is (0, 0) where no masks are wanted. A map of a large photo is a megabyte, its masks are
    thirty: they are made where they are used, on the model's device.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    labels: Tensor
    cxcywh_norm: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> Target:
        labels, boxes, indices = (
            t.to(device) for t in (self.labels, self.cxcywh_norm, self.indices)
        )
        numbers = torch.arange(1, len(labels) + 1, dtype=indices.dtype, device=device)
        masks = indices == numbers[:, None, None]
        return Target(self.image_id, self.file_name, self.size, labels, boxes, masks)

    def without_masks(self) -> SegmentMap:
        return replace(self, indices=self.indices.new_zeros(0, 0))


@dataclass(frozen=True)
class Decoded:
    """What a frozen box model made of a batch: all that masks are learnt from."""

    features: list[Padded]  # strides 4, 8, 16, 32
    logits: Tensor  # (L, B, Q, classes + 1)
    cxcywh_norm: Tensor  # (L, B, Q, 4)
    state: Tensor  # (B, Q, D) of the last decoder layer
    memory: Tensor  # (B, D, H, W) of the encoder


@dataclass(frozen=True)
class Batch:
    """Normalised photos (B, 3, H, W) or, where a cache has it, what frozen parts make of them."""

    seen: Padded | list[Padded] | Decoded  # photos; features, finest first; the whole trunk's
    targets: list[SegmentMap]


@dataclass(frozen=True)
class Examples(Dataset[tuple[Tensor, SegmentMap]]):
    """One split in one epoch; `epoch` is None where photos are seen plain, as in testing."""

    panoptic: PanopticSet
    images: Path
    classes: ClassTable
    config: TrainConfig
    epoch: int | None = None
    with_masks: bool = True

    def __len__(self) -> int:
        return len(self.panoptic.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, SegmentMap]:
        photo = self.panoptic.photos[index]
        view = self.view(photo)
        return self.image(photo, view), self.segments(photo, view)

    def view(self, photo: Photo) -> View:
        """What is seen of a photo in this epoch."""
        if self.epoch is None:
            return plain_view(self.config, width=photo.width, height=photo.height)
        rng = self._rng(photo, "view")
        return draw_view(rng, self.config, width=photo.width, height=photo.height)

    def _rng(self, photo: Photo, purpose: str) -> np.random.Generator:
        """Chance of one photo in one epoch, whichever process draws it.

        Each purpose draws from its own: else large crops would come with high contrast.
        """
        words = [self.config.seed, self.epoch or 0, photo.id, crc32(purpose.encode())]
        return np.random.default_rng(words)

    def photo_path(self, photo: Photo) -> Path:
        return inside(self.images, photo.file_name, where=str(self.panoptic.json_path))

    def image(self, photo: Photo, view: View) -> Tensor:
        """One photo as the model takes it, (3, H, W)."""
        path = self.photo_path(photo)
        bgr = read_photo(path)
        if bgr.shape[:2] != (photo.height, photo.width):
            raise InputError(
                f"{path}: expected {photo.width}x{photo.height} pixels as"
                f" {self.panoptic.json_path} says, got {bgr.shape[1]}x{bgr.shape[0]}"
            )
        bgr = view.of_photo(bgr)
        if self.epoch is not None and self.config.photometric:
            bgr = _change_colours(bgr, self._rng(photo, "colours"), self.config.photometric)
        return normalise(bgr, self.config.backbone)

    def segments(self, photo: Photo, view: View) -> SegmentMap:
        """Segments that are visible in the view, crowds left out."""
        wanted = [s for s in photo.segments if not s.iscrowd]
        indices = _number(view.of_ids(self.panoptic.segment_ids(photo)), [s.id for s in wanted])
        found = ndimage.find_objects(indices, max_label=len(wanted))
        seen = [i for i, place in enumerate(found) if place is not None]
        if len(seen) < len(wanted):  # leave no gaps
            numbers = np.zeros(len(wanted) + 1, indices.dtype)
            numbers[np.array(seen, np.int64) + 1] = np.arange(1, len(seen) + 1)
            indices = numbers[indices]
        height, width = indices.shape
        labels = [self._class(wanted[i]) for i in seen]
        boxes = np.array([_cxcywh(*found[i]) for i in seen], np.float32).reshape(-1, 4)
        shown = SegmentMap(
            image_id=photo.id,
            file_name=photo.file_name,
            size=(height, width),
            labels=torch.tensor(labels, dtype=torch.int64),
            cxcywh_norm=torch.from_numpy(boxes / np.array([width, height] * 2, np.float32)),
            indices=torch.from_numpy(indices),
        )
        return shown if self.with_masks else shown.without_masks()

    def _class(self, segment: Segment) -> int:
        return self.classes.index(segment.category_id, where=str(self.panoptic.json_path))


def _number(ids: SegmentIds, wanted: list[int]) -> NDArray[Any]:
    """(H, W) ids to 1 + their index in `wanted`, 0 for all others; ids may be far apart."""
    dtype = np.uint8 if len(wanted) < 256 else np.int16
    table = np.zeros(max([int(ids.max()), *wanted]) + 1, dtype)
    table[wanted] = np.arange(1, len(wanted) + 1)
    numbered: NDArray[Any] = table[ids]
    return numbered


def _cxcywh(rows: slice, columns: slice) -> tuple[float, float, float, float]:
    """Centre and size in pixels; at least one pixel, since the rectangle holds one."""
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return (columns.start + width / 2, rows.start + height / 2, width, height)


def read_photo(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 BGR, turned as its EXIF says."""
    try:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        bgr = None
    if bgr is None:
        raise InputError(f"{path}: cannot be read as a photo")
    _check_end(path)
    return np.asarray(bgr, dtype=np.uint8)


def _check_end(path: Path) -> None:
    """InputError where a JPEG ends too early: of these alone OpenCV makes up what is missing."""
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2))
        if start != b"\xff\xd8" or file.read() == b"\xff\xd9":
            return
    try:  # a whole one may have something behind it
        with open_photo(path) as image:
            image.draft("L", (1, 1))  # at an eighth of its size, in a third of the time
            image.load()
    except InputError:
        return  # nothing that Pillow may look into
    except Exception as error:  # broken files make Pillow raise nearly anything
        raise InputError(
            f"{path}: can be decoded only in part: {error}; replace it by a whole copy"
        ) from None


def normalise(bgr: Pixels, backbone: str) -> Tensor:
    """(H, W, 3) uint8 BGR to (3, H, W) float RGB, scaled as the backbone was trained."""
    if backbone == "efficientnet_lite0":
        mean, std = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
    else:
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    values = np.arange(256, dtype=np.float32)
    rgb = np.empty((3, *bgr.shape[:2]), np.float32)
    for channel in range(3):  # looked up, since there are only 256 values: four times as fast
        scaled = (values - np.float32(mean[channel])) / np.float32(std[channel])
        np.take(scaled, bgr[..., 2 - channel], out=rgb[channel], mode="clip")
    return torch.from_numpy(rgb)


def _change_colours(bgr: Pixels, rng: np.random.Generator, most: float) -> Pixels:
    """Brightness, contrast and saturation, each changed by up to `most` of what it is.

    All three are linear, so one matrix does them: contrast spreads colours about the photo's mean,
    saturation about each pixel's grey.
    """
    brightness, contrast, saturation = rng.uniform(1 - most, 1 + most, 3)
    mixed = saturation * np.eye(3) + (1 - saturation) / 3
    shift = (1 - contrast) * brightness * bgr.mean()
    matrix = np.column_stack([contrast * brightness * mixed, np.full(3, shift)])
    changed: Pixels = cv2.transform(np.ascontiguousarray(bgr), matrix)  # cut to 0..255
    return changed


@dataclass(frozen=True)
class Splits:
    """A built data set: the folder `panoptic/` with its two splits."""

    folder: Path
    train: PanopticSet
    test: PanopticSet
    classes: ClassTable

    def examples(self, split: str, config: TrainConfig) -> Examples:
        panoptic = self.train if split == "train" else self.test
        return Examples(panoptic, self.folder / split, self.classes, config)


def read_splits(folder: Path) -> Splits:
    """Read `panoptic/`; InputError where it is not built or has nothing to train on."""
    names = [folder / "annotations" / f"panoptic_{split}.json" for split in ("train", "test")]
    for path in (*names, folder / "manifest.json"):
        if not path.is_file():
            raise InputError(f"{path}: missing; build the panoptic data set first")
    train, test = (read_panoptic(path) for path in names)
    if not train.photos:
        raise InputError(f"{names[0]}: expected photos to train on, got none")
    return Splits(folder, train, test, packed_classes(train.categories))
