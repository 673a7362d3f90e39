"""Import COCO data sets as Labelme files, so that annotations from other programs can be edited.

Everything is read and compared before anything is written: a set is imported completely or not at
all. An interrupted import continues when it is started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import open_dataset
from base.counting import counted
from base.errors import InputError, nearest
from base.locks import working_on
from base.progress import track
from base.syncing import sync_all
from conversion.coco.file import CocoFile
from conversion.coco.problems import Problems
from conversion.config import read_conversion_config
from conversion.importing.labels import Labels
from conversion.importing.options import DEFAULTS, ImportOptions
from conversion.importing.photos import ImportedPhoto, choose_files, locate_photos, name_photos
from conversion.importing.provenance import read_provenance, write_provenance
from conversion.importing.remarks import Remark, describe
from conversion.importing.settings import (
    WHY_SMALLER,
    check_config,
    proposes_painting,
    write_config,
)
from conversion.importing.source import read_source
from conversion.importing.splits import SourceSplits, plan_splits
from conversion.importing.write import WrittenPhoto, check_photo, write_photo


@dataclass(frozen=True)
class Imported:
    """The result of one import; `splits` has the split of each photo by its name below `images/`.

    `left_out` are files whose photos are also in a file with more information. `notes` are lines
    about how the source was read.
    """

    root: Path
    written: tuple[WrittenPhoto, ...]
    splits: dict[str, str]
    left_out: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the lines that the command prints."""
        present = sum(one.present for one in self.written)
        shapes = sum(one.shapes for one in self.written)
        maps = sum(one.stuff for one in self.written)
        yield from self.notes
        for path in self.left_out:
            yield f"left out: {path}: another file has more information about the same photos"
        yield (
            f"{self.root}: {counted(len(self.written), 'photo')} with {counted(shapes, 'shape')}"
            f" and {counted(maps, 'label map')}; {present:,} already imported"
        )


def import_coco(source: Path, root: Path, options: ImportOptions = DEFAULTS) -> Imported:
    """Import a COCO file, or all COCO files in a folder, into the data set in the folder `root`.

    Raises one InputError that lists everything that prevents the import, one problem per line.
    """
    with working_on(root, "import"):
        imported = _import(source, root, options)
        sync_all(root)  # the source may be deleted now
    return imported


def _import(source: Path, root: Path, options: ImportOptions) -> Imported:
    problems = Problems()
    found = read_source(source, problems, without=root)
    located = [locate_photos(f, options, problems, without=root) for f in found.files]
    chosen, left = choose_files(located, problems)
    photos = name_photos([photo for one in chosen for photo in one.photos])
    labels, splits = [(one.file, one.labels) for one in chosen], plan_splits(photos)
    _check_things(options, found.files, problems)
    check_config(root, labels, splits, problems)
    read_provenance(root)
    remarks = _check_photos(root, photos, problems)
    problems.raise_if_any()
    if not photos:
        raise InputError(f"{source}: expected images in the COCO file, found none")
    notes = [*found.notes, *(note for _, one in labels for note in one.notes), *describe(remarks)]
    notes += _config_notes(root, labels, splits)
    write_provenance(root, source, [one.file for one in chosen])
    write_config(root, labels, splits)  # first, so that validate does not propose another one
    written = tuple(write_photo(root, photo) for photo in track(photos, "import"))
    names = {photo.name: photo.file.split for photo in photos}
    return Imported(root, written, names, tuple(one.file.path for one in left), tuple(notes))


def _check_things(options: ImportOptions, files: Sequence[CocoFile], problems: Problems) -> None:
    """Report names of things that no panoptic file has."""
    known = {category.label for file in files if file.panoptic for category in file.categories}
    for name in options.things:
        if name not in known:
            hint = nearest(name, known)
            problems.add(f"--things: expected a category of a panoptic file, found '{name}'{hint}")


def _check_photos(root: Path, photos: Sequence[ImportedPhoto], problems: Problems) -> list[Remark]:
    """Compare every photo with the data set; return what is remarkable about the source."""
    remarks: list[Remark] = []
    owner: dict[Path, str] = {}  # of PNGs
    for photo in track(photos, "check"):
        where = photo.image.where
        converted = check_photo(root, photo, problems)
        remarks += [Remark("by-name", f"{where}: {photo.path}")] if photo.found.by_name else []
        remarks += converted.remarks
        if converted.png is not None and owner.setdefault(converted.png, where) != where:
            problems.add(f"{where}: {converted.png} is also the PNG of {owner[converted.png]}")
    return remarks


def _config_notes(
    root: Path, labels: Sequence[tuple[CocoFile, Labels]], splits: SourceSplits
) -> Iterator[str]:
    """Yield lines about the new `dataset.yaml`, or about what an existing one does not keep."""
    path = root / "dataset.yaml"
    if not path.exists():
        yield from splits.notes
        if proposes_painting(labels):
            yield f"{path}: painting: smaller-on-top, because {WHY_SMALLER}"
    elif splits.lists and not read_conversion_config(open_dataset(root)).split.lists:
        yield f"{path}: has no split.lists, so the splits of the source are not kept"
