"""Build `panoptic/`, the COCO panoptic set, from a data set's Labelme files and stuff.

The steps: find the annotations that can be used; paint each photo whose inputs have changed; assign
photos to splits; put PNGs, links and JSON files into place. A database records what was done
earlier, so that every step does only what is new.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import msgspec

from annotation.dataset import Dataset, Limits
from annotation.labelme.photo_index import PhotoIndex
from base.database import with_database
from base.errors import InputError
from base.files import digest
from base.locks import working_on
from base.memory import return_freed_memory
from base.progress import track
from base.syncing import sync_all
from conversion.building.engine import run_tasks
from conversion.building.entries import LeftOut, read_entries
from conversion.building.group_file import GroupFile, read_groups
from conversion.building.groups import group_inputs, group_photos, perceptual_hashes
from conversion.building.painter import Painter, PaintingFailure, PaintingTask
from conversion.building.place import check_place, place, read_placed, remove_manifest
from conversion.building.plan import PaintedFile, Plan
from conversion.building.prepared import BuildResult, PreparedSet
from conversion.building.split import can_stay, check_split, read_remembered, split_photos
from conversion.building.store import Store, open_store, store_path
from conversion.coco.categories import categories_of, category_values
from conversion.config import Split, config_values, read_conversion_config
from conversion.stuff.sources import StuffReader, open_stuff

FORMAT = 4  # increase it if the same input gives other bytes, so that earlier sets are rebuilt
VERSIONS = ("numpy", "opencv-python-headless", "pycocotools", "shapely", "zlib-ng")
_COMMIT = 200  # photos between two commits, which are lost if the process is killed


def convert(dataset: Dataset, *, scheduler: str | None = None, verify: bool = False) -> BuildResult:
    """Build `panoptic/` from the usable annotations; the result lists the others as left out.

    Photos with the flag `exclude` are left out without being listed. The manifest is removed first
    and written last: without it, the set is incomplete, and the next call continues. `scheduler` is
    the address of a Dask scheduler whose workers paint. With `verify`, every byte of the inputs and
    of the built set is read and compared, even of files whose size and times have not changed;
    changed files are built again. Raises InputError for a wrong stuff name, stuff source or group
    file, or if no annotation is usable.
    """
    with working_on(dataset.root, "convert"):
        result = with_database(
            store_path(dataset), lambda: _build(dataset, scheduler=scheduler, verify=verify)
        )
    return_freed_memory()
    return result


def _build(dataset: Dataset, *, scheduler: str | None, verify: bool) -> BuildResult:
    config = read_conversion_config(dataset)
    categories = categories_of(dataset, config)
    check_place(dataset)
    check_split(dataset)
    with open_store(dataset, verify=verify) as store:
        plan = Plan(store)
        stuff = open_stuff(dataset, config, categories)
        known = _fill(plan, dataset, stuff)
        painter = Painter(dataset, config, categories, stuff, known)
        plan.add_earlier_splits(read_remembered(dataset))
        _number(painter, plan)
        changed = _paint(painter, plan, scheduler)
        failed = plan.leave_out_failed()
        if not len(plan):
            raise InputError(failed[0][1])
        groups = _assign_splits(dataset, config.split, plan)
        contents, left_out = plan.contents(), tuple(plan.left_out)
        prepared = PreparedSet(dataset, config, contents, groups, left_out, categories, _versions())
        placed = read_placed(prepared)
        result = placed.result or place(prepared)
        return replace(result, repaired=(*changed, *placed.changed))


def _fill(plan: Plan, dataset: Dataset, stuff: StuffReader) -> frozenset[str]:
    """Add all photos to the plan; return the words by which code pages are recognized."""
    index = PhotoIndex(dataset, dataset.photos())
    for one in read_entries(dataset, index, plan.store.cache):
        if isinstance(one, LeftOut):
            plan.left_out.append((one.annotation, one.reason))
        elif not one.annotation_digest and not stuff.knows(dataset.images / one.photo):
            plan.left_out.append((one.annotation, "has neither a Labelme file nor stuff"))
        else:
            plan.add(one)
    plan.store.commit()
    plan.remove_unused()
    if not len(plan):
        why = plan.left_out[0][1] if plan.left_out and dataset.has_only_maps() else ""
        raise InputError(why or f"{dataset.labelme}: no usable annotation; see `validate`")
    return index.known_words


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}


def _number(painter: Painter, plan: Plan) -> None:
    """Assign ids to every photo, and a key that changes whenever the painted photo would change."""
    context, known = _painting_context(painter), repr(sorted(painter.known)).encode()

    def stuff_of(photo: str) -> bytes:
        return _stuff_digest(painter, plan.store, painter.dataset.images / photo)

    def key_of(task: PaintingTask, alone: bool) -> bytes:
        parts = (context, b"" if alone else known, repr(task.photo).encode(), *task.digests)
        return sha256(b"".join(parts)).digest()

    stuff_categories = len([c for c in painter.categories if not c.isthing])
    plan.number(stuff_categories, stuff_of, key_of)
    plan.store.commit()  # other processes may now write to the cache


def _painting_context(painter: Painter) -> bytes:
    """Return the settings and versions that determine the pixels and ids of every photo."""
    shared = replace(painter.dataset.config, name="", severity={}, limits=Limits(), ungrouped=())
    config = config_values(shared, replace(painter.config, split=Split()))
    values = [FORMAT, _versions(), config, category_values(painter.categories)]
    return msgspec.json.encode(values)


def _stuff_digest(painter: Painter, store: Store, photo: Path) -> bytes:
    """Return a digest of everything that determines the stuff of a photo."""
    stuff = sha256()
    for part in painter.stuff.inputs(photo):
        try:
            stuff.update(store.digest(part) if isinstance(part, Path) else digest(part).encode())
        except OSError:  # painting reports it for this photo
            stuff.update(b"cannot be read")
    return stuff.digest()


def _paint(painter: Painter, plan: Plan, scheduler: str | None) -> list[str]:
    """Paint the photos that are not painted yet; store each result as soon as it is known.

    Return the PNGs that had been changed since they were painted.
    """
    store, panoptic = plan.store, painter.dataset.panoptic
    found = _FoundPngs()
    count, new = plan.find_todo(lambda file: _is_painted(painter, store, file, found))
    for photo, png in found.moved:
        store.moved(photo, png)
    if new:
        remove_manifest(panoptic)
    results = run_tasks(painter, plan.todo(), scheduler) if count else ()
    for number, result in enumerate(track(results, "convert", total=count), start=1):
        if isinstance(result, PaintingFailure):
            store.keep_failure(result.photo, result.key, result.message)
        else:
            remove_manifest(panoptic)
            store.keep_painted(result)
        if number % _COMMIT == 0:
            _commit(store, panoptic)
    _commit(store, panoptic) if count else store.commit()
    return found.changed


def _commit(store: Store, panoptic: Path) -> None:
    """Save what was painted, after its PNGs are on the disk."""
    if panoptic.is_dir():
        sync_all(panoptic)
    store.commit()


@dataclass
class _FoundPngs:
    """PNGs that an interrupted build had moved, as (photo, PNG), and PNGs that were changed."""

    moved: list[tuple[str, str]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def _is_painted(painter: Painter, store: Store, file: PaintedFile, found: _FoundPngs) -> bool:
    """Return whether the PNG exists and is unchanged, and note where it is."""
    final = (f"panoptic_{split}/{file.png_name}" for split in painter.config.split.shares)
    for png in dict.fromkeys((file.png, *final)):
        try:
            same = store.digest(painter.dataset.panoptic / png) == file.digest
        except OSError:
            continue
        if not same:
            found.changed.append(png)
            continue
        if png != file.png:
            found.moved.append((file.photo, png))
        return True
    return False


def _assign_splits(dataset: Dataset, split: Split, plan: Plan) -> GroupFile:
    """Assign every photo to a split and return the groups.

    If all photos were assigned earlier and the groups are known, nothing is computed.
    """
    earlier, contents = plan.earlier_splits(), plan.contents()
    inputs, known = group_inputs(dataset, contents.photo_digests()), _known_groups(dataset)
    stay = plan.all_have_earlier_splits() and can_stay(dataset, contents.photos, earlier)
    if stay:
        plan.keep_earlier_splits()
    if stay and known and known.inputs == inputs:
        return known
    names, hashes = list(contents.photos()), dict[str, int]()
    if split.near_duplicates:
        digests = {name: plan.store.digest(dataset.images / name) for name in names}
        hashes = perceptual_hashes(dataset, plan.store.cache, digests)
    groups = group_photos(dataset, names, hashes, earlier)
    if not stay:
        plan.set_splits(split_photos(dataset, contents.counts(), groups, earlier))
    return GroupFile(inputs, tuple(tuple(group) for group in groups if len(group) > 1))


def _known_groups(dataset: Dataset) -> GroupFile | None:
    """Return the groups of the earlier build; None if they are missing or damaged."""
    try:
        return read_groups(dataset.panoptic)
    except InputError:
        return None
