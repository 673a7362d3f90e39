"""PQ by the number of annotated photos, if they are chosen as `prelabel` does, or at random.

Each seed begins with the same random training photos for both. In each round, a model of
`variant: fast` is trained on the photos that are annotated so far and scored on the test photos of
the set; then more training photos are chosen and annotated, with the labels that the set has.

Finished trainings are read from --out, so the benchmark can be stopped and continued. Those made
from another set, from other photos or with other settings are deleted and repeated.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal

from rich.console import Console
from rich.table import Table

from annotation.dataset import Dataset
from base.files import digest
from base.parsing import read_json, write_json
from benchmarks.repeating import begin
from conversion.coco.panoptic import PanopticSet, split_json
from conversion.coco.panoptic_file import read_panoptic
from conversion.config import open_valid_dataset
from conversion.folding.folds import copy_photos, write_part
from detr.prediction.informative import order_photos
from detr.prediction.predict import predict
from detr.prediction.sources import PhotoList
from evaluation.scores.scores import evaluate_files

PIPELINE = Path(__file__).parents[1] / "pipeline.py"
Strategy = Literal["informative", "random"]


@dataclass(frozen=True)
class Benchmark:
    """A built set, the numbers of annotated photos, the time of each training, and the results."""

    dataset: Dataset
    train: PanopticSet
    test: PanopticSet
    sizes: tuple[int, ...]
    time: str
    settings: tuple[str, ...]
    out: Path

    def scores(self, strategy: Strategy, seed: int) -> Iterator[float]:
        """Yield the PQ after each number of photos."""
        names = sorted(photo.file_name for photo in self.train.photos)
        shuffled = random.Random(seed).sample(names, len(names))
        chosen = shuffled[: self.sizes[0]]
        for size, following in zip(self.sizes, (*self.sizes[1:], None), strict=True):
            first = size == self.sizes[0]
            part = self.out / (f"seed{seed}" + ("" if first else f"-{strategy}") + f"-{size}")
            yield self._score(part, chosen, seed)
            if following is not None:
                left = [name for name in shuffled if name not in chosen]
                if strategy == "informative":
                    left = self._order(part, chosen, left)
                chosen = [*chosen, *left[: following - size]]

    def _score(self, part: Path, chosen: list[str], seed: int) -> float:
        done = part / "pq.json"
        self._begin(part, chosen, seed)
        if not done.is_file():
            known = set(chosen)
            photos = [photo for photo in self.train.photos if photo.file_name in known]
            write_part(self.dataset, part, self.train, train=photos, test=self.test.photos)
            words = ["train", str(part), "--run", str(part / "run")]
            words += self._time
            settings = [f"seed={seed}", *self.settings]
            command = [sys.executable, str(PIPELINE), *words, "--set", *settings]
            subprocess.run(command, check=True)
            names = tuple(photo.file_name for photo in self.test.photos)
            predict(part / "run", PhotoList(self._photos, names), part / "predictions")
            truth = split_json(part / "panoptic", "test")
            scores = evaluate_files(truth, part / "predictions" / "panoptic.json")
            write_json(done, {"pq": scores.quality.all.pq, "photos": chosen})
        return float(read_json(done)["pq"])

    @property
    def _time(self) -> list[str]:
        return [] if self.settings else ["--time", self.time]

    def _begin(self, part: Path, chosen: list[str], seed: int) -> None:
        """Delete what was made from other inputs than these, and write these down."""
        inputs = {
            "set": digest(self.train.json_path, self.test.json_path),
            "settings": [f"seed={seed}", *self.settings, *self._time],
            "photos": chosen,
        }
        begin(part, part / "inputs.json", inputs)

    def _order(self, part: Path, chosen: list[str], left: list[str]) -> list[str]:
        new, known = (PhotoList(self._photos, tuple(names)) for names in (left, chosen))
        return order_photos(part / "run", new, known, part / "prelabel")

    @property
    def _photos(self) -> Path:
        return self.out / "photos"


def to_table(found: dict[str, list[list[float]]], sizes: tuple[int, ...]) -> Table:
    """Format the PQ of each strategy in percent: the mean, and each seed's."""
    table = Table("annotated photos", *map(str, sizes), title="PQ on the test photos")
    for strategy, seeds in found.items():
        for seed, scores in enumerate(seeds):
            cells = [f"{100 * score:.1f}" for score in scores]
            table.add_row(f"{strategy}, trial {seed + 1}", *cells)
        if seeds:
            means = [f"{100 * mean(column):.1f}" for column in zip(*seeds, strict=True)]
            table.add_row(f"{strategy}, mean", *means)
    return table


def main() -> None:
    """Run both strategies with each seed, and print the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, default=Path("datasets/yard"), help="a built set")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--time", default="6m", help="of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="+", metavar="KEY=VALUE", default=[], help="not --time")
    parser.add_argument("--out", type=Path, default=Path("runs/active"))
    options = parser.parse_args()
    dataset = open_valid_dataset(options.dataset)
    train, test = (read_panoptic(split_json(dataset.panoptic, s)) for s in ("train", "test"))
    for one in (train, test):
        copy_photos(dataset, one, options.out)
    sizes = tuple(options.sizes)
    settings = tuple(options.set)
    benchmark = Benchmark(dataset, train, test, sizes, options.time, settings, options.out)
    found: dict[str, list[list[float]]] = {"informative": [], "random": []}
    strategies: tuple[Strategy, ...] = ("informative", "random")
    for seed in options.seeds:
        for strategy in strategies:
            found[strategy].append(list(benchmark.scores(strategy, seed)))
            Console(width=110).print(to_table(found, sizes))


if __name__ == "__main__":
    main()
