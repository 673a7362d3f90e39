"""The keys of `dataset.yaml` that only the conversion reads.

Type annotations are not strings here, because msgspec would have to compile each of them.
"""

import re
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import regex

from annotation.dataset import Dataset, DatasetConfig, check_once, open_dataset
from base.errors import InputError, nearest
from base.parsing import parse

LEAST_CONFIDENCE = 0.5  # of a predicted segment if the data set does not specify one
# Roboflow names the copies of street.jpg that it made street_jpg.rf.HASH.jpg
COPIES_PATTERN = r"([^/]+)\.rf\.[^/.]+\.\w+$"
STUFF_KINDS = ("label_maps", "coco", "pixelmaps", "shapes", "prediction")

# All keys of `dataset.yaml`. Digests are computed from the values in this order: if it changes,
# every photo of every data set is painted again.
KEYS = (
    *("name", "things", "stuff", "own_stuff", "stuff_groups", "stuff_sources", "split"),
    *("holes", "ignored", "line_width", "painting", "least_visible", "slivers", "instances"),
    *("ungrouped", "shape_flags", "photo_flags", "severity", "limits"),
)


@dataclass(frozen=True)
class StuffSource:
    """Where stuff comes from: one of STUFF_KINDS, each described in docs/stuff.md.

    `label_maps` is a folder of PNGs, and `table` explains their values. `coco` is a COCO panoptic
    or stuff JSON. `pixelmaps` is a folder of COCO's stuff pixel maps. `shapes` are Labelme labels
    and the stuff that they mean. `prediction` is a panoptic JSON with scores; segments with a score
    of at least `confidence` are used.
    """

    label_maps: str | None = None
    table: str | dict[int | str, str | None] | None = None  # a CSV, or names by value or colour
    coco: str | None = None
    pixelmaps: str | None = None
    shapes: tuple[str, ...] | dict[str, str] | None = None
    prediction: str | None = None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # None: LEAST_CONFIDENCE

    def __post_init__(self) -> None:
        kinds = [kind for kind in STUFF_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise ValueError(f"expected one of {', '.join(STUFF_KINDS)}, found {found}")
        for key, kind in (("table", "label_maps"), ("confidence", "prediction")):
            if getattr(self, key) is not None and kinds != [kind]:
                raise ValueError(f"{key}: expected only with {kind}, found with {kinds[0]}")

    @property
    def stuff_of_label(self) -> dict[str, str]:
        """The stuff name of each Labelme label in `shapes`; in a plain list, both are the same."""
        shapes = self.shapes or ()
        return dict(shapes) if isinstance(shapes, dict) else {label: label for label in shapes}


@dataclass(frozen=True)
class Split:
    """How photos are assigned to splits; in the file, the shares are keys like the others.

    Photos of one group stay together. Groups come from the CSV `group_by` with the columns image
    and group, from the first group of the regular expression `group_pattern` in photo names, and,
    with `near_duplicates`, from photos that look alike. `lists` names text files of photos by the
    split to which they belong.
    """

    shares: dict[str, float] = field(default_factory=lambda: {"train": 0.8, "test": 0.2})
    seed: int = 0
    group_by: str | None = None
    group_pattern: str | None = None
    near_duplicates: bool = False
    lists: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.shares:
            self._check_name(name)
        shares = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
        whole = abs(sum(self.shares.values()) - 1) <= 1e-6  # False if a share is NaN
        if not whole or "train" not in self.shares:
            for name in self.shares:
                self._check_name(name, similarity=0.75)
        if not whole or min(self.shares.values()) < 0:
            raise ValueError(f"expected shares that sum to 1, found {shares}")
        if "train" not in self.shares:
            raise ValueError(f"expected a split 'train', found {shares}")
        for name in self.lists:
            if name not in self.shares:
                raise ValueError(f"lists: unknown split '{name}'{nearest(name, self.shares)}")
        if self.group_pattern is not None and _groups_in(self.group_pattern) == 0:
            raise ValueError(
                f"group_pattern: expected a group in (...), found '{self.group_pattern}'"
            )

    def _check_name(self, name: str, *, similarity: float = 0.8) -> None:
        """Raise ValueError if a name is a mistyped key or cannot be the name of a folder.

        A name is a mistyped key if its `similarity` to one is so large or larger.
        """
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):
            raise ValueError(f"expected letters and digits in a split's name, found '{name}'")
        if name == "annotations" or name.startswith("panoptic_"):
            raise ValueError(
                f"a split cannot be named '{name}': the set has a folder with that name"
            )
        keys = [one.name for one in fields(self) if one.name != "shares"]
        if get_close_matches(name, keys, n=1, cutoff=similarity):
            raise ValueError(f"unknown key '{name}'{nearest(name, keys)}")


def _groups_in(pattern: str) -> int:
    try:
        return int(regex.compile(pattern).groups)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(
            f"group_pattern: expected a regular expression, found '{pattern}': {error}"
        ) from None


@dataclass(frozen=True)
class Slivers:
    """What happens to pieces of stuff of fewer than `area` pixels.

    They become part of the stuff with which they share the longest border, or void.
    """

    area: int = 0
    to: Literal["neighbour", "void"] = "neighbour"


@dataclass(frozen=True)
class ConversionConfig:
    """The keys of `dataset.yaml` that only the conversion reads.

    `own_stuff` are names of stuff that COCO lacks. Each of `stuff_groups` is one category that
    replaces several COCO names. Things whose visible share is smaller than `least_visible` are left
    out. `instances` says whether instances_*.json has visible masks or whole outlines.
    """

    own_stuff: tuple[str, ...] = ()
    stuff_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stuff_sources: tuple[StuffSource, ...] = ()
    split: Split = Split()
    least_visible: float = 0
    slivers: Slivers = Slivers()
    instances: Literal["visible", "amodal"] = "visible"

    def __post_init__(self) -> None:
        if not 0 <= self.least_visible < 1:
            raise ValueError(f"least_visible: expected 0 to 1, found {self.least_visible}")


def read_conversion_config(dataset: Dataset) -> ConversionConfig:
    """Parse the conversion's keys of a data set; raises InputError if one is wrong."""
    where = str(dataset.root / "dataset.yaml")
    return parse_conversion_config(dataset.conversion, dataset.config, where=where)


def open_valid_dataset(root: Path) -> Dataset:
    """Open a data set and check every key of its `dataset.yaml`, the conversion's included.

    Raises InputError if the file is missing or a key or value in it is wrong.
    """
    dataset = open_dataset(root)
    read_conversion_config(dataset)
    return dataset


def parse_conversion_config(
    data: dict[str, Any], shared: DatasetConfig, *, where: str
) -> ConversionConfig:
    """Parse the conversion's keys, given the `shared` ones; raises InputError if one is wrong.

    Numbers under `split` whose keys are not those of Split are shares.
    """
    split = data.get("split")
    if isinstance(split, dict) and "shares" not in split:
        others = {one.name for one in fields(Split)}
        shares = {k: v for k, v in split.items() if k not in others and isinstance(v, int | float)}
        if shares:
            rest = {key: value for key, value in split.items() if key not in shares}
            data = {**data, "split": {**rest, "shares": shares}}
    config = parse(ConversionConfig, data, where=where)
    try:
        _check_names(config, shared)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return config


def _check_names(config: ConversionConfig, shared: DatasetConfig) -> None:
    """Raise ValueError if a name is used for two things, stuff or groups."""
    own = (*config.own_stuff, *config.stuff_groups)
    check_once(
        "things and stuff", *shared.things, *shared.stuff, *own, *shared.holes, *shared.ignored
    )
    members = [m for group, names in config.stuff_groups.items() for m in names if m != group]
    check_once("stuff and stuff_groups", *shared.stuff, *own, *members)


def config_values(shared: DatasetConfig, config: ConversionConfig) -> dict[str, Any]:
    """Return all values of a `dataset.yaml`, including defaults, in the order of KEYS."""
    # `replace` sets defaults on the objects; msgspec does not set them and omits unset values
    values = {**msgspec.to_builtins(replace(shared)), **msgspec.to_builtins(replace(config))}
    return {key: values[key] for key in KEYS}
