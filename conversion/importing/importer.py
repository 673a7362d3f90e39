"""COCO sets as Labelme files: what was drawn in another program enters the same loop.

Everything is read and compared before anything is written, so a set is brought in whole or not at
all; an import that was stopped goes on where it is started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from base.errors import InputError
from base.progress import track
from conversion.coco.file import CocoFile, Problems
from conversion.coco.record import read_record, write_record
from conversion.importing.labels import Labels, check_config, write_config
from conversion.importing.photos import Source, choose_files, locate_photos, name_photos
from conversion.importing.source import read_source
from conversion.importing.write import Written, check_photo, write_photo


@dataclass(frozen=True)
class Imported:
    """What one import did; `splits` has the split of each photo, a name below `images/`."""

    root: Path
    written: tuple[Written, ...]
    splits: dict[str, str]
    left_out: tuple[Path, ...]  # files whose photos a better one has, too

    def lines(self) -> Iterator[str]:
        """What the command line says."""
        present = sum(one.present for one in self.written)
        shapes = sum(one.shapes for one in self.written)
        maps = sum(one.stuff for one in self.written)
        yield (
            f"{self.root}: {len(self.written)} photos with {shapes} shapes"
            f" and {maps} stuff maps; {present} were here already"
        )
        for path in self.left_out:
            yield f"left out: {path}: another file says more of the same photos"


def import_coco(source: Path, root: Path, *, images: Path | None = None) -> Imported:
    """Bring a COCO file, or all of those in a folder, into the data set's folder `root`.

    `images` is the folder of the photos where they lie neither beside the file nor where COCO,
    CVAT, Roboflow and Label Studio put them. Raises one InputError with everything that keeps the
    set from being brought in, a line each.
    """
    problems = Problems()
    files = read_source(source, problems, without=root)
    chosen, left = choose_files([locate_photos(f, images, problems) for f in files], problems)
    photos = name_photos([photo for one in chosen for photo in one.photos])
    check_config(root, _labels(chosen), problems)
    read_record(root)
    for photo in track(photos, "check"):
        check_photo(root, photo, problems)
    problems.raise_if_any()
    if not photos:
        raise InputError(f"{source}: expected images in the COCO file, got none")
    write_record(root, source, [one.file for one in chosen])
    write_config(root, _labels(chosen))  # first, or validate would propose another meanwhile
    written = tuple(write_photo(root, photo) for photo in track(photos, "import"))
    splits = {photo.name: photo.file.split for photo in photos}
    return Imported(root, written, splits, tuple(one.file.path for one in left))


def _labels(sources: list[Source]) -> list[tuple[CocoFile, Labels]]:
    return [(one.file, one.labels) for one in sources]
