"""Converting the categories of COCO files to Labelme labels and COCO stuff."""

from __future__ import annotations

from dataclasses import dataclass

from annotation.dataset import DatasetConfig
from base.errors import InputError, nearest
from base.naming import printable
from conversion.coco.categories import coco_categories
from conversion.coco.file import CocoCategory, CocoFile
from conversion.coco.links import Id
from conversion.coco.png import VOID
from conversion.coco.problems import Problems


@dataclass(frozen=True)
class Labels:
    """The categories of one file by id: labels of things, and COCO panoptic ids of stuff.

    `used` are the names of the categories that annotations use.
    """

    things: dict[Id, str]
    stuff: dict[Id, int]
    used: frozenset[str]


def read_labels(file: CocoFile, problems: Problems) -> Labels:
    """Divide a file's categories into things and stuff.

    Unused categories are left out if they only name a group of others, as in files from Roboflow,
    if they have the same name as a used one, or if they are stuff that COCO lacks. Used categories
    with the same name become one label. It is a problem if their supercategories differ, if a name
    cannot be a label, or if COCO lacks used stuff.
    """
    known = _coco_stuff()
    things: dict[Id, str] = {}
    stuff: dict[Id, int] = {}
    redundant = _find_redundant(file)
    for category in file.categories:
        if category.id in redundant:
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


def _find_redundant(file: CocoFile) -> set[Id]:
    """Return the ids of unused categories that can be left out."""
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
    """Raise InputError for a category that can be neither a label nor COCO's stuff."""
    name, known = category.label, _coco_stuff()
    if file.panoptic and category.isthing is None:
        raise InputError(f"'{name}': expected isthing 0 or 1, found none")
    if not file.panoptic and category.isthing is False:
        raise InputError(f"'{name}' is stuff, which can only be imported from panoptic sets")
    if _is_stuff(file, category):
        if name not in known:
            raise InputError(
                f"expected a COCO stuff category, found '{name}'{nearest(name, known)}"
            )
        return
    defaults = DatasetConfig("defaults", ("thing",))
    if not name or printable(name) != name:
        raise InputError(f"expected a name of printable characters, found {name!r}")
    if name in (*defaults.holes, *defaults.ignored):
        raise InputError(f"'{name}' has a special meaning in data sets of this project; rename it")


def _check_clashes(file: CocoFile, problems: Problems) -> None:
    first: dict[str, CocoCategory] = {}
    for category in file.categories:
        if category.id not in file.used:
            continue
        other = first.setdefault(category.label, category)
        kinds = {(c.supercategory, c.isthing) for c in (category, other)}
        if len(kinds) > 1:
            problems.add(
                f"{file.path}: categories: '{category.name}' is the name of two categories, id"
                f" {other.id} with supercategory '{other.supercategory}' and id {category.id} with"
                f" supercategory '{category.supercategory}'; rename one of them"
            )


def _coco_stuff() -> dict[str, int]:
    return {c.name: c.id for c in coco_categories() if not c.isthing}
