"""Load a panoptic set into FiftyOne; loading it again keeps what the user added there."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import msgspec
from fiftyone import ViewField as F

from annotation.dataset import Dataset
from annotation.decisions import Decisions, read_decisions
from annotation.rules.checked import Checked
from base.counting import counted
from base.errors import InputError
from base.files import digest
from base.locks import working_on
from base.progress import track
from base.workers import batched
from conversion.building.leaks import find_twins
from curation.app.appearance import save_workspace, set_appearance
from curation.app.database import connect, explained_database_errors, forget
from curation.app.fields import SPLIT, TRUE_SCENE, TRUE_SEGMENTS
from curation.loading.embeddings import Embed, has_embeddings, show_embeddings
from curation.loading.entries import Entry, list_entries, panoptic_digest, read_splits
from curation.loading.labels import (
    BATCH,
    declare_scene,
    declare_segments,
    labels_of,
    segment_labels,
    set_by_photo,
    store_labels,
)
from curation.loading.masks import PhotoMasks, mask_folder, remove_old_masks, write_masks
from curation.loading.tags import decided_tags, merged_tags

FORMAT = "4"  # increase it if the same input gives other samples, so that all are loaded again
NEAR_DUPLICATES = "near-duplicates across splits"
FIELDS = (SPLIT, "findings", *TRUE_SEGMENTS, TRUE_SCENE)


@dataclass(frozen=True)
class _State:
    """What is compared to find changed photos; the path of the scene changes with any segment."""

    path: str
    width: int
    height: int
    tags: list[str]
    split: str | None
    findings: list[str]
    scene: str | None


@dataclass(frozen=True)
class _Loading:
    """What all photos of one load need: the masks by photo, and decisions now and at the last load.

    `known` and `decided` are tags by photo, `splits` the names of all splits.
    """

    splits: Collection[str]
    masks: Mapping[str, PhotoMasks]
    decided: Mapping[str, Sequence[str]]
    known: Mapping[str, Sequence[str]]

    def state(self, entry: Entry, before: _State | None = None) -> _State:
        """Return what a photo's sample should have, given what it has."""
        tags = merged_tags(
            entry,
            before.tags if before else (),
            split_before=before.split if before else None,
            splits=self.splits,
            decided=self.decided.get(entry.name, ()),
            known=self.known.get(entry.name, ()) if before else (),
        )
        scene = str(self.masks[entry.name].scene) if entry.photo else None
        path, findings = str(entry.path), list(entry.findings)
        return _State(path, entry.width, entry.height, tags, entry.split, findings, scene)


@explained_database_errors()
def load_dataset(dataset: Dataset, checked: Checked, embed: Embed | None = None) -> str:
    """Update FiftyOne's data set from `panoptic/`, the findings and decisions; return its name.

    Photos are matched by their name below `images/`: changed photos are updated in place, photos
    that no longer exist are removed, the user's own tags, fields and labels are kept. `embed`
    returns the vectors of the map of photos; without it, there is none. Raises InputError if there
    is no panoptic set, if FiftyOne has an unrelated data set of that name, or if its database
    fails.
    """
    with working_on(dataset.root, "curate"):
        return _load(dataset, checked, embed)


def _load(dataset: Dataset, checked: Checked, embed: Embed | None) -> str:
    splits, decisions = read_splits(dataset), read_decisions(dataset)
    inputs, folder = _inputs_digest(dataset, checked, decisions), mask_folder(dataset, "truth")
    connect()
    samples = _open_samples(dataset)
    fields = has_fields(samples, FIELDS)
    complete = folder.is_dir() and fields and (embed is None or has_embeddings(samples))
    if samples.info.get("load") == inputs and complete:
        print(f"FiftyOne: data set '{samples.name}' is up to date, {_photos(samples)}")
        return str(samples.name)
    entries = list_entries(dataset, splits, checked)
    split_of = {entry.name: entry.split for entry in entries if entry.split}
    vectors = embed(dataset, list(split_of)) if embed else None  # minutes: before anything changes
    # photos that were written by a load that was stopped are not known
    everything = not fields or "load" not in samples.info
    forget(samples, "load")
    if not fields:
        _declare(samples)
    masks = write_masks(splits.values(), folder)
    decided = decided_tags(decisions)
    loading = _Loading(splits, masks, decided, samples.info.get("decided", {}))
    changed = _store(samples, entries, loading, everything=everything)
    _save_views(samples, find_twins(dataset, split_of))
    if vectors is not None:
        show_embeddings(samples, split_of, vectors)
    set_appearance(samples, next(iter(splits.values())).categories)
    save_workspace(samples)
    state = {"load": inputs, "panoptic": panoptic_digest(dataset), "decided": decided}
    remove_old_masks(folder, masks)
    samples.info = {**samples.info, **state}
    samples.save()
    print(f"FiftyOne: data set '{samples.name}' has {_photos(samples)}, {changed:,} new or changed")
    return str(samples.name)


def _photos(samples: fo.Dataset) -> str:
    """Say how many photos there are; `len` is an estimate after the database was killed."""
    return counted(samples.count("id"), "photo")


def _save_views(samples: fo.Dataset, twins: Mapping[str, str]) -> None:
    """Save views of findings and, if there are any, of photos with `twins` in train."""
    samples.save_view("with findings", samples.match(F("findings").length() > 0), overwrite=True)
    if twins:
        pairs = dict.fromkeys(name for pair in sorted(twins.items()) for name in pair)
        view = samples.select_by("photo", list(pairs), ordered=True)
        samples.save_view(NEAR_DUPLICATES, view, overwrite=True)
    elif samples.has_saved_view(NEAR_DUPLICATES):
        samples.delete_saved_view(NEAR_DUPLICATES)


def _inputs_digest(dataset: Dataset, checked: Checked, decisions: Decisions) -> str:
    excluded = [r.path.name for r in checked.annotations if r.excluded]
    others = msgspec.json.encode((checked.findings, excluded, decisions))
    return digest(FORMAT, str(dataset.root.resolve()), panoptic_digest(dataset), others)


def fiftyone_name(dataset: Dataset) -> str:
    """The name of the set in FiftyOne.

    If another existing folder already uses the configured name, as a second git clone may, a
    digest of the folder is appended: a shared data set would lose the photos of the other folder
    and the user's tags.
    """
    name, root = dataset.config.name, str(dataset.root.resolve())
    own = f"{name}-{digest(root)[:6]}"
    if fo.dataset_exists(own):
        return own
    other = fo.load_dataset(name).info.get("root", root) if fo.dataset_exists(name) else root
    return own if other != root and (Path(other) / "dataset.yaml").is_file() else name


def loaded_samples(dataset: Dataset) -> fo.Dataset:
    """Open FiftyOne's data set; raise InputError unless the current panoptic set is loaded."""
    name = fiftyone_name(dataset)
    if not fo.dataset_exists(name) or "load" not in fo.load_dataset(name).info:
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    samples = fo.load_dataset(name)
    current = samples.info["panoptic"] == panoptic_digest(dataset)
    if not current or not has_fields(samples, FIELDS):
        raise InputError(f"{dataset.panoptic}: has changed since it was loaded; run `curate` first")
    return samples


def _open_samples(dataset: Dataset) -> fo.Dataset:
    """Open FiftyOne's data set, or create it; raise InputError if it belongs to something else."""
    where, root = f"{dataset.root / 'dataset.yaml'}: name", str(dataset.root.resolve())
    try:
        name = fiftyone_name(dataset)
        known = fo.dataset_exists(name)
        samples = fo.load_dataset(name) if known else fo.Dataset(name, persistent=True)
    except ValueError as error:  # FiftyOne turns names into URLs and rejects some
        raise InputError(f"{where}: FiftyOne rejects '{dataset.config.name}': {error}") from None
    if len(samples) and "root" not in samples.info:
        raise InputError(
            f"{where}: FiftyOne already has a data set '{name}' that was not loaded from here;"
            " choose another name, or delete that data set"
        )
    if samples.info.get("root") != root:  # new, or its folder was moved
        samples.info = {**samples.info, "root": root}
        samples.save()
    return samples


def _declare(samples: fo.Dataset) -> None:
    samples.add_sample_field("photo", fo.StringField, description="path below images/")
    samples.add_sample_field(SPLIT, fo.StringField, description="split in the panoptic set")
    samples.add_sample_field(
        "findings", fo.ListField, subfield=fo.StringField, description="findings of validation"
    )
    for field in TRUE_SEGMENTS:
        declare_segments(samples, field, {})
    declare_scene(samples, TRUE_SCENE)
    samples.create_index("photo")


def has_fields(samples: fo.Dataset, fields: Iterable[str]) -> bool:
    """Whether all these fields exist; a user can delete any of them in the App."""
    return set(fields) <= set(samples.get_field_schema(flat=True))


def _store(
    samples: fo.Dataset, entries: Sequence[Entry], loading: _Loading, *, everything: bool
) -> int:
    """Remove photos that no longer exist, update those that changed, add new ones; count these.

    Samples without `photo` were added by the user and are kept.
    """
    wanted = {entry.name: entry for entry in entries}
    present = _present(samples)
    gone = sorted(present.keys() - wanted)
    samples.delete_samples(samples.match(F("photo").is_in(gone)))
    states = {entry.name: loading.state(entry, present.get(entry.name)) for entry in entries}
    new = [name for name in wanted if name not in present]
    made = (fo.Sample(states[name].path, photo=name) for name in new)
    samples.add_samples(made, progress=False, validate=False, num_samples=len(new))
    changed = [name for name in wanted if everything or states[name] != present.get(name)]
    for names in track(list(batched(changed, BATCH)), "load"):
        _store_photos(samples, {name: states[name] for name in names})
        known = [name for name in names if name in present]
        _store_segments(samples, [wanted[name] for name in names], known, loading)
    return len(changed)


def _store_photos(samples: fo.Dataset, states: Mapping[str, _State]) -> None:
    values: dict[str, Callable[[_State], Any]] = {
        "filepath": lambda one: one.path,
        "metadata": lambda one: _metadata(one),
        "tags": lambda one: one.tags,
        SPLIT: lambda one: one.split,
        "findings": lambda one: one.findings,
        TRUE_SCENE: lambda one: one.scene and fo.Segmentation(mask_path=one.scene),
    }
    for field, value in values.items():
        set_by_photo(samples, field, {name: value(one) for name, one in states.items()})


def _store_segments(
    samples: fo.Dataset, entries: Sequence[Entry], known: Sequence[str], loading: _Loading
) -> None:
    """Set the segments of photos, of which some are `known`; excluded photos have none."""
    without = [entry.name for entry in entries if entry.photo is None]
    for field, things in zip(TRUE_SEGMENTS, (True, False), strict=True):
        before = labels_of(samples, field, known) if known else {}
        labels = {
            entry.name: segment_labels(
                entry.photo,
                loading.masks[entry.name],
                entry.panoptic.categories,
                things=things,
                before=before.get(entry.name, ()),
            )
            for entry in entries
            if entry.photo and entry.panoptic
        }
        store_labels(samples, field, labels)
        if without:
            set_by_photo(samples, field, dict.fromkeys(without))


def _present(samples: fo.Dataset) -> dict[str, _State]:
    """Return the state of each photo that was loaded earlier."""
    size = ("metadata.width", "metadata.height")
    fields = ("photo", "filepath", *size, "tags", SPLIT, "findings", f"{TRUE_SCENE}.mask_path")
    rows = zip(*samples.values(list(fields)), strict=True)
    return {name: _State(*row) for name, *row in rows if name is not None}


def _metadata(state: _State) -> fo.ImageMetadata:
    return fo.ImageMetadata(
        size_bytes=Path(state.path).stat().st_size,
        mime_type=mimetypes.guess_type(state.path)[0],
        width=state.width,
        height=state.height,
    )
