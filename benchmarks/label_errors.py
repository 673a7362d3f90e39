"""How well wrong labels are found: errors of known kinds are planted, and the ranking is scored.

The errors are swapped labels, removed shapes, moved shapes and shapes drawn too wide, each kind
equally often. A suspect is right if its box overlaps with the place of a planted error with an IoU
above 0.5; each error counts once.

By default, all photos of the set are examined as `label-errors` does it, with a training for each
fold. With --run, the errors are planted only in the test photos of an existing run, which has not
seen them; this takes a minute per seed. The lists of all seeds are then ranked together, so that
five seeds with 20 errors in 120 photos are as difficult as 100 errors in 600 photos.

The rankings for comparison are those of `benchmarks/rankings.py`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from base.files import digest
from base.parsing import write_json
from benchmarks.planting import PLANTS, XYWH, PlantedError, plant_errors
from benchmarks.rankings import RANKINGS, Ranked
from benchmarks.repeating import begin
from conversion.building.build import convert
from conversion.coco.panoptic import find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from conversion.config import open_valid_dataset
from evaluation.label_errors.ranking import rank_suspects
from evaluation.scores.rescoring import MatchedPhotos, match_predicted

PIPELINE = Path(__file__).parents[1] / "pipeline.py"
SAME_PLACE = 0.5  # IoU of boxes
SHARES = (25, 50, 100)  # per 100 planted errors: positions at which precision is measured


@dataclass(frozen=True)
class Trial:
    """The errors planted with one seed, and the rankings by name."""

    seed: int
    planted: list[PlantedError]
    rankings: dict[str, list[Ranked]]


def run_trial(dataset: Path, out: Path, seed: int, options: argparse.Namespace) -> Trial:
    """Plant errors in a copy of the set, and rank the labels."""
    copy = out / f"seed-{seed}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(dataset, copy, symlinks=True)
    opened = open_valid_dataset(copy)
    prediction = options.run and options.run / "predictions" / "panoptic.json"
    photos = {p.file_name for p in read_panoptic(prediction).photos} if prediction else None
    planted = plant_errors(opened, options.errors, seed=seed, photos=photos)
    convert(opened)
    if not prediction:
        folds = out / f"seed-{seed}-folds"
        begin_folds(folds, opened.panoptic, options)
        words = ["label-errors", str(copy), "--out", str(folds), "--folds", str(options.folds)]
        words += ["--set", *options.set] if options.set else ["--time", options.time]
        command = [sys.executable, str(PIPELINE), *words]
        subprocess.run(command, check=True)
        prediction = folds / "predictions" / "panoptic.json"
    matched = match_predicted(opened.panoptic, prediction)
    return Trial(seed, planted, _rankings(matched, seed))


def begin_folds(folds: Path, panoptic: Path, options: argparse.Namespace) -> None:
    """Delete folds that were trained on other labels or with other settings, and write these down.

    The others are continued.
    """
    inputs = {
        "set": digest(*find_split_jsons(panoptic).values()),
        "folds": options.folds,
        "settings": options.set or ["--time", options.time],
    }
    begin(folds, folds.with_name(f"{folds.name}.json"), inputs)


def _rankings(matched: MatchedPhotos, seed: int) -> dict[str, list[Ranked]]:
    matches, categories = list(matched.by_name.values()), matched.categories
    things = {c.id: c.name for c in categories if c.isthing}
    found = rank_suspects(matches, categories, labels=things.values(), inputs="")
    return {
        "label-errors": [Ranked(s.score, seed, s.file_name, s.bbox) for s in found.suspects],
        **{name: list(rank(matches, things, seed)) for name, rank in RANKINGS.items()},
    }


def find_planted(ranking: Iterable[Ranked], trials: Sequence[Trial]) -> list[PlantedError | None]:
    """Return the planted error at each place of a ranking, or None."""
    left: dict[tuple[int, str], list[PlantedError]] = defaultdict(list)
    for trial in trials:
        for error in trial.planted:
            left[trial.seed, error.file_name].append(error)
    found = []
    for place in ranking:
        errors = left[place.seed, place.file_name]
        overlap = [max(_iou(place.xywh, box) for box in error.boxes) for error in errors]
        best = max(range(len(errors)), key=overlap.__getitem__, default=None)
        right = best is not None and overlap[best] > SAME_PLACE
        found.append(errors.pop(best) if right and best is not None else None)
    return found


def _iou(a: XYWH, b: XYWH) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def to_table(trials: Sequence[Trial]) -> Table:
    """Format precision at some positions, and recall by kind, of each ranking, in percent."""
    total = Counter(error.plant for trial in trials for error in trial.planted)
    number = total.total()
    columns = [f"P@{round(share * number / 100)}" for share in SHARES]
    title = f"{number} planted errors; recall within the first {number}"
    table = Table("ranking", *columns, "recall", *PLANTS, title=title)
    for name in trials[0].rankings:
        places = sorted((r for t in trials for r in t.rankings[name]), key=lambda r: -r.score)
        found = find_planted(places, trials)
        cells = []
        for share in SHARES:
            first = found[: round(share * number / 100)]
            cells.append(f"{100 * sum(e is not None for e in first) / max(1, len(first)):.0f}")
        kinds = Counter(error.plant for error in found[:number] if error is not None)
        cells.append(f"{100 * kinds.total() / number:.0f}")
        cells += [f"{100 * kinds[plant] / max(1, total[plant]):.0f}" for plant in PLANTS]
        table.add_row(name, *cells)
    return table


def main() -> None:
    """Run the trials of all seeds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, default=Path("datasets/yard"), help="a built set")
    parser.add_argument("--run", type=Path, help="a run whose test photos are examined instead")
    parser.add_argument("--errors", type=int, default=100, help="planted with each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--time", default="10m", help="of each training")
    parser.add_argument("--set", nargs="+", metavar="KEY=VALUE", help="instead of --time")
    parser.add_argument("--out", type=Path, default=Path("runs/label-errors"))
    options = parser.parse_args()
    trials = []
    for seed in options.seeds:
        trials.append(run_trial(options.dataset, options.out, seed, options))
        Console(width=110).print(to_table(trials))
    found = {t.seed: [[e.file_name, e.plant, e.label] for e in t.planted] for t in trials}
    write_json(options.out / "planted.json", found, indent=1)


if __name__ == "__main__":
    main()
