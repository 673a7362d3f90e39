"""Import COCO data sets as Labelme files, so that annotations from other programs can be edited.

Everything is read and compared before anything is written: a set is imported completely or not at
all. An interrupted import continues when it is started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base.errors import InputError
from base.progress import track
from conversion.coco.file import CocoFile
from conversion.coco.problems import Problems
from conversion.importing.labels import Labels
from conversion.importing.photos import ImportedFile, choose_files, locate_photos, name_photos
from conversion.importing.provenance import read_provenance, write_provenance
from conversion.importing.settings import check_config, write_config
from conversion.importing.source import read_source
from conversion.importing.write import WrittenPhoto, check_photo, write_photo


@dataclass(frozen=True)
class Imported:
    """The result of one import; `splits` has the split of each photo by its name below `images/`.

    `left_out` are files whose photos are also in a file with more information.
    """

    root: Path
    written: tuple[WrittenPhoto, ...]
    splits: dict[str, str]
    left_out: tuple[Path, ...]

    def lines(self) -> Iterator[str]:
        """Yield the lines that the command prints."""
        present = sum(one.present for one in self.written)
        shapes = sum(one.shapes for one in self.written)
        maps = sum(one.stuff for one in self.written)
        yield (
            f"{self.root}: {len(self.written)} photos with {shapes} shapes"
            f" and {maps} stuff maps; {present} had been imported earlier"
        )
        for path in self.left_out:
            yield f"left out: {path}: another file has more information about the same photos"


def import_coco(source: Path, root: Path, *, images: Path | None = None) -> Imported:
    """Import a COCO file, or all COCO files in a folder, into the data set in the folder `root`.

    `images` is the folder of the photos if they are neither beside the file nor where COCO, CVAT,
    Roboflow and Label Studio put them. Raises one InputError that lists everything that prevents
    the import, one problem per line.
    """
    problems = Problems()
    files = read_source(source, problems, without=root)
    chosen, left = choose_files([locate_photos(f, images, problems) for f in files], problems)
    photos = name_photos([photo for one in chosen for photo in one.photos])
    check_config(root, _labels(chosen), problems)
    read_provenance(root)
    for photo in track(photos, "check"):
        check_photo(root, photo, problems)
    problems.raise_if_any()
    if not photos:
        raise InputError(f"{source}: expected images in the COCO file, found none")
    write_provenance(root, source, [one.file for one in chosen])
    write_config(root, _labels(chosen))  # first, so that validate does not propose another one
    written = tuple(write_photo(root, photo) for photo in track(photos, "import"))
    splits = {photo.name: photo.file.split for photo in photos}
    return Imported(root, written, splits, tuple(one.file.path for one in left))


def _labels(files: list[ImportedFile]) -> list[tuple[CocoFile, Labels]]:
    return [(one.file, one.labels) for one in files]
