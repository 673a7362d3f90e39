"""Data sets and the files of a run: opening, checking and fixing them, and their ground truth."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from annotation.dataset import Dataset
from annotation.rules.checked import Checked, Pixels
from base.errors import InputError
from base.locks import working_on

if TYPE_CHECKING:  # these take long to import
    from annotation.fixing.fix import Fixed
    from conversion.building.prepared import BuildResult
    from labelme_panoptic_detr.photos import PanopticPhoto


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


def open_dataset(root: str | Path) -> Dataset:
    """Open the data set in `root` and check every key of its `dataset.yaml`.

    Raises InputError if the file is missing or a value in it is wrong.
    """
    from conversion.config import open_valid_dataset

    return open_valid_dataset(Path(root))


def open_or_propose(root: str | Path) -> Dataset:
    """Open the data set in `root`; if it has no `dataset.yaml`, propose one from its contents."""
    from annotation.intake.propose import propose_config
    from base.locks import working_on
    from conversion.stuff.proposing import find_stuff

    root = Path(root)
    path = root / "dataset.yaml"
    if root.is_dir() and not path.exists():
        with working_on(root, "validate"):  # `sample` or `import` may be about to write it
            if not path.exists():
                config = propose_config(root, find_stuff(root / "stuff"))
                found = f"categories: {len(config.things)} of things, {len(config.stuff)} of stuff"
                print(f"{path}: proposed from what was found ({found}); check it")
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


def validate(dataset: Dataset, *, pixels: bool = True) -> Checked:
    """Check every Labelme file and return all findings.

    Without `pixels`, problems in the pixels of photos are reported only if an earlier check found
    them.
    """
    return check(dataset, pixels="decode" if pixels else "known")


def fix(dataset: Dataset, checked: Checked) -> list[Fixed]:
    """Make the safe repairs of what `validate` found; the originals are kept as `*.json.orig`.

    Returns what was repaired, and what was not and why.
    """
    from annotation.fixing.fix import fix_dataset
    from conversion.painting.owners import paint_owners

    with working_on(dataset.root, "fix"):
        return list(fix_dataset(dataset, checked, paint=paint_owners))


def convert(dataset: Dataset, *, scheduler: str | None = None, verify: bool = False) -> BuildResult:
    """Build `panoptic/`, a COCO panoptic set divided into splits; only what has changed is rebuilt.

    `scheduler` is the address of a Dask scheduler whose workers paint the photos. `verify` reads
    every byte again instead of trusting sizes and times. Raises InputError if no annotation can be
    used; the result lists those that were left out.
    """
    from conversion.building.build import convert as build

    return build(dataset, scheduler=scheduler, verify=verify)


def ground_truth(dataset: Dataset, split: str = "test") -> Iterator[PanopticPhoto]:
    """Yield the photos of a split with their true segments; the set must be converted.

    Raises InputError if it is not, or if a file of it cannot be read.
    """
    from conversion.coco.panoptic import split_json
    from conversion.coco.panoptic_file import read_panoptic
    from labelme_panoptic_detr.photos import read_panoptic_photo

    truth = read_panoptic(split_json(dataset.panoptic, split))
    for photo in truth.photos:
        yield read_panoptic_photo(truth, photo, dataset.images)


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


def print_missing_decisions(dataset: Dataset) -> None:
    """Print a warning for each decision in `curation.yaml` about a photo that does not exist."""
    from annotation.decisions import FILE_NAME, missing_photos, read_decisions

    for name in missing_photos(dataset, read_decisions(dataset)):
        where = dataset.root / FILE_NAME
        print(f"warning: {where}: expected a photo below images/, found '{name}'; delete its lines")


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
