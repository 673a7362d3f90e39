"""Training examples: a photo as the model reads it, and its segments.

The photo and its segment ids are cropped, resized and mirrored in the same way, as one view. Boxes
and masks are derived from the ids afterwards, so they always match the photo, and thirty masks take
no longer than one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from annotation.photos.files import read_photo
from base.errors import InputError
from base.files import inside
from conversion.coco.panoptic import PanopticSet, Photo
from detr.config import TrainConfig
from detr.data.canvas import CanvasView, Size, canvas_view, shared_canvas
from detr.data.classes import ClassTable
from detr.data.colours import jitter_colours, normalise
from detr.data.memory import PhotoMemory
from detr.data.targets import SegmentMap, find_segments
from detr.data.view import View, random_view, whole_view


@dataclass(frozen=True)
class Examples(Dataset[tuple[Tensor, SegmentMap]]):
    """The examples of one split in one epoch; without augmentation if `epoch` is None."""

    panoptic: PanopticSet
    images: Path
    classes: ClassTable
    config: TrainConfig
    epoch: int | None = None
    with_masks: bool = True
    memory: PhotoMemory = field(default_factory=PhotoMemory)

    def __len__(self) -> int:
        return len(self.panoptic.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, SegmentMap]:
        """Return a normalised photo (3, H, W) and its segments.

        Raises InputError if the photo cannot be read or does not match the data set.
        """
        photo = self.panoptic.photos[index]
        view = self.view(photo)
        return self.image(photo, view), self.segments(photo, view)

    def view(self, photo: Photo) -> View | CanvasView:
        """Return the view of a photo in this epoch."""
        config, width, height = self.config, photo.width, photo.height
        if self.epoch is None:
            return whole_view(config, width=width, height=height)
        rng = self._rng(photo, "view")
        if config.variant == "fast":
            return canvas_view(rng, config, self._canvas, width=width, height=height)
        return random_view(rng, config, width=width, height=height)

    @cached_property
    def _canvas(self) -> Size:
        """The size of all training views of `variant: fast`."""
        return shared_canvas(self.config, [(p.width, p.height) for p in self.panoptic.photos])

    def _rng(self, photo: Photo, purpose: str) -> np.random.Generator:
        """Return a generator for one photo in one epoch, the same in every process.

        Each purpose has its own generator; otherwise, view and colour changes would be correlated.
        """
        seeds = [self.config.seed, self.epoch or 0, photo.id, crc32(purpose.encode())]
        return np.random.default_rng(seeds)

    def photo_path(self, photo: Photo) -> Path:
        """Return the path of a photo. Raises InputError if it is outside the split's folder."""
        return inside(self.images, photo.file_name, where=str(self.panoptic.json_path))

    def image(self, photo: Photo, view: View | CanvasView) -> Tensor:
        """Read a photo and convert it to the model's input, (3, H, W) float32 RGB."""
        bgr = view.transform_photo(self.memory.pixels(photo, self._read_pixels))
        if self.epoch is not None and self.config.photometric:
            bgr = jitter_colours(bgr, self._rng(photo, "colours"), self.config.photometric)
        return normalise(bgr, self.config.backbone)

    def _read_pixels(self, photo: Photo) -> NDArray[np.uint8]:
        """Read a photo (H, W, 3) BGR. Raises InputError if it does not match the data set."""
        path = self.photo_path(photo)
        bgr = read_photo(path)
        if bgr.shape[:2] != (photo.height, photo.width):
            raise InputError(
                f"{path}: expected {photo.width}x{photo.height} pixels as in"
                f" {self.panoptic.json_path}, found {bgr.shape[1]}x{bgr.shape[0]}"
            )
        return bgr

    def segments(self, photo: Photo, view: View | CanvasView) -> SegmentMap:
        """Return the segments that are visible in the view, without crowds."""
        learned = [segment for segment in photo.segments if not segment.iscrowd]
        ids = view.transform_ids(self.memory.ids(photo, self.panoptic.segment_ids))
        found = find_segments(ids, [segment.id for segment in learned])
        where = str(self.panoptic.json_path)
        labels = [self.classes.index(learned[i].category_id, where=where) for i in found.wanted]
        height, width = found.indices.shape
        segments = SegmentMap(
            image_id=photo.id,
            file_name=photo.file_name,
            size=(height, width),
            labels=torch.tensor(labels, dtype=torch.int64),
            cxcywh_norm=torch.from_numpy(found.cxcywh_norm),
            indices=torch.from_numpy(found.indices),
        )
        return segments if self.with_masks else segments.without_masks()
