"""A data set's folder and its `dataset.yaml`.

Type annotations are not strings here, because msgspec would have to compile each of them.
"""

import os
from collections import Counter
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from annotation.findings import RULES
from annotation.photos.flat import flat_annotations, flat_photos, is_flat
from annotation.photos.listing import Paths, list_files, list_photos
from base.errors import InputError, nearest
from base.files import inside
from base.parsing import load_yaml, parse

PROPOSAL = "? "  # the labels of proposals begin with it; those of a data set may not
# Keys of `dataset.yaml` that only `conversion.config` parses
CONVERSION_KEYS = (
    "own_stuff",
    "stuff_groups",
    "stuff_sources",
    "split",
    "least_visible",
    "slivers",
    "instances",
)


@dataclass(frozen=True)
class Limits:
    """Thresholds of validation; areas in square pixels, lengths in pixels."""

    tiny_area: float = 9  # 3 x 3: an accidental click, and too small for a model to learn from
    crossing_area: float = 9  # in doubt where an outline crosses itself; less is only a note
    repeated_distance: float = 0.01  # between consecutive vertices; files round to about this
    spike_angle: float = 4  # degrees at a vertex ...
    spike_length: float = 8  # ... both of whose edges are longer than this
    margin: float = 1  # beyond the border; annotators draw up to the border and onto it
    whole_share: float = 0.98  # of the photo that one shape covers
    near_iou: float = 0.85  # of two shapes with any labels
    overlap_share: float = 0.65  # of the smaller of two things with one label; if both are drawn
    # whole, the one in front may cover half of the other or more
    hidden_share: float = 0.99  # of a thing that later shapes cover
    apart: float = 3  # gap in a group, in diagonals of its largest part; occluders leave about 1
    hole_outside_share: float = 0.1  # of a hole that lies outside the shapes it cuts
    few: int = 10  # fewest instances of a category
    imbalance: float = 100  # most frequent to least frequent category
    outlier: float = 5  # robust standard deviations of log size and log aspect
    near_photo: int = 8  # of 64 bits in which perceptual hashes differ

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}: expected 0 or more, found {value}")


@dataclass(frozen=True)
class DatasetConfig:
    """The keys of `dataset.yaml` that every package needs.

    `things` are Labelme labels, `stuff` are COCO names. `conversion.config` parses the other keys
    (CONVERSION_KEYS). Validation needs two of their values, which are fields but not keys here:
    `stuff_labels`, the labels of shapes that are stuff (`stuff_sources: [{shapes: ...}]`), and
    `group_by`, the CSV of groups of photos (`split: {group_by: ...}`).
    """

    name: str
    things: tuple[str, ...]
    stuff: tuple[str, ...] = ()
    holes: tuple[str, ...] = ("__hole__",)  # labels of holes in the shapes with their group_id
    # labels of regions excluded from training and scoring, or, with a thing, of crowds of it
    ignored: tuple[str, ...] | dict[str, str | None] = ("__ignore__",)
    line_width: float = 0  # pixels to which lines and points are widened; 0 leaves them out
    painting: Literal["as-drawn", "smaller-on-top"] | tuple[str, ...] = "as-drawn"  # or labels,
    # from the lowest to the topmost; labels that are not listed lie below them, as drawn
    ungrouped: tuple[str, ...] = ()  # labels whose things never have several parts
    shape_flags: tuple[str, ...] = ("crowd", "occluded", "truncated", "checked")
    photo_flags: tuple[str, ...] = ("exclude",)
    severity: dict[str, Literal["error", "warning", "note", "ignore"]] = field(default_factory=dict)
    limits: Limits = Limits()
    stuff_labels: tuple[str, ...] = ()
    group_by: str | None = None

    def __post_init__(self) -> None:
        if not self.things and not self.stuff:
            raise ValueError("things: expected at least one label, found none")
        special = (*self.holes, *self.ignored)
        check_once("things and stuff", *self.things, *self.stuff, *special)
        check_once("things and shapes", *self.things, *self.stuff_labels, *special)
        for label in self.labels:
            if label.startswith(PROPOSAL):
                expected = f"a label that does not begin with '{PROPOSAL}', which marks proposals"
                raise ValueError(f"label '{label}': expected {expected}")
        for rule in self.severity:
            if rule not in RULES:
                raise ValueError(f"severity: rule '{rule}' is unknown{nearest(rule, RULES)}")
        if not 0 <= self.line_width < 1000:
            raise ValueError(f"line_width: expected 0 to 1000 pixels, found {self.line_width}")
        for label, thing in self.crowds.items():
            if thing not in self.things:
                hint = nearest(thing, self.things)
                raise ValueError(f"ignored: {label}: expected a thing, found '{thing}'{hint}")
        for label in () if isinstance(self.painting, str) else self.painting:
            if label not in self.labels:
                raise ValueError(f"painting: '{label}' is unknown{nearest(label, self.labels)}")

    @property
    def crowds(self) -> dict[str, str]:
        """The thing of which each ignored label marks a crowd, by label."""
        named = self.ignored.items() if isinstance(self.ignored, dict) else ()
        return {label: thing for label, thing in named if thing is not None}

    def has_error(self, *rules: str) -> bool:
        """Return whether any of the rules has the severity error in this set."""
        return any(self.severity.get(rule, RULES[rule]) == "error" for rule in rules)

    def thing_of(self, label: str) -> str | None:
        """Return the thing that a label names or marks a crowd of; None for other labels."""
        thing = self.crowds.get(label, label)
        return thing if thing in self.things else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a shape may have."""
        return (*self.things, *self.stuff_labels, *self.ignored, *self.holes)


def check_once(where: str, *names: str) -> None:
    """Raise ValueError if a name occurs more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{where}: '{name}' appears twice")


@dataclass(frozen=True)
class Dataset:
    """One folder under `datasets/` with its parsed configuration.

    `conversion` holds the values of CONVERSION_KEYS as read from YAML; `conversion.config` parses
    them.
    """

    root: Path
    config: DatasetConfig
    conversion: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def is_flat(self) -> bool:
        """Whether photos and annotations lie side by side in the set's own folder."""
        return is_flat(self.root)

    @property
    def images(self) -> Path:
        """The folder of the photos: `images/`, or that of the set if it is flat."""
        return self.root if self.is_flat else self.root / "images"

    @property
    def labelme(self) -> Path:
        return self.root / "labelme"

    @property
    def panoptic(self) -> Path:
        return self.root / "panoptic"

    def photos(self) -> Paths:
        """All photos under `images/`, or directly in the folder of a flat set, sorted by path.

        A set of Labelme files may have no `images/`, if the files contain the photos. Raises
        InputError for other sets without that folder.
        """
        if not self.images.exists() and self.labelme.is_dir():
            return Paths([])
        return flat_photos(self.root) if self.is_flat else list_photos(self.images)

    def annotations(self) -> Paths:
        """All Labelme files under `labelme/` and beside the photos, sorted by path."""
        if self.is_flat:
            separate = list_files(".json", self.labelme)
            return Paths([*flat_annotations(self.root).texts, *separate.texts])
        return list_files(".json", self.images, self.labelme)

    def has_only_maps(self) -> bool:
        """Return whether the set has no Labelme file, and its stuff comes from other sources."""
        sources = self.conversion.get("stuff_sources") or ()
        others = [one for one in sources if isinstance(one, dict) and "shapes" not in one]
        return bool(others) and not self.annotations()

    def relative(self, path: Path) -> str:
        """A path as findings name it: relative to the set, with slashes."""
        name, root = str(path), f"{self.root}{os.sep}"
        plain = name.startswith(root) and ".." not in name  # ten times faster than relpath
        name = (name[len(root) :] if plain else os.path.relpath(path, self.root)).replace(
            os.sep, "/"
        )
        return name.encode(errors="replace").decode()  # unpaired surrogates cannot be encoded

    def inside(self, relative: str, *, where: str) -> Path:
        return inside(self.root, relative, where=where)


def open_dataset(root: Path) -> Dataset:
    """Read `root/dataset.yaml`.

    The keys of the conversion are checked by `conversion.config.read_conversion_config`, which
    commands call next. Raises InputError if the file is missing or a value in it is wrong.
    """
    path = root / "dataset.yaml"
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(f"{root}: expected the folder of a data set, found {found}")
    if not path.is_file():
        raise InputError(f"{path}: missing; a data set needs it (see README, 'Your own photos')")
    data = load_yaml(path)
    config = parse_config(data, where=str(path))
    return Dataset(root, config, {key: data[key] for key in CONVERSION_KEYS if key in data})


class _Source(msgspec.Struct, frozen=True):
    """What validation needs from one entry of `stuff_sources`."""

    shapes: tuple[str, ...] | dict[str, str] | None = None


class _Split(msgspec.Struct, frozen=True):
    """What validation needs from `split`."""

    group_by: str | None = None


class _ConversionFacts(msgspec.Struct, frozen=True):
    """What validation needs from the keys that the conversion reads."""

    stuff_sources: tuple[_Source, ...] = ()
    split: _Split = _Split()


def parse_config(data: Any, *, where: str) -> DatasetConfig:
    """Parse the values of a `dataset.yaml`, except those that only the conversion reads.

    Raises InputError for a wrong value, and for a key that no package reads.
    """
    if not isinstance(data, dict):
        return parse(DatasetConfig, data, where=where)
    derived = ("stuff_labels", "group_by")
    own_keys = [one.name for one in fields(DatasetConfig) if one.name not in derived]
    known = (*own_keys, *CONVERSION_KEYS)
    for key in data:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{nearest(str(key), known)}")
    facts = parse(_ConversionFacts, data, where=where)
    own = {key: value for key, value in data.items() if key in own_keys}
    own["stuff_labels"] = [label for one in facts.stuff_sources for label in one.shapes or ()]
    return parse(DatasetConfig, {**own, "group_by": facts.split.group_by}, where=where)
