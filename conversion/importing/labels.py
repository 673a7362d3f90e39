"""Converting the categories of COCO files to Labelme labels and COCO stuff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from annotation.dataset import DatasetConfig
from base.errors import InputError, nearest
from base.naming import printable
from conversion.coco.categories import coco_categories
from conversion.coco.file import CocoCategory, CocoFile
from conversion.coco.links import Id
from conversion.coco.png import VOID
from conversion.coco.problems import Problems
from conversion.importing.options import ImportOptions

MOST_NAMES = 5  # in a line


@dataclass(frozen=True)
class Labels:
    """The categories of one file by id: labels of things, and COCO panoptic ids of stuff.

    `used` are the names of the categories that annotations use. `crowds` is False if `iscrowd`
    only marks RLEs. `notes` are lines about how the file was read.
    """

    things: Mapping[Id | float, str]
    stuff: Mapping[Id | float, int]
    used: frozenset[str]
    crowds: bool = True
    notes: tuple[str, ...] = ()


def read_labels(file: CocoFile, options: ImportOptions, problems: Problems) -> Labels:
    """Divide a file's categories into things and stuff.

    If a panoptic file has no thing, its categories are stuff if COCO has stuff of that name, and
    things otherwise: Datumaro writes isthing 0 for all of them. `options.things` takes precedence.

    Unused categories are left out if they only name a group of others, as in files from Roboflow,
    if they have the same name as a used one, or if they are stuff that COCO lacks. Used categories
    with the same name become one label. It is a problem if their supercategories differ, if a name
    cannot be a label, or if COCO lacks used stuff.
    """
    known = _coco_stuff()
    things: dict[Id | float, str] = {}
    stuff: dict[Id | float, int] = {}
    categories = _with_things(file, options)
    redundant = _find_redundant(file, categories)
    for category in categories:
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
    crowds = options.crowds == "keep" or not file.crowds_mean_rle
    return Labels(things, stuff, names, crowds, tuple(_notes(file, options, things, crowds)))


def _with_things(file: CocoFile, options: ImportOptions) -> tuple[CocoCategory, ...]:
    """Return the categories of a file, as things or stuff if the file does not state it."""
    if not file.panoptic:
        return file.categories
    if options.things:
        return tuple(replace(c, isthing=c.label in options.things) for c in file.categories)
    if _has_things(file):
        return file.categories
    known = _coco_stuff()
    return tuple(replace(c, isthing=c.label not in known) for c in file.categories)


def _has_things(file: CocoFile) -> bool:
    return any(category.isthing for category in file.categories)


def _notes(
    file: CocoFile, options: ImportOptions, things: Mapping[Id | float, str], crowds: bool
) -> Iterator[str]:
    if file.not_numbers:
        found = f"NaN or infinite values, which JSON does not have: {file.not_numbers:,}"
        yield f"{file.path}: {found}; they are read as missing"
    if not crowds:
        yield (
            f"{file.path}: iscrowd is 1 for every mask ({file.crowds.rles:,} in all) and for"
            " nothing else, so masks become things, not crowds; if they are crowds, use --crowds"
            " keep"
        )
    if file.panoptic and not options.things and not _has_things(file) and things:
        shown = ", ".join(list(things.values())[:MOST_NAMES])
        yield (
            f"{file.path}: no category is a thing, so those whose names are not COCO stuff become"
            f" things: {shown}; to choose the things yourself, use --things"
        )


def _is_stuff(file: CocoFile, category: CocoCategory) -> bool:
    return file.panoptic and category.isthing is False


def _find_redundant(file: CocoFile, categories: Sequence[CocoCategory]) -> set[Id]:
    """Return the ids of unused categories that can be left out."""
    groups = {c.supercategory for c in categories if c.supercategory != c.name}
    used = {c.label for c in categories if c.id in file.used}
    known = _coco_stuff()
    return {
        c.id
        for c in categories
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
        raise InputError(
            f"'{name}': expected isthing 0 or 1, found none; name the things with --things"
        )
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
