"""What the categories of COCO files become: Labelme labels, or COCO's stuff."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from annotation.dataset import DatasetConfig, open_dataset, parse_config
from base.errors import InputError, nearest
from base.files import write_bytes
from base.naming import printable
from conversion.coco.categories import coco_categories
from conversion.coco.file import CocoCategory, CocoFile, Id, Problems
from conversion.coco.png import VOID
from conversion.config import ConversionConfig, read_conversion_config

STUFF_FOLDER = "stuff"


@dataclass(frozen=True)
class Labels:
    """Categories of one file by id: labels of things, and COCO panoptic ids of stuff.

    `used` are the names of those that annotations have.
    """

    things: dict[Id, str]
    stuff: dict[Id, int]
    used: frozenset[str]


def read_labels(file: CocoFile, problems: Problems) -> Labels:
    """Sort a file's categories into things and stuff.

    Left out are unused ones that only name a group of others, as Roboflow writes them, or that
    share their name with a used one, and unused stuff that COCO lacks. Used ones of one name are
    one label, unless their supercategories differ: that is a problem, as are names that cannot be
    labels and stuff that COCO does not have.
    """
    known = _coco_stuff()
    things: dict[Id, str] = {}
    stuff: dict[Id, int] = {}
    idle = _find_idle(file)
    for category in file.categories:
        if category.id in idle:
            continue
        with problems.collecting(f"{file.path}: categories: id {category.id}"):
            _check_category(file, category)
        if _is_stuff(file, category):
            stuff[category.id] = known.get(category.label, VOID)
        else:
            things[category.id] = category.label
    _check_clashes(file, problems)
    names = frozenset(c.label for c in file.categories if c.id in file.used)
    return Labels(things, stuff, names)


def _is_stuff(file: CocoFile, category: CocoCategory) -> bool:
    return file.panoptic and category.isthing is False


def _find_idle(file: CocoFile) -> set[Id]:
    """Ids of unused categories without which nothing would be lost."""
    groups = {c.supercategory for c in file.categories if c.supercategory != c.name}
    used = {c.label for c in file.categories if c.id in file.used}
    known = _coco_stuff()
    return {
        c.id
        for c in file.categories
        if c.id not in file.used
        and (
            c.name in groups
            or c.label in used
            or (c.isthing is False and not (file.panoptic and c.label in known))
        )
    }


def _check_category(file: CocoFile, category: CocoCategory) -> None:
    """InputError for a category that can be neither a label nor COCO's stuff."""
    name, known = category.label, _coco_stuff()
    if file.panoptic and category.isthing is None:
        raise InputError(f"'{name}': expected isthing 0 or 1, got none")
    if not file.panoptic and category.isthing is False:
        raise InputError(f"'{name}' is stuff; that can be brought in from panoptic sets only")
    if _is_stuff(file, category):
        if name not in known:
            raise InputError(f"stuff '{name}' is no COCO stuff{nearest(name, known)}; rename it")
        return
    defaults = DatasetConfig("defaults", ("thing",))
    if not name or printable(name) != name:
        raise InputError(f"expected a name of printable characters, got {name!r}")
    if name in (*defaults.holes, *defaults.ignored):
        raise InputError(f"'{name}' means no thing in a data set of this project; rename it")


def _check_clashes(file: CocoFile, problems: Problems) -> None:
    first: dict[str, CocoCategory] = {}
    for category in file.categories:
        if category.id not in file.used:
            continue
        other = first.setdefault(category.label, category)
        mine, its = (category.supercategory, category.isthing), (other.supercategory, other.isthing)
        if mine != its:
            problems.add(
                f"{file.path}: categories: '{category.name}' is two categories, id {other.id} of"
                f" '{other.supercategory}' and id {category.id} of '{category.supercategory}';"
                " rename one of them"
            )


def _coco_stuff() -> dict[str, int]:
    return {c.name: c.id for c in coco_categories() if not c.isthing}


# --- dataset.yaml ---


def check_config(root: Path, files: Sequence[tuple[CocoFile, Labels]], problems: Problems) -> None:
    """Compare what is brought in with a `dataset.yaml` that is there; it is never changed.

    Where none is there, the one to be written must be readable. InputError where `root` is a file.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; expected the folder of a data set")
    path = _config_path(root)
    if path.exists():
        dataset = open_dataset(root)
        config = read_conversion_config(dataset)
        for file, labels in files:
            _check_known(path, dataset.config, config, file, labels, problems)
    else:
        with problems.collecting("categories"):
            parse_config(_config_values(root, files), where=f"as {path}")


def _check_known(
    path: Path,
    shared: DatasetConfig,
    config: ConversionConfig,
    file: CocoFile,
    labels: Labels,
    problems: Problems,
) -> None:
    """Things and stuff of one file that a `dataset.yaml` lacks, with the nearest that it has."""
    things = labels.used & set(labels.things.values())
    for name in sorted(things - set(shared.labels)):
        hint = nearest(name, shared.things)
        problems.add(f"{path}: things: '{name}' of {file.path} is missing{hint}")
    names = {c.id: c.name for c in coco_categories()}
    stuff = labels.used & {names[i] for i in labels.stuff.values() if i != VOID}
    for name in sorted(stuff - set(shared.stuff)):
        hint = nearest(name, shared.stuff)
        problems.add(f"{path}: stuff: '{name}' of {file.path} is missing{hint}")
    folders = {os.path.normpath(s.label_maps) for s in config.stuff_sources if s.label_maps}
    if stuff and STUFF_FOLDER not in folders:
        problems.add(f"{path}: stuff_sources: expected - label_maps: {STUFF_FOLDER}")


def write_config(root: Path, files: Sequence[tuple[CocoFile, Labels]]) -> None:
    """Write `dataset.yaml` where there is none."""
    path = _config_path(root)
    if not path.exists():
        text = yaml.safe_dump(_config_values(root, files), sort_keys=False, allow_unicode=True)
        write_bytes(path, text.encode())


def _config_values(root: Path, files: Sequence[tuple[CocoFile, Labels]]) -> dict[str, Any]:
    """The least of a `dataset.yaml`; things in the order of the files, which their ids follow."""
    labels = [one for _, one in files]
    names = {c.id: c.name for c in coco_categories()}
    stuff = sorted({coco_id for one in labels for coco_id in one.stuff.values()} - {VOID})
    return {
        "name": root.resolve().name or "dataset",
        "things": list(dict.fromkeys(name for one in labels for name in one.things.values())),
        "stuff": [names[coco_id] for coco_id in stuff],
        "stuff_sources": [{"label_maps": STUFF_FOLDER}] if stuff else [],
        "split": {"train": 0.8, "test": 0.2, "seed": 0},
    }


def _config_path(root: Path) -> Path:
    return root / "dataset.yaml"
