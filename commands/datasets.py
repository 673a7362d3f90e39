"""Open and check the data set of a subcommand, and find the files of a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from annotation.dataset import Dataset
from annotation.rules.checked import Checked, Pixels
from base.errors import InputError


@dataclass(frozen=True)
class RunFiles:
    """The data set of a run, the ground truth of one split, and the run's predictions of it.

    `folder` is where files about that split are written: the run for the split `test`, and
    otherwise a folder in it with the name of the split.
    """

    dataset: Dataset
    folder: Path
    truth: Path
    prediction: Path


def open_dataset(root: Path) -> Dataset:
    """Open the data set in `root` and check every key of its `dataset.yaml`."""
    from conversion.config import open_valid_dataset

    return open_valid_dataset(root)


def open_or_propose(root: Path) -> Dataset:
    """Open the data set in `root`; if it has no `dataset.yaml`, propose one from its labels."""
    from annotation.intake.propose import propose_config

    path = root / "dataset.yaml"
    if root.is_dir() and not path.exists():
        things = propose_config(root).things
        print(f"{path}: proposed from the labels found ({len(things)} things); please review it")
    return open_dataset(root)


def photo_sources(path: Path) -> Sequence[Path]:
    """Return where the photos of a data set lie, if `path` is one, and `path` itself otherwise."""
    if not (path / "dataset.yaml").is_file():
        return [path]
    dataset = open_dataset(path)
    return dataset.photos() if dataset.is_flat else [dataset.images]


def check(dataset: Dataset, *, pixels: Pixels = "known") -> Checked:
    """Check a data set with all rules; unchanged files are not read again."""
    from conversion.building.check import check as check_by_all_rules

    return check_by_all_rules(dataset, pixels=pixels)


def print_split_warnings(dataset: Dataset) -> None:
    """Print warnings about empty splits and about leaks between them, if the set is converted."""
    from conversion.building.leaks import LEAK_FIX, read_leaks
    from conversion.building.prepared import read_manifest
    from conversion.building.split import empty_split_complaints
    from conversion.config import read_conversion_config

    try:
        result = read_manifest(dataset.panoptic / "manifest.json").result
        sizes = msgspec.convert(result["photos"], dict[str, int])
    except (OSError, KeyError, RecursionError, msgspec.DecodeError):
        return
    shares = read_conversion_config(dataset).split.shares
    for one in empty_split_complaints(sizes, shares):
        print(f"{one.severity or 'warning'}: {dataset.panoptic}: {one.message}; {one.fix}")
    for leak in read_leaks(dataset.panoptic):
        print(f"warning: {dataset.panoptic}: {leak.message}; {LEAK_FIX}")


def run_files(run: Path, moved_to: Path | None = None, *, split: str = "test") -> RunFiles:
    """Find the files that `evaluate`, `report` and `review` compare.

    `moved_to` is the data set, if it is not where the run was trained on it. Raises InputError if
    there is no data set, if it does not have the split, or if the run has no predictions of it.
    """
    from conversion.coco.panoptic import find_split_jsons, split_json
    from detr.config import read_run

    recorded = Path(read_run(run).dataset)
    if moved_to is None and not (recorded / "dataset.yaml").is_file():
        found = "a folder without dataset.yaml" if recorded.is_dir() else "nothing"
        raise InputError(
            f"{run / 'config.yaml'}: dataset: expected the data set of this run at {recorded},"
            f" found {found}; if the data set or the run was moved, give its folder with --dataset"
        )
    dataset = open_dataset(moved_to or recorded)
    splits = find_split_jsons(dataset.panoptic)
    if splits and split not in splits:
        raise InputError(
            f"{dataset.panoptic}: expected the split '{split}', found the splits"
            f" {', '.join(splits)}; give one of them with --split"
        )
    folder = run if split == "test" else run / split
    prediction = folder / "predictions" / "panoptic.json"
    if not prediction.is_file():
        photos, out = dataset.panoptic / split, prediction.parent
        command = shlex.join(["predict", str(run), str(photos), "--out", str(out)])
        raise InputError(f"{prediction}: missing; create it with `pipeline.py {command}`")
    return RunFiles(dataset, folder, split_json(dataset.panoptic, split), prediction)
