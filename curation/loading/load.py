"""Load a panoptic set into FiftyOne; loading it again keeps what the user added there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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
from curation.app.annotating import offer_labels
from curation.app.appearance import save_workspace, set_appearance
from curation.app.database import connect, explained_database_errors, forget
from curation.app.fields import SPLIT, TRUE_SCENE, TRUE_SEGMENTS
from curation.loading.declaring import (
    declare,
    new_field,
    scene_field,
    segment_fields,
    strings_field,
)
from curation.loading.duplicates import save_duplicate_views
from curation.loading.embeddings import Embed, has_embeddings, show_embeddings
from curation.loading.entries import list_entries, panoptic_digest, read_splits
from curation.loading.masks import mask_folder, remove_old_masks, write_masks
from curation.loading.poor_photos import has_quality, show_quality
from curation.loading.quality import rate_photos
from curation.loading.storing import Loading, store_entries
from curation.loading.suspicious import LIST, Listed, has_suspects, read_listed, show_suspects
from curation.loading.tags import decided_tags

FORMAT = "5"  # increase it if the same input gives other samples, so that all are loaded again
FIELDS = (SPLIT, "findings", *TRUE_SEGMENTS, TRUE_SCENE)


@explained_database_errors()
def load_dataset(
    dataset: Dataset,
    checked: Checked,
    embed: Embed | None = None,
    *,
    label_errors: Path | None = None,
) -> str:
    """Update FiftyOne's data set from `panoptic/`, the findings and decisions; return its name.

    Photos are matched by their name below `images/`: changed photos are updated in place, photos
    that no longer exist are removed, the user's own tags, fields and labels are kept. `embed`
    returns the vectors of the map of photos; without it, the photos themselves are not examined:
    there is no map, and nothing about their quality. `label_errors` is the folder of a list of
    suspicious labels; without it, the list that was loaded before is read again. Raises InputError
    if there is no panoptic set, or no list in `label_errors`, if FiftyOne has an unrelated data set
    of that name, or if its database fails.
    """
    with working_on(dataset.root, "curate"):
        return _load(dataset, checked, embed, label_errors)


def _load(
    dataset: Dataset, checked: Checked, embed: Embed | None, label_errors: Path | None
) -> str:
    splits, decisions = read_splits(dataset), read_decisions(dataset)
    folder = mask_folder(dataset, "truth")
    connect()
    samples = _open_samples(dataset)
    listed = read_listed(samples, dataset, label_errors)
    inputs = _inputs_digest(dataset, checked, decisions, listed)
    fields = has_fields(samples, FIELDS)
    looks = embed is None or (has_embeddings(samples) and has_quality(samples))
    complete = folder.is_dir() and fields and looks and (not listed or has_suspects(samples))
    if samples.info.get("load") == inputs and complete:
        print(f"FiftyOne: data set '{samples.name}' is up to date, {_photos(samples)}")
        return str(samples.name)
    entries = list_entries(dataset, splits, checked, decisions.exclude)
    split_of = {entry.name: entry.split for entry in entries if entry.split}
    # these may take minutes, so they come before anything changes
    vectors = embed(dataset, list(split_of)) if embed else None
    qualities = rate_photos(dataset, list(split_of)) if embed else {}
    # photos and masks that were written by a load that was stopped are not known
    stopped = "load" not in samples.info
    forget(samples, "load")
    if not fields:
        _declare(samples)
    masks = write_masks(splits.values(), folder, reuse=not stopped)
    decided = decided_tags(decisions)
    loading = Loading(splits, masks, decided, samples.info.get("decided", {}))
    changed = store_entries(samples, entries, loading, everything=stopped or not fields)
    samples.save_view("with findings", samples.match(F("findings").length() > 0), overwrite=True)
    save_duplicate_views(samples, dataset, split_of, checked.findings)
    if vectors is not None:
        show_embeddings(samples, split_of, vectors)
        show_quality(samples, qualities)
    show_suspects(samples, listed, splits.values())
    categories = next(iter(splits.values())).categories
    set_appearance(samples, categories)
    offer_labels(samples, categories)
    save_workspace(samples)
    state = {"load": inputs, "panoptic": panoptic_digest(dataset), "decided": decided}
    state |= {LIST: str(listed.path) if listed else ""}
    remove_old_masks(folder, masks)
    samples.info = {**samples.info, **state}
    samples.save()
    print(f"FiftyOne: data set '{samples.name}' has {_photos(samples)}, {changed:,} new or changed")
    return str(samples.name)


def _photos(samples: fo.Dataset) -> str:
    """Say how many photos there are; `len` is an estimate after the database was killed."""
    return counted(samples.count("id"), "photo")


def _inputs_digest(
    dataset: Dataset, checked: Checked, decisions: Decisions, listed: Listed | None
) -> str:
    excluded = [r.path.name for r in checked.annotations if r.excluded]
    others = msgspec.json.encode((checked.findings, excluded, decisions))
    suspects = repr(listed) if listed else ""
    return digest(FORMAT, str(dataset.root.resolve()), panoptic_digest(dataset), others, suspects)


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
    fields = {
        "photo": new_field(fo.StringField, "path below images/"),
        SPLIT: new_field(fo.StringField, "split in the panoptic set"),
        "findings": strings_field("findings of validation"),
        TRUE_SCENE: scene_field(),
    }
    for field in TRUE_SEGMENTS:
        fields |= segment_fields(field)
    declare(samples, fields)
    samples.create_index("photo")


def has_fields(samples: fo.Dataset, fields: Iterable[str]) -> bool:
    """Whether all these fields exist; a user can delete any of them in the App."""
    return set(fields) <= set(samples.get_field_schema(flat=True))
