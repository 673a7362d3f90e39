"""Store the photos of a data set in FiftyOne: new ones, those that changed, and none twice."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from base.progress import track
from base.workers import batched
from curation.app.fields import SPLIT, TRUE_SCENE, TRUE_SEGMENTS
from curation.loading.entries import Entry
from curation.loading.labels import (
    BATCH,
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
    samples: fo.Dataset, entries: Sequence[Entry], known: Sequence[str], loading: Loading
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
