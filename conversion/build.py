"""Build `panoptic/`: the COCO panoptic set of a data set's Labelme files and stuff.

The way: which annotations can be used; paint each photo whose inputs have changed; deal the photos
into splits; put PNGs, links and JSON files in their places. What was done before is known from the
store, so that every step does only what is new.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec

from annotation.dataset import Dataset, Limits, Split
from annotation.files import InputError, digest
from annotation.photos import PhotoIndex, Size
from annotation.progress import track
from annotation.rules import pixels
from annotation.workers import in_processes
from conversion.categories import categories_of
from conversion.engine import run_tasks
from conversion.ids import allocate_ids
from conversion.painter import Failure, Painter, Task
from conversion.panoptic import Photo, category_values
from conversion.place import NEW, Built, Plan, check_place, place, placed
from conversion.png import png_names
from conversion.records import read_records
from conversion.split import check_split, read_remembered, split_photos, stays
from conversion.store import Store, open_store
from conversion.stuff import open_stuff

ERRORS = "has errors, see `validate`"
FORMAT = 4  # raise it when the same input gives other bytes, so that old sets are built anew
VERSIONS = ("numpy", "opencv-python-headless", "pycocotools", "shapely", "zlib-ng")
_COMMIT = 200  # photos between two commits: what a kill can cost


def convert(dataset: Dataset, *, scheduler: str | None = None) -> Built:
    """Build `panoptic/` from the usable annotations; the others are listed as left out.

    Photos with the flag `exclude` are left out without a word. The manifest goes first and comes
    back last: without it the set is unfinished, and the next call goes on. `scheduler` is the
    address of a Dask scheduler whose workers paint. Raises InputError for a wrong stuff name, stuff
    source or group file, where no annotation is usable and where two calls work on one set.
    """
    categories = categories_of(dataset)
    check_place(dataset)
    check_split(dataset)
    with open_store(dataset.root / ".cache") as store:
        wanted, left_out, known = _read(dataset, store)
        painter = Painter(dataset, categories, open_stuff(dataset, categories), known)
        before = read_remembered(dataset)
        tasks = _tasks(painter, store, wanted, before)
        _paint(painter, store, tasks, scheduler)
        failed = {
            task.annotation: why
            for task in tasks
            if (why := store.failure(task.photo.file_name, task.key)) is not None
        }
        tasks = [task for task in tasks if task.annotation not in failed]
        if not tasks:
            raise InputError(next(iter(failed.values())))
        plan = Plan(
            dataset=dataset,
            tasks=tasks,
            split=_split(dataset, store, tasks, before),
            remembered=before,
            categories=categories,
            left_out=tuple(sorted([*left_out, *failed.items()])),
            versions=_versions(),
        )
        return placed(plan, store) or place(plan, store)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A photo to be in the set; `needs` ids at most, `made_of` annotation and photo (digests)."""

    photo: str
    annotation: str
    size: Size
    needs: int
    alone: bool  # no other file had a part in its check
    made_of: tuple[bytes, bytes]


def _read(
    dataset: Dataset, store: Store
) -> tuple[list[_Wanted], list[tuple[str, str]], frozenset[str]]:
    """Photos by name, annotations left out with the reason, and words that tell code pages apart.

    Paths and records take kilobytes a photo, and end here.
    """
    photos = dataset.photos()
    records, contents = read_records(dataset, store, photos, str(FORMAT))
    left_out = [(dataset.relative(r.path), ERRORS) for r in records if not r.usable]
    below = len(str(dataset.images)) + 1
    wanted = [
        _Wanted(
            str(record.photo)[below:].replace(os.sep, "/"),
            dataset.relative(record.path),
            record.size,
            sum(record.counts),
            record.alone,
            contents[record.photo],
        )
        for record in records
        if record.usable and not record.excluded and record.photo and record.size
    ]
    if not wanted:
        raise InputError(f"{dataset.labelme}: no usable annotation; see `validate`")
    wanted.sort(key=lambda one: one.photo)
    return wanted, left_out, PhotoIndex(dataset, photos).known_words


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}


def _tasks(
    painter: Painter, store: Store, wanted: Sequence[_Wanted], before: Mapping[str, str]
) -> list[Task]:
    """One task a photo, in the same order."""
    room = len([c for c in painter.categories if not c.isthing])
    first = allocate_ids({one.photo: room + one.needs for one in wanted})
    pngs = png_names([one.photo for one in wanted])
    context, known = _painting_context(painter), repr(sorted(painter.known)).encode()
    tasks = []
    for one in wanted:
        name, (height, width) = one.photo, one.size
        photo = Photo(first[name], name, width, height, pngs[name], ())
        folder = f"panoptic_{before[name]}" if name in before else NEW
        made_of = (*one.made_of, _stuff_digest(painter, store, painter.dataset.images / name))
        parts = (context, b"" if one.alone else known, repr(photo).encode(), *made_of)
        key = sha256(b"".join(parts)).digest()
        tasks.append(Task(photo, one.annotation, f"{folder}/{photo.png_name}", key, made_of))
    return tasks


def _painting_context(painter: Painter) -> bytes:
    """What decides every photo's pixels and ids."""
    config = replace(
        painter.dataset.config, name="", split=Split(), severity={}, limits=Limits(), ungrouped=()
    )
    values = [FORMAT, _versions(), msgspec.to_builtins(config), category_values(painter.categories)]
    return msgspec.json.encode(values)


def _stuff_digest(painter: Painter, store: Store, photo: Path) -> bytes:
    """Digest of all that decides a photo's stuff."""
    stuff = sha256()
    for part in painter.stuff.inputs(photo):
        try:
            stuff.update(store.digest(part) if isinstance(part, Path) else digest(part).encode())
        except OSError:  # painting will say so, of this photo
            stuff.update(b"cannot be read")
    return stuff.digest()


def _paint(painter: Painter, store: Store, tasks: Sequence[Task], scheduler: str | None) -> None:
    """Paint what is not painted yet; each result is kept at once."""
    todo = [
        task
        for task in tasks
        if not _is_painted(painter.dataset, store, task)
        and store.failure(task.photo.file_name, task.key) is None
    ]
    if todo:
        (painter.dataset.panoptic / "manifest.json").unlink(missing_ok=True)
    results = run_tasks(painter, todo, scheduler)
    for number, result in enumerate(track(results, "convert", total=len(todo)), start=1):
        if isinstance(result, Failure):
            store.keep_failure(result.photo, result.key, result.message)
        else:
            store.keep_painted(result)
        if number % _COMMIT == 0:
            store.commit()
    store.commit()


def _is_painted(dataset: Dataset, store: Store, task: Task) -> bool:
    """Whether the PNG is there as it was written; a kill may have come just after it moved."""
    row = store.painted(task.photo.file_name)
    if row is None or row[0] != task.key:
        return False
    _, known, size, mtime = row
    splits = dataset.config.split.shares
    for png in (known, *(f"panoptic_{split}/{task.photo.png_name}" for split in splits)):
        try:
            status = (dataset.panoptic / png).stat()
        except OSError:
            continue
        if (status.st_size, status.st_mtime_ns) == (size, mtime):
            if png != known:
                store.moved(task.photo.file_name, png)
            return True
    return False


def _split(
    dataset: Dataset, store: Store, tasks: Sequence[Task], before: Mapping[str, str]
) -> dict[str, str]:
    """The split of every photo; nothing is dealt where all were dealt before."""
    names = [task.photo.file_name for task in tasks]
    if all(name in before for name in names) and stays(dataset, names, before):
        return {name: before[name] for name in names}
    pieces = store.column("counts", names)
    counts = {
        n: msgspec.json.decode(c, type=dict[int, int]) for n, c in zip(names, pieces, strict=True)
    }
    hashes = _likeness(dataset, store, names) if dataset.config.split.near_duplicates else {}
    return split_photos(dataset, counts, hashes, before)


def _likeness(dataset: Dataset, store: Store, names: Sequence[str]) -> dict[str, int]:
    """Perceptual hashes; photos that cannot be decoded are like no other."""
    digests = {name: store.digest(dataset.images / name) for name in names}
    new = [name for name in names if store.likeness(digests[name]) is None]
    looks = [pixels.Task(dataset.images / name, None, embeds=False, hashed=False) for name in new]
    results = track(in_processes(pixels.look, looks), "look at photos", total=len(new))
    for name, result in zip(new, results, strict=True):
        if result.likeness is not None:
            store.keep_likeness(digests[name], result.likeness)
    store.commit()
    found = {name: store.likeness(digests[name]) for name in names}
    return {name: value for name, value in found.items() if value is not None}
