"""Saved views of photos that are copies of each other, or look nearly the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import fiftyone as fo
from scipy.cluster.hierarchy import DisjointSet

from annotation.dataset import Dataset
from annotation.findings import Finding
from conversion.building.leaks import find_twins
from curation.loading.embeddings import order_pairs

ACROSS_SPLITS = "near-duplicates across splits"
WITHIN_SPLIT = "near-duplicates within a split"


def save_duplicate_views(
    samples: fo.Dataset,
    dataset: Dataset,
    split_of: Mapping[str, str],
    findings: Iterable[Finding],
) -> None:
    """Save a view of the photos that have a twin in train, and of those with one in their split.

    A view without photos is not saved. `split_of` has all photos of the set, by name.
    """
    across = order_pairs(sorted(find_twins(dataset, split_of).items()))
    within = [name for group in find_groups(dataset, split_of, findings) for name in group]
    for name, photos in ((ACROSS_SPLITS, across), (WITHIN_SPLIT, within)):
        if photos:
            view = samples.select_by("photo", photos, ordered=True)
            samples.save_view(name, view, overwrite=True)
        elif samples.has_saved_view(name):
            samples.delete_saved_view(name)


def find_groups(
    dataset: Dataset, split_of: Mapping[str, str], findings: Iterable[Finding]
) -> list[list[str]]:
    """Return the groups of photos of one split that repeat each other, by what validation found.

    A finding names only one earlier photo, which may be in another split. So two photos also belong
    together if a chain of findings joins them.
    """
    joined: DisjointSet[str] = DisjointSet()
    for finding in findings:
        if finding.twin is not None:
            name = (dataset.root / finding.file).relative_to(dataset.images).as_posix()
            joined.add(name)
            joined.add(finding.twin)
            joined.merge(name, finding.twin)
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(split_of.keys() & set(joined)):
        groups.setdefault((joined[name], split_of[name]), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
