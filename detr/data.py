"""Training examples from a panoptic data set: photos, and their segments as boxes and masks.

Photo and segment ids go through the same view (crop, size, mirror) once; boxes and masks are read
off the ids afterwards, so nothing can come apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from annotation.files import InputError, inside
from conversion.panoptic import PanopticSet, Photo, Segment, measure, read_panoptic
from detr.classes import ClassTable, packed_classes
from detr.config import TrainConfig
from detr.padded import Padded, pad
from detr.view import View, draw_view, plain_view

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
class Batch:
    """Normalised photos (B, 3, H, W) or, where they are cached, their features, finest first."""

    seen: Padded | list[Padded]
    targets: list[Target]


@dataclass(frozen=True)
class Examples(Dataset[tuple[Tensor, Target]]):
    """One split in one epoch; `epoch` is None where photos are seen plain, as in testing."""

    panoptic: PanopticSet
    images: Path
    classes: ClassTable
    config: TrainConfig
    epoch: int | None = None
    with_masks: bool = True

    def __len__(self) -> int:
        return len(self.panoptic.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        photo = self.panoptic.photos[index]
        view = self.view(photo)
        return self.image(photo, view), self.target(photo, view)

    def view(self, photo: Photo) -> View:
        """What is seen of a photo in this epoch."""
        if self.epoch is None:
            return plain_view(self.config, width=photo.width, height=photo.height)
        return draw_view(self._rng(photo), self.config, width=photo.width, height=photo.height)

    def _rng(self, photo: Photo) -> np.random.Generator:
        """Chance of one photo in one epoch, whichever process draws it."""
        return np.random.default_rng([self.config.seed, self.epoch or 0, photo.id])

    def image(self, photo: Photo, view: View) -> Tensor:
        """One photo as the model takes it, (3, H, W)."""
        path = inside(self.images, photo.file_name, where=str(self.panoptic.json_path))
        bgr = read_photo(path)
        if bgr.shape[:2] != (photo.height, photo.width):
            raise InputError(
                f"{path}: expected {photo.width}x{photo.height} pixels as"
                f" {self.panoptic.json_path} says, got {bgr.shape[1]}x{bgr.shape[0]}"
            )
        bgr = view.of_photo(bgr)
        if self.epoch is not None and self.config.photometric:
            bgr = _change_colours(bgr, self._rng(photo), self.config.photometric)
        return normalise(bgr, self.config.backbone)

    def target(self, photo: Photo, view: View) -> Target:
        """Segments that are visible in the view, crowds left out."""
        ids = view.of_ids(self.panoptic.segment_ids(photo))
        seen = measure(ids)
        segments = [s for s in photo.segments if s.id in seen and not s.iscrowd]
        wanted = np.array([s.id for s in segments], dtype=np.uint32)
        height, width = ids.shape
        boxes = np.array([seen[s.id][1] for s in segments], dtype=np.float32).reshape(-1, 4)
        boxes[:, :2] += boxes[:, 2:] / 2  # xywh to cxcywh
        return Target(
            image_id=photo.id,
            file_name=photo.file_name,
            size=(height, width),
            labels=torch.tensor([self._class(s) for s in segments], dtype=torch.int64),
            cxcywh_norm=torch.from_numpy(boxes / np.array([width, height] * 2, np.float32)),
            masks=torch.from_numpy(ids == wanted[:, None, None])
            if self.with_masks
            else torch.zeros(len(segments), 0, 0, dtype=torch.bool),
        )

    def _class(self, segment: Segment) -> int:
        return self.classes.index(segment.category_id, where=str(self.panoptic.json_path))


def read_photo(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 BGR, turned as its EXIF says."""
    try:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        bgr = None
    if bgr is None:
        raise InputError(f"{path}: cannot be read as a photo")
    return np.asarray(bgr, dtype=np.uint8)


def normalise(bgr: Pixels, backbone: str) -> Tensor:
    """(H, W, 3) uint8 BGR to (3, H, W) float RGB, scaled as the backbone was trained."""
    if backbone == "efficientnet_lite0":
        mean, std = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
    else:
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    rgb = (bgr[..., ::-1] - np.array(mean, np.float32)) / np.array(std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))


def _change_colours(bgr: Pixels, rng: np.random.Generator, most: float) -> Pixels:
    """Brightness, contrast and saturation, each changed by up to `most` of what it is."""
    brightness, contrast, saturation = rng.uniform(1 - most, 1 + most, 3).astype(np.float32)
    colours = bgr.astype(np.float32) * brightness
    colours = (colours - colours.mean()) * contrast + colours.mean()
    grey = colours.mean(axis=2, keepdims=True)
    changed: Pixels = ((colours - grey) * saturation + grey).clip(0, 255).astype(np.uint8)
    return changed


def batches(examples: Examples, order: list[int]) -> Iterator[Batch]:
    """Batches of the examples in `order`, read by other processes if the config says so."""
    config = examples.config
    cuts = range(0, len(order), config.batch_size)
    loader: DataLoader[Batch] = DataLoader(
        examples,  # type: ignore[arg-type]
        batch_sampler=[order[cut : cut + config.batch_size] for cut in cuts],
        num_workers=config.num_workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else the loader draws from the training's chance
    )
    try:
        yield from loader
    except InputError as error:  # a worker's comes with its traceback before it
        raise InputError(str(error).rpartition("InputError: ")[2].strip()) from None


def _collate(examples: list[tuple[Tensor, Target]]) -> Batch:
    return Batch(pad([image for image, _ in examples]), [target for _, target in examples])


def _start_worker(worker: int) -> None:
    """Ctrl-C is the training process's to handle; one thread a worker."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


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
