"""A data set's folder and its `dataset.yaml`.

Annotations are no strings here: msgspec would compile each when the first set is opened.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, overload

import msgspec

from annotation.findings import RULES
from base.errors import InputError, nearest
from base.files import inside
from base.parsing import load_yaml, parse

LEAST_CONFIDENCE = 0.5  # of a predicted segment, where the set does not say
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


STUFF_KINDS = ("label_maps", "coco", "pixelmaps", "shapes", "prediction")


@dataclass(frozen=True)
class StuffSource:
    """Where stuff comes from: one of STUFF_KINDS, each described in docs/stuff.md.

    `label_maps` is a folder of PNGs, `table` says what their values are; `coco` is a COCO panoptic
    or stuff JSON, `pixelmaps` a folder of COCO's stuff pixel maps; `shapes` are Labelme labels with
    the stuff that they are; `prediction` is a panoptic JSON with scores of `confidence` and more.
    """

    label_maps: str | None = None
    table: str | dict[int | str, str | None] | None = None  # a CSV, or value or '#rrggbb' to name
    coco: str | None = None
    pixelmaps: str | None = None
    shapes: tuple[str, ...] | dict[str, str] | None = None
    prediction: str | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # None: LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        kinds = [kind for kind in STUFF_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            got = " and ".join(kinds) or "none"
            raise ValueError(f"expected one of {', '.join(STUFF_KINDS)}, got {got}")
        for key, kind in (("table", "label_maps"), ("confidence", "prediction")):
            if getattr(self, key) is not None and kinds != [kind]:
                raise ValueError(f"{key}: belongs to {kind}, got it with {kinds[0]}")

    @property
    def stuff_of_label(self) -> dict[str, str]:
        """Name of the stuff that each Labelme label of `shapes` is; a plain list names itself."""
        shapes = self.shapes or ()
        return dict(shapes) if isinstance(shapes, dict) else {label: label for label in shapes}


@dataclass(frozen=True)
class Split:
    """Which photo goes where; in the file, the shares stand beside the other keys.

    Photos of one group stay together: those of one group in the CSV (image, group) `group_by`,
    those in whose names the first group of `group_pattern` finds the same, near-duplicates where
    they are looked for. `lists` names text files of photos that belong into a split.
    """

    shares: dict[str, float] = field(default_factory=lambda: {"train": 0.8, "test": 0.2})
    seed: int = 0
    group_by: str | None = None
    group_pattern: str | None = None
    near_duplicates: bool = False
    lists: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
        whole = abs(sum(self.shares.values()) - 1) <= 1e-6  # not so where one is no number
        if not whole or min(self.shares.values()) < 0:
            raise ValueError(f"shares must sum to 1, got {shares}")
        if "train" not in self.shares:
            raise ValueError(f"expected a split 'train' among others, got {shares}")
        for name in self.shares:
            if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
                raise ValueError(f"a split's name needs letters and digits, got '{name}'")
            if name == "annotations" or name.startswith("panoptic_"):
                raise ValueError(f"a split cannot be called '{name}': a folder of the set is")
            known = [one.name for one in fields(self) if one.name != "shares"]
            if get_close_matches(name, known, n=1, cutoff=0.8):
                raise ValueError(f"unknown key '{name}'{nearest(name, known)}")
        for name in self.lists:
            if name not in self.shares:
                raise ValueError(f"lists: '{name}' is no split{nearest(name, self.shares)}")
        if self.group_pattern is not None and _groups_in(self.group_pattern) == 0:
            raise ValueError(
                f"group_pattern: a group in (...) expected, got '{self.group_pattern}'"
            )


def _groups_in(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"group_pattern: '{pattern}' is no regular expression: {error}") from None


@dataclass(frozen=True)
class Slivers:
    """Pieces of stuff below `area` pixels go to the stuff with the longest border, or to void."""

    area: int = 0
    to: Literal["neighbour", "void"] = "neighbour"


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
    """`dataset.yaml`: Labelme labels that are things, COCO names that are stuff, stuff sources.

    `own_stuff` are names of stuff that COCO lacks; each of `stuff_groups` is one category that
    several COCO names become.
    """

    name: str
    things: tuple[str, ...]
    stuff: tuple[str, ...] = ()
    own_stuff: tuple[str, ...] = ()
    stuff_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stuff_sources: tuple[StuffSource, ...] = ()
    split: Split = Split()
    holes: tuple[str, ...] = ("__hole__",)  # labels that cut the shapes of their group_id
    # labels of regions that nobody shall learn; those that name a thing are a crowd of it
    ignored: tuple[str, ...] | dict[str, str | None] = ("__ignore__",)
    line_width: float = 0  # pixels to which lines and points are widened; 0 leaves them out
    painting: Literal["as-drawn", "smaller-on-top"] | tuple[str, ...] = "as-drawn"  # or labels,
    # from the lowest to the topmost; those not named lie below, as drawn
    least_visible: float = 0  # share of a thing; with less of it to be seen, it is left out
    slivers: Slivers = Slivers()
    instances: Literal["visible", "amodal"] = "visible"  # what instances_*.json outlines
    ungrouped: tuple[str, ...] = ()  # labels whose things never have several parts
    shape_flags: tuple[str, ...] = ("crowd", "occluded", "truncated", "checked")
    photo_flags: tuple[str, ...] = ("exclude",)
    severity: dict[str, Literal["error", "warning", "note", "ignore"]] = field(default_factory=dict)
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not self.things:
            raise ValueError("things: at least one label expected, got none")
        own = (*self.own_stuff, *self.stuff_groups)
        _check_once("things and stuff", *self.things, *self.stuff, *own, *self.holes, *self.ignored)
        members = [m for g, several in self.stuff_groups.items() for m in several if m != g]
        _check_once("stuff and stuff_groups", *self.stuff, *own, *members)
        drawn = [label for source in self.stuff_sources for label in source.stuff_of_label]
        _check_once("things and shapes", *self.things, *drawn, *self.holes, *self.ignored)
        for rule in self.severity:
            if rule not in RULES:
                raise ValueError(f"severity: rule '{rule}' is unknown{nearest(rule, RULES)}")
        if not 0 <= self.line_width < 1000:
            raise ValueError(f"line_width: expected 0 to 1000 pixels, got {self.line_width}")
        if not 0 <= self.least_visible < 1:
            raise ValueError(f"least_visible: expected 0 to 1, got {self.least_visible}")
        for label, thing in self.crowds.items():
            if thing not in self.things:
                raise ValueError(
                    f"ignored: '{label}' names no thing: '{thing}'{nearest(thing, self.things)}"
                )
        for label in () if isinstance(self.painting, str) else self.painting:
            if label not in self.labels:
                raise ValueError(f"painting: '{label}' is unknown{nearest(label, self.labels)}")

    @property
    def crowds(self) -> dict[str, str]:
        """The things of which ignored labels mark a crowd, by label."""
        named = self.ignored.items() if isinstance(self.ignored, dict) else ()
        return {label: thing for label, thing in named if thing is not None}

    def has_error(self, *rules: str) -> bool:
        """Whether one of the rules keeps a photo out of the set."""
        return any(self.severity.get(rule, RULES[rule]) == "error" for rule in rules)

    def thing_of(self, label: str) -> str | None:
        """The thing that a label stands for, or is a crowd of; None for others."""
        thing = self.crowds.get(label, label)
        return thing if thing in self.things else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a shape may have."""
        return (*self.things, *self.stuff_labels, *self.ignored, *self.holes)

    @property
    def stuff_labels(self) -> tuple[str, ...]:
        """Labels of shapes that are stuff, and so neither unknown nor things."""
        return tuple(label for one in self.stuff_sources for label in one.stuff_of_label)


def _check_once(where: str, *names: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{where}: '{name}' stands twice")


class Paths(Sequence[Path]):
    """Paths kept as text, since a Path takes ten times as much memory."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> "Paths": ...

    def __getitem__(self, index: int | slice) -> "Path | Paths":
        if isinstance(index, slice):
            return Paths(self.texts[index])
        return Path(self.texts[index])

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self.texts)


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

    def photos(self) -> Paths:
        """All photos under `images/`, sorted by path."""
        return list_photos(self.images)

    def annotations(self) -> Paths:
        """All Labelme files under `labelme/` and beside the photos, sorted by path."""
        return _files(".json", self.images, self.labelme)

    def relative(self, path: Path) -> str:
        """A path as findings name it: relative to the set, with slashes."""
        name, root = str(path), f"{self.root}{os.sep}"
        plain = name.startswith(root) and ".." not in name  # ten times faster than relpath
        name = (name[len(root) :] if plain else os.path.relpath(path, self.root)).replace(
            os.sep, "/"
        )
        return name.encode(errors="replace").decode()  # half a surrogate can't be written

    def inside(self, relative: str, *, where: str) -> Path:
        return inside(self.root, relative, where=where)


def open_dataset(root: Path) -> Dataset:
    """Read `root/dataset.yaml`; InputError where it is missing or wrong."""
    path = root / "dataset.yaml"
    if not path.is_file():
        raise InputError(f"{path}: missing; a data set needs it (see README, 'Your own photos')")
    return Dataset(root, parse_config(load_yaml(path), where=str(path)))


def parse_config(data: Any, *, where: str) -> DatasetConfig:
    """Parse the values of a `dataset.yaml`; InputError says which key is wrong.

    Numbers under `split` that are no other key's are shares.
    """
    split = data.get("split") if isinstance(data, dict) else None
    if isinstance(split, dict) and "shares" not in split:
        others = {one.name for one in fields(Split)}
        shares = {k: v for k, v in split.items() if k not in others and isinstance(v, int | float)}
        if shares:
            rest = {k: v for k, v in split.items() if k not in shares}
            data = {**data, "split": {**rest, "shares": shares}}
    return parse(DatasetConfig, data, where=where)


def list_photos(folder: Path) -> Paths:
    """All photos below `folder`, sorted; InputError where the folder is missing."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "missing"
        raise InputError(f"{folder}: {found}; expected a folder of photos")
    return _files(PHOTO_SUFFIXES, folder)


def _files(suffixes: str | tuple[str, ...], *folders: Path) -> Paths:
    """All files below with one of the suffixes, in any case, sorted as paths are."""
    found = [
        f"{place}{os.sep}{name}"
        for folder in folders
        for place, _, names in os.walk(folder)  # several times faster than rglob
        for name in names
        if name.lower().endswith(suffixes) and not name.startswith(".")
    ]
    found.sort(key=lambda name: name.replace(os.sep, "\0"))  # folder by folder, as paths are
    return Paths(found)
