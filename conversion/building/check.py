"""The check that all commands share: the rules of annotation and those about the conversion."""

from __future__ import annotations

from annotation.dataset import Dataset
from annotation.rules.checked import Checked, Pixels
from annotation.rules.validate import check_dataset
from conversion.building.leaks import leak_complaints
from conversion.building.split import split_complaints
from conversion.stuff.rules import stuff_complaints


def check(dataset: Dataset, *, pixels: Pixels = "known") -> Checked:
    """Check a data set with all rules; files that have not changed are not read again.

    By default, photos are not decoded, but what an earlier check found in their pixels is included.
    Raises InputError if the set has no annotations, or if the lists or groups of its split are
    wrong.
    """
    return check_dataset(
        dataset, pixels=pixels, set_rules=[split_complaints, leak_complaints, stuff_complaints]
    )
