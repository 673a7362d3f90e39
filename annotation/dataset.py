"""A data set's folder and its `dataset.yaml`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from annotation.files import InputError, inside, nearest, read_yaml
from annotation.findings import RULES

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class StuffSource:
    """Where stuff comes from; `label_maps` names a folder of 8-bit PNGs of COCO panoptic ids."""

    label_maps: str


@dataclass(frozen=True)
class Split:
    """Shares of the splits; `group_by` names a CSV (image, group) whose groups stay together."""

    train: float = 0.8
    test: float = 0.2
    seed: int = 0
    group_by: str | None = None

    def __post_init__(self) -> None:
        if min(self.train, self.test) < 0 or abs(self.train + self.test - 1) > 1e-6:
            raise ValueError(f"shares must sum to 1, got train {self.train}, test {self.test}")


@dataclass(frozen=True)
class Limits:
    """Where validation begins to complain; areas in square pixels, lengths in pixels."""

    tiny_area: float = 9  # 3 x 3: a slip of the mouse, and no model learns from it
    repeated_distance: float = 0.01  # of two vertices that follow each other: as files round them
    spike_angle: float = 4  # degrees at a vertex ...
    spike_length: float = 8  # ... whose both edges are longer than this, inside the photo
    margin: float = 1  # annotators draw up to and onto the border
    whole_share: float = 0.98  # of the photo under one rectangle
    near_iou: float = 0.85  # of two shapes of any label
    overlap_share: float = 0.65  # of the smaller of two things of one label; drawn whole, what
    # stands behind another is covered by half and more
    hidden_share: float = 0.99  # of a thing under later ones
    apart: float = 3  # gap in a group, in diagonals of its largest part; occluders leave about 1
    hole_outside_share: float = 0.1  # of a hole beside what it cuts
    few: int = 10  # instances of a category
    imbalance: float = 100  # most frequent to least frequent category
    outlier: float = 5  # robust standard deviations of log size and log aspect
    near_photo: int = 8  # of 64 bits in which perceptual hashes differ

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"limits: {name}: expected 0 or more, got {value}")


@dataclass(frozen=True)
class DatasetConfig:
    """`dataset.yaml`: Labelme labels that are things, COCO names that are stuff, stuff sources."""

    name: str
    things: tuple[str, ...]
    stuff: tuple[str, ...] = ()
    stuff_sources: tuple[StuffSource, ...] = ()
    split: Split = Split()
    holes: tuple[str, ...] = ("__hole__",)  # labels that cut the shapes of their group_id
    ignored: tuple[str, ...] = ("__ignore__",)  # labels of regions that nobody shall learn
    line_width: float = 0  # pixels to which lines and points are widened; 0 leaves them out
    ungrouped: tuple[str, ...] = ()  # labels whose things never have several parts
    shape_flags: tuple[str, ...] = ("crowd", "occluded", "truncated", "checked")
    photo_flags: tuple[str, ...] = ("exclude",)
    severity: dict[str, Literal["error", "warning", "note", "ignore"]] = field(default_factory=dict)
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.things:
            raise ValueError("things: at least one label expected, got none")
        names = [*self.things, *self.stuff, *self.holes, *self.ignored]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"things and stuff: '{name}' stands twice")
        for rule in self.severity:
            if rule not in RULES:
                raise ValueError(f"severity: rule '{rule}' is unknown{nearest(rule, RULES)}")
        if not 0 <= self.line_width < 1000:
            raise ValueError(f"line_width: expected 0 to 1000 pixels, got {self.line_width}")

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a shape may have."""
        return (*self.things, *self.ignored, *self.holes)


@dataclass(frozen=True)
class Dataset:
    """One folder under `datasets/` with its parsed configuration."""

    root: Path
    config: DatasetConfig

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def labelme(self) -> Path:
        return self.root / "labelme"

    @property
    def panoptic(self) -> Path:
        return self.root / "panoptic"

    def photos(self) -> list[Path]:
        """All photos under `images/`, sorted by path."""
        return list_photos(self.images)

    def annotations(self) -> list[Path]:
        """All Labelme files under `labelme/` and beside the photos, sorted by path."""
        return sorted(
            Path(folder, name)
            for root in (self.images, self.labelme)
            for folder, _, names in os.walk(root)  # several times faster than rglob
            for name in names
            if name.lower().endswith(".json") and not name.startswith(".")
        )

    def relative(self, path: Path) -> str:
        """A path as findings name it: relative to the set, with slashes."""
        name = os.path.relpath(path, self.root).replace(os.sep, "/")
        return name.encode(errors="replace").decode()  # half a surrogate can't be written

    def inside(self, relative: str, *, where: str) -> Path:
        return inside(self.root, relative, where=where)


def open_dataset(root: Path) -> Dataset:
    """Read `root/dataset.yaml`; InputError where it is missing or wrong."""
    path = root / "dataset.yaml"
    if not path.is_file():
        raise InputError(f"{path}: missing; a data set needs it (see README, 'Your own photos')")
    return Dataset(root, read_yaml(path, DatasetConfig))


def list_photos(folder: Path) -> list[Path]:
    """All photos below `folder`, sorted; InputError where the folder is missing."""
    if not folder.is_dir():
        raise InputError(f"{folder}: missing; expected a folder of photos")
    return sorted(
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith(".")
    )
