"""Build `panoptic/`: the COCO panoptic set of a data set's Labelme files and stuff.

The way: which annotations can be used; paint each photo whose inputs have changed; deal the photos
into splits; put PNGs, links and JSON files in their places. What was done before is known from the
store, so that every step does only what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec

from annotation.dataset import Dataset, Limits
from annotation.labelme.photo_index import PhotoIndex
from annotation.rules.cached import CachedInspections
from annotation.rules.pixels import InspectionTask
from base.errors import InputError
from base.files import digest
from base.memory import return_freed_memory
from base.progress import track
from conversion.building.engine import run_tasks
from conversion.building.painter import Failure, Painter, Task
from conversion.building.place import Build, Built, check_place, place, placed
from conversion.building.plan import Plan, Seen
from conversion.building.records import LeftOut, read_entries
from conversion.building.split import can_stay, check_split, read_remembered, split_photos
from conversion.building.store import Store, open_store
from conversion.coco.categories import categories_of
from conversion.coco.panoptic import category_values
from conversion.config import Split, config_values, read_conversion_config
from conversion.stuff.sources import open_stuff

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
    config = read_conversion_config(dataset)
    categories = categories_of(dataset, config)
    check_place(dataset)
    check_split(dataset)
    with open_store(dataset) as store:
        plan = Plan(store)
        known = _read(dataset, store, plan)
        stuff = open_stuff(dataset, config, categories)
        painter = Painter(dataset, config, categories, stuff, known)
        plan.remember(read_remembered(dataset))
        _number(painter, store, plan)
        _paint(painter, store, plan, scheduler)
        failed = plan.leave_out_failed()
        if not len(plan):
            raise InputError(failed[0][1])
        _deal(dataset, config.split, store, plan)
        build = Build(dataset, config, plan, categories, _versions())
        built = placed(build) or place(build)
    return_freed_memory()
    return built


def _read(dataset: Dataset, store: Store, plan: Plan) -> frozenset[str]:
    """Fill the plan; words that tell code pages apart."""
    index = PhotoIndex(dataset, dataset.photos())
    for one in read_entries(dataset, index, store.cache):
        if isinstance(one, LeftOut):
            plan.left_out.append((one.annotation, one.reason))
        else:
            plan.add(one)
    store.commit()
    plan.keep_used()
    if not len(plan):
        raise InputError(f"{dataset.labelme}: no usable annotation; see `validate`")
    return index.known_words


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}


def _number(painter: Painter, store: Store, plan: Plan) -> None:
    """Give every photo its ids, and a key that changes where anything changes that decides it."""
    context, known = _painting_context(painter), repr(sorted(painter.known)).encode()

    def stuff_of(photo: str) -> bytes:
        return _stuff_digest(painter, store, painter.dataset.images / photo)

    def key_of(task: Task, alone: bool) -> bytes:
        parts = (context, b"" if alone else known, repr(task.photo).encode(), *task.made_of)
        return sha256(b"".join(parts)).digest()

    room = len([c for c in painter.categories if not c.isthing])
    plan.number(room, stuff_of, key_of)
    store.commit()  # other processes may now write to the cache


def _painting_context(painter: Painter) -> bytes:
    """What decides every photo's pixels and ids."""
    shared = replace(painter.dataset.config, name="", severity={}, limits=Limits(), ungrouped=())
    config = config_values(shared, replace(painter.config, split=Split()))
    values = [FORMAT, _versions(), config, category_values(painter.categories)]
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


def _paint(painter: Painter, store: Store, plan: Plan, scheduler: str | None) -> None:
    """Paint what is not painted yet; each result is kept at once."""
    moved: list[tuple[str, str]] = []
    count, new = plan.find_todo(lambda seen: _is_painted(painter, seen, moved))
    for photo, png in moved:
        store.moved(photo, png)
    manifest = painter.dataset.panoptic / "manifest.json"
    if new:
        manifest.unlink(missing_ok=True)
    results = run_tasks(painter, plan.todo(), scheduler) if count else ()
    for number, result in enumerate(track(results, "convert", total=count), start=1):
        if isinstance(result, Failure):
            store.keep_failure(result.photo, result.key, result.message)
        else:
            manifest.unlink(missing_ok=True)
            store.keep_painted(result)
        if number % _COMMIT == 0:
            store.commit()
    store.commit()


def _is_painted(painter: Painter, seen: Seen, moved: list[tuple[str, str]]) -> bool:
    """Whether the PNG is there as it was written; a kill may have come just after it moved."""
    panoptic, splits = painter.dataset.panoptic, painter.config.split.shares
    for png in (seen.png, *(f"panoptic_{split}/{seen.png_name}" for split in splits)):
        try:
            status = (panoptic / png).stat()
        except OSError:
            continue
        if (status.st_size, status.st_mtime_ns) == (seen.size, seen.mtime):
            if png != seen.png:
                moved.append((seen.photo, png))
            return True
    return False


def _deal(dataset: Dataset, split: Split, store: Store, plan: Plan) -> None:
    """Give every photo its split; nothing is dealt where all were dealt before."""
    before = plan.before()
    if plan.is_dealt() and can_stay(dataset, plan.photos, before):
        plan.deal_as_before()
        return
    hashes: Mapping[str, int] = {}
    if split.near_duplicates:
        hashes = _likeness(dataset, store, list(plan.photos()))
    plan.deal(split_photos(dataset, plan.counts(), hashes, before))


def _likeness(dataset: Dataset, store: Store, names: Sequence[str]) -> dict[str, int]:
    """Return perceptual hashes by name; photos that cannot be decoded have none."""
    paths = [dataset.images / name for name in names]
    tasks = [InspectionTask(path, store.digest(path)) for path in paths]
    results = CachedInspections(store.cache).inspect(tasks)
    found = {
        name: result.photo.likeness
        for name, result in zip(names, results, strict=True)
        if result is not None
    }
    store.commit()
    return {name: value for name, value in found.items() if value is not None}
