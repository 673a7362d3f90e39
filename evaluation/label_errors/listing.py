"""Ranking the labels of a built set, and writing `suspects.json`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from base.files import digest
from conversion.coco.panoptic import find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from evaluation.label_errors.ranking import rank_suspects
from evaluation.label_errors.suspects import FILE_NAME, SuspectList, write_suspects
from evaluation.scores.rescoring import match_predicted


def suspects_inputs(panoptic: Path, prediction: Path) -> str:
    """Digest of the ground truth in the folder `panoptic/` and of the predictions."""
    return digest(*find_split_jsons(panoptic).values(), prediction)


def list_suspects(
    panoptic: Path, prediction: Path, out: Path, *, labels: Collection[str]
) -> SuspectList:
    """Rank the labels of the folder `panoptic/` and write the list into `out`.

    Photos that are not predicted, because they were added later, are left out with a message.
    """
    truths = find_split_jsons(panoptic).values()
    inputs = suspects_inputs(panoptic, prediction)
    matched = match_predicted(panoptic, prediction)
    total = sum(len(read_panoptic(path).photos) for path in truths)
    if missing := total - len(matched.by_name):
        missed = f"photos without predictions: {missing:,} of {total:,}"
        print(f"{missed}; to examine them, use a new --out")
    matches = list(matched.by_name.values())
    found = rank_suspects(matches, matched.categories, labels=labels, inputs=inputs)
    write_suspects(out / FILE_NAME, found)
    return found
