"""Store the photos of a data set in FiftyOne: new ones, those that changed, and none twice."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from annotation.decisions import EXCLUDE
from base.counting import counted
from base.progress import track
from base.workers import batched
from curation.app.fields import SPLIT, TRUE_SCENE, TRUE_SEGMENTS
from curation.loading.deleted import find_deleted
from curation.loading.entries import Entry
from curation.loading.labels import (
    BATCH,
    Label,
    count_lost,
    labels_of,
    segment_labels,
    set_by_photo,
    store_labels,
)
from curation.loading.masks import PhotoMasks
from curation.loading.tags import merged_tags


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
class Loading:
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
        if before and set(tags) == set(before.tags):
            tags = before.tags  # in the order of the App
        scene = str(self.masks[entry.name].scene) if entry.photo else None
        path, findings = str(entry.path), list(entry.findings)
        return _State(path, entry.width, entry.height, tags, entry.split, findings, scene)


def store_entries(
    samples: fo.Dataset, entries: Sequence[Entry], loading: Loading, *, everything: bool
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
        before = {name: present.get(name) for name in names}
        redrawn = [
            wanted[name]
            for name, old in before.items()
            if everything or old is None or old.scene != states[name].scene
        ]
        # after a load that was stopped, it is not known which segments were loaded
        scenes = {n: None if everything else old.scene for n, old in before.items() if old}
        if redrawn:
            _store_segments(samples, redrawn, scenes, loading)
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
    samples: fo.Dataset,
    entries: Sequence[Entry],
    scenes: Mapping[str, str | None],
    loading: Loading,
) -> None:
    """Set the segments of photos whose segments have changed; excluded photos have none.

    `scenes` has the photos that were loaded earlier, with the file of the scene if it is certain
    that the segments are of it. The user's changes of unchanged segments are kept; prints the
    corrected labels that are lost.
    """
    names = [entry.name for entry in entries if entry.name in scenes]
    known = [labels_of(samples, field, names) if names else {} for field in TRUE_SEGMENTS]
    deleted = {
        name: find_deleted(Path(scene), _segment_ids(known, name))
        for name in names
        if (scene := scenes[name]) and all(name in one for one in known)
    }
    for field, before, things in zip(TRUE_SEGMENTS, known, (True, False), strict=True):
        labels = {
            entry.name: segment_labels(
                entry.photo,
                loading.masks[entry.name],
                entry.panoptic.categories,
                things=things,
                before=before.get(entry.name, ()),
                deleted=deleted.get(entry.name),
            )
            for entry in entries
            if entry.photo and entry.panoptic
        }
        # `decide` has carried the corrections with the decision to exclude a photo
        told = [n for n in before if n in labels or EXCLUDE not in loading.decided.get(n, ())]
        for name in told:
            if lost := count_lost(before[name], labels.get(name, ())):
                what = counted(lost, "corrected label")
                print(f"{name}: {what} in {field} lost, because the annotation has changed")
        store_labels(samples, field, labels, before)
        if without := [entry.name for entry in entries if entry.photo is None]:
            set_by_photo(samples, field, dict.fromkeys(without))


def _segment_ids(known: Sequence[Mapping[str, Sequence[Label]]], name: str) -> set[int]:
    return {label.get("segment_id") or 0 for one in known for label in one[name]}


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
