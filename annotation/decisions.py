"""`curation.yaml`: decisions about photos that a person made in FiftyOne.

`pipeline.py decide` writes the file, git can review it, and `convert` applies it:

    exclude: [blurred.jpg]        # not in the panoptic set
    relabel: [street.jpg]         # to be annotated again
    split: {yard.jpg: test}       # takes precedence over the lists of dataset.yaml

Photos are named by their path below `images/`. `from __future__ import annotations` is left out on
purpose: msgspec would have to compile each type annotation from a string.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from annotation.dataset import Dataset
from base.files import inside
from base.locks import working_on
from base.parsing import read_yaml, write_yaml

FILE_NAME = "curation.yaml"
EXCLUDE, RELABEL = "exclude", "relabel"
HEAD = "# Decisions made in FiftyOne: `pipeline.py decide` writes them, `convert` applies them.\n"


@dataclass(frozen=True)
class Decisions:
    """Decisions about the photos of a data set; `split` has the split of each assigned photo."""

    exclude: tuple[str, ...] = ()
    relabel: tuple[str, ...] = ()
    split: dict[str, str] = field(default_factory=dict)

    def photos(self) -> list[str]:
        """Return the names of all photos with a decision, sorted."""
        return sorted({*self.exclude, *self.relabel, *self.split})


def read_decisions(dataset: Dataset) -> Decisions:
    """Read `curation.yaml`; without one, there are no decisions.

    Raises InputError for wrong values and unknown keys, and for a pipe or a broken link, which
    should not be ignored.
    """
    path = dataset.root / FILE_NAME
    return read_yaml(path, Decisions) if os.path.lexists(path) else Decisions()


def write_decisions(dataset: Dataset, decisions: Decisions) -> None:
    """Write `curation.yaml`, with sorted names."""
    ordered = Decisions(
        tuple(sorted(decisions.exclude)),
        tuple(sorted(decisions.relabel)),
        dict(sorted(decisions.split.items())),
    )
    write_yaml(dataset.root / FILE_NAME, ordered, comment=HEAD)


def end_relabeling(dataset: Dataset, names: Collection[str]) -> Decisions:
    """Remove photos that were annotated again from `relabel`; return the decisions left."""
    with working_on(dataset.root, "relabel"):
        before = read_decisions(dataset)
        left = tuple(name for name in before.relabel if name not in names)
        if left == before.relabel:
            return before
        now = replace(before, relabel=left)
        write_decisions(dataset, now)
        return now


def missing_photos(dataset: Dataset, decisions: Decisions) -> Iterator[str]:
    """Yield the photos with a decision that do not exist."""
    for name in decisions.photos():
        if not inside(dataset.images, name, where=str(dataset.root / FILE_NAME)).is_file():
            yield name
