"""Load a panoptic set into FiftyOne; loading it again keeps what the user added there."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import msgspec
from fiftyone import ViewField as F

from annotation.dataset import Dataset
from annotation.rules.checked import Checked
from base.errors import InputError
from base.files import digest
from base.progress import track
from curation.app.appearance import set_appearance
from curation.app.database import connect, explained_database_errors
from curation.app.fields import TRUE_SCENE, TRUE_SEGMENTS
from curation.loading.entries import (
    EXCLUDED,
    FINDING,
    SPLITS,
    Entry,
    list_entries,
    panoptic_digest,
    read_splits,
)
from curation.loading.labels import declare_scene, declare_segments, scene_label, segment_labels
from curation.loading.masks import mask_folder, masks_of, remove_old_masks, write_masks

FORMAT = "2"  # increase it if the same input gives other samples, so that all are loaded again
FIELDS = ("findings", *TRUE_SEGMENTS, TRUE_SCENE)


@explained_database_errors()
def load_dataset(dataset: Dataset, checked: Checked) -> str:
    """Update FiftyOne's data set from `panoptic/` and the findings; return its name.

    Photos are matched by their name below `images/`: known photos are updated in place, photos
    that no longer exist are removed, the user's own tags and fields are kept. Raises InputError
    if there is no panoptic set, if FiftyOne has an unrelated data set of that name, or if its
    database fails.
    """
    splits = read_splits(dataset)
    inputs = _inputs_digest(dataset, checked)
    folder = mask_folder(dataset, "truth", panoptic_digest(dataset))
    connect()
    samples = _open_samples(dataset)
    fields = has_fields(samples, FIELDS)
    if samples.info.get("load") == inputs and folder.is_dir() and fields:
        print(f"FiftyOne: data set '{samples.name}' is up to date, {len(samples)} photos")
        return str(samples.name)
    if not fields:
        _declare(samples)
    entries = list_entries(dataset, splits, checked)
    if not folder.is_dir():
        write_masks(splits.values(), folder)
    _store(samples, entries, folder)
    samples.save_view("with findings", samples.match(F("findings").length() > 0), overwrite=True)
    set_appearance(samples, next(iter(splits.values())).categories)
    samples.info = {**samples.info, "load": inputs, "panoptic": panoptic_digest(dataset)}
    samples.save()
    remove_old_masks(folder)
    print(f"FiftyOne: data set '{samples.name}' has {len(samples)} photos")
    return str(samples.name)


def _inputs_digest(dataset: Dataset, checked: Checked) -> str:
    excluded = [r.path.name for r in checked.annotations if r.excluded]
    findings_json = msgspec.json.encode((checked.findings, excluded))
    return digest(FORMAT, str(dataset.root.resolve()), panoptic_digest(dataset), findings_json)


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
    samples.add_sample_field(
        "findings", fo.ListField, subfield=fo.StringField, description="findings of validation"
    )
    for field in TRUE_SEGMENTS:
        declare_segments(samples, field)
    declare_scene(samples, TRUE_SCENE)
    samples.create_index("photo")


def _store(samples: fo.Dataset, entries: Sequence[Entry], folder: Path) -> None:
    """Remove photos that no longer exist, add new ones, then set all fields, one after another.

    Samples without `photo` were added by the user and are kept.
    """
    wanted = {entry.name: entry for entry in entries}
    present = set(samples.values("photo"))
    samples.delete_samples(samples.match(F("photo").is_in(sorted(present - {None} - set(wanted)))))
    new = [fo.Sample(str(e.path), photo=e.name) for e in entries if e.name not in present]
    samples.add_samples(new, progress=False, validate=False)
    del new  # FiftyOne reloads every sample object that is alive after each change of the set
    set_by_photo(samples, "filepath", {name: str(entry.path) for name, entry in wanted.items()})
    set_by_photo(samples, "metadata", {name: _metadata(entry) for name, entry in wanted.items()})
    set_by_photo(
        samples, "findings", {name: list(entry.findings) for name, entry in wanted.items()}
    )
    set_by_photo(samples, "tags", _merged_tags(samples, wanted))
    _store_segments(samples, entries, folder)


def has_fields(samples: fo.Dataset, fields: Iterable[str]) -> bool:
    """Whether all these fields exist; a user can delete any of them in the App."""
    return set(fields) <= set(samples.get_field_schema(flat=True))


def set_by_photo(samples: fo.Dataset, field: str, by_photo: dict[str, Any]) -> None:
    """Set one field of many samples at once; values are given by photo."""
    samples.set_values(field, by_photo, key_field="photo", validate=False, progress=False)


def _metadata(entry: Entry) -> fo.ImageMetadata:
    return fo.ImageMetadata(
        size_bytes=entry.path.stat().st_size,
        mime_type=mimetypes.guess_type(entry.path.name)[0],
        width=entry.width,
        height=entry.height,
    )


def _merged_tags(samples: fo.Dataset, wanted: dict[str, Entry]) -> dict[str, list[str]]:
    """Tags by photo: first those of the entries, then the user's."""
    own = {EXCLUDED, *SPLITS}
    before = dict(zip(*samples.values(["photo", "tags"]), strict=True))
    return {
        name: [*e.tags, *(t for t in before[name] if t not in own and not t.startswith(FINDING))]
        for name, e in wanted.items()
    }


def _store_segments(samples: fo.Dataset, entries: Sequence[Entry], folder: Path) -> None:
    scenes = {e.name: e.photo and scene_label(masks_of(e.photo, folder).scene) for e in entries}
    set_by_photo(samples, TRUE_SCENE, scenes)
    for field, things in zip(TRUE_SEGMENTS, (True, False), strict=True):
        before = dict(zip(*samples.values(["photo", field]), strict=True))
        labels = {
            e.name: _labels(e, folder, things=things, before=before[e.name])
            for e in track(entries, field)
        }
        set_by_photo(samples, field, labels)


def _labels(
    entry: Entry, folder: Path, *, things: bool, before: fo.Detections | None
) -> fo.Detections | None:
    if entry.photo is None or entry.panoptic is None:
        return None
    masks, categories = masks_of(entry.photo, folder), entry.panoptic.categories
    return segment_labels(entry.photo, masks, categories, things=things, before=before)
