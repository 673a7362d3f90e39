"""Carry tags of FiftyOne's App into `curation.yaml`, and corrected labels into Labelme files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from annotation.dataset import Dataset
from annotation.decisions import EXCLUDE, RELABEL, Decisions, read_decisions, write_decisions
from annotation.rules.checked import Checked
from base.locks import working_on
from conversion.config import read_conversion_config
from curation.app.database import connect, explained_database_errors
from curation.app.fields import SPLIT
from curation.decisions.corrections import Correction, carry_corrections, find_corrections
from curation.loading.entries import read_splits
from curation.loading.load import loaded_samples
from curation.loading.runs import reviewed_runs
from curation.loading.tags import DECISIONS, decided_tags, merge_decisions, moved_to


@dataclass(frozen=True)
class Decided:
    """The decisions before and now, the corrections carried over, and what was not possible.

    `run` is the folder of the run that was reviewed last, if it has predictions.
    """

    before: Decisions
    now: Decisions
    corrections: tuple[Correction, ...]
    problems: tuple[str, ...]
    run: Path | None


@explained_database_errors()
def decide(dataset: Dataset, checked: Checked) -> Decided:
    """Write the decisions and corrections of the App into the files of a data set.

    Decisions about photos that are not in FiftyOne are kept. Raises InputError if the current
    panoptic set has not been loaded.
    """
    with working_on(dataset.root, "decide"):
        return _decide(dataset, checked)


def _decide(dataset: Dataset, checked: Checked) -> Decided:
    connect()
    samples = loaded_samples(dataset)
    before, splits = read_decisions(dataset), read_splits(dataset)
    tagging = _Tagging(samples, before, tuple(read_conversion_config(dataset).split.shares))
    now = tagging.decisions()
    if now != before:
        write_decisions(dataset, now)
    samples.info = {**samples.info, "decided": tagging.shown()}
    samples.save()
    photos = {photo.file_name: photo for one in splits.values() for photo in one.photos}
    categories = next(iter(splits.values())).categories
    found = find_corrections(samples, photos, categories)
    files = {
        one.photo.relative_to(dataset.images).as_posix(): one.path
        for one in checked.annotations
        if one.photo and one.usable
    }
    carried = carry_corrections(dataset, found.corrections, photos, files, categories)
    problems = (*tagging.problems, *found.problems, *carried.problems)
    run = next(iter(reviewed_runs(samples)), None)
    return Decided(before, now, carried.corrections, problems, run)


class _Tagging:
    """The tags of a data set in the App; `problems` are tags that decide nothing."""

    def __init__(self, samples: fo.Dataset, before: Decisions, splits: tuple[str, ...]) -> None:
        self._before, self._splits = before, splits
        self._known = samples.info.get("decided", {})
        names, tags, own = samples.values(["photo", "tags", SPLIT])
        self._rows = [row for row in zip(names, tags, own, strict=True) if row[0] is not None]
        self.problems: list[str] = []

    def decisions(self) -> Decisions:
        """Return the decisions of the file, changed by the tags."""
        decided, split = decided_tags(self._before), dict(self._before.split)
        for name, tags, own in self._rows:
            known = self._known.get(name, ())
            decided[name] = sorted(
                merge_decisions(tags, decided=decided.get(name, ()), known=known)
            )
            if moved := self._moved(name, tags, own):
                split[name] = moved
        by_tag = {
            tag: tuple(sorted(name for name, found in decided.items() if tag in found))
            for tag in (EXCLUDE, RELABEL)
        }
        return Decisions(by_tag[EXCLUDE], by_tag[RELABEL], dict(sorted(split.items())))

    def shown(self) -> dict[str, list[str]]:
        """Return the tags `exclude` and `relabel` of each photo in the App.

        They are what the next change is compared with, not the file, which may have decisions that
        the App will show only after the next load.
        """
        own = {
            name: sorted(tag for tag in tags if tag in DECISIONS) for name, tags, _ in self._rows
        }
        return {name: tags for name, tags in own.items() if tags}

    def _moved(self, name: str, tags: list[str], own: str | None) -> str | None:
        """Return the split to which a photo is moved, if there is just one."""
        moved = moved_to(tags, own, self._splits)
        unknown = [split for split in moved if split not in self._splits]
        if unknown:
            splits = ", ".join(self._splits)
            self.problems.append(f"{name}: tags: expected a split of {splits}, found {unknown[0]}")
        elif len(moved) > 1:
            found = " and ".join(moved)
            self.problems.append(f"{name}: tags: expected one split to move to, found {found}")
        else:
            return moved[0] if moved else None
        return None
