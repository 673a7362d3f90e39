"""What `variant: fast` learns in a given time, compared with models that a user would take instead.

`fast` is trained by `pipeline.py train --time`, with the data set's own settings. The peers are
RT-DETR v2 (boxes) and Mask2Former (panoptic) of `transformers`, with their own losses and
post-processing. They start from the same EfficientNet-Lite0 weights, of which the layers above
stride 8 are trained at a tenth of the rate, and read the same training photos in the same random
views, with the batch size, the precision and the weight average of our run. AdamW trains them, with
their published weight decay, clipping and shape of the learning rate. Their time starts with the
first step; ours also includes starting, scoring and the choice of thresholds. `NAME-published` has
the published widths and numbers of layers and queries.

A peer's learning rate is the best of three for the first seed, by its score (PQ, or box AP without
masks) on photos held out of training; its threshold of segments is chosen on them too. The test
photos are only used for the table.

RF-DETR is left out: it needs the pretrained weights of its DINOv2 backbone, which no package
contains, and it cannot use another backbone.

Finished trainings are read from --out, so the benchmark can be stopped and continued.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from shutil import rmtree

import msgspec
from rich.console import Console
from rich.table import Table

from base.memory import keep_freed_memory
from base.parsing import read_json, write_json
from benchmarks.learning_peers import PEERS, RATES
from benchmarks.learning_scores import Evaluator, Numbers, to_numbers
from benchmarks.learning_training import train_peer
from benchmarks.speed import read_timing
from detr.config import TrainConfig, read_run
from detr.data.splits import hold_out, read_splits
from evaluation.scores.scores import evaluate_files, percent

OURS = "fast"
WIDTH = 110  # of the table, also in a log
PIPELINE = Path(__file__).parents[1] / "pipeline.py"


@dataclass(frozen=True)
class Trial:
    """One training: what was trained for how long, and its scores on both kinds of photos."""

    name: str
    seed: int
    steps: int
    seconds_per_step: float
    test: Numbers
    tune: Numbers | None = None  # on photos held out of training; of peers only
    rate: float | None = None
    threshold: float | None = None
    losses: tuple[float, ...] = ()  # means of tenths of the training


@dataclass(frozen=True)
class Benchmark:
    """The data set, the time of each training in seconds, and the folder for results."""

    dataset: Path
    seconds: float
    out: Path

    @property
    def panoptic(self) -> Path:
        """The built data set."""
        return self.dataset / "panoptic"

    def ours(self, seed: int) -> Trial:
        """Train, predict and evaluate with the command line, or read the finished trial."""
        run = self.out / f"{OURS}-seed{seed}"
        return self._finished(run) or self._save(run, self._train_ours(run, seed))

    def _train_ours(self, run: Path, seed: int) -> Trial:
        time = ["--time", f"{self.seconds:g}s", "--set", f"seed={seed}"]
        predictions = run / "predictions"
        for words in (
            ["train", str(self.dataset), "--run", str(run), *time],
            ["predict", str(run), str(self.panoptic / "test"), "--out", str(predictions)],
        ):
            subprocess.run([sys.executable, str(PIPELINE), *words], check=True)
        truth = self.panoptic / "annotations" / "panoptic_test.json"
        scores = evaluate_files(truth, predictions / "panoptic.json")
        timing, numbers = read_timing(run), to_numbers(scores)
        seconds = timing.seconds_per_step
        return Trial(OURS, seed, timing.steps, seconds, numbers, losses=timing.losses)

    def config(self, seed: int) -> TrainConfig:
        """Return the settings of our run with this seed."""
        return read_run(self.out / f"{OURS}-seed{seed}").train

    def peer(self, name: str, seed: int, rate: float) -> Trial:
        """Train a peer and score it, or read the finished trial."""
        folder = self.out / f"{name}-seed{seed}-rate{rate:g}"
        return self._finished(folder) or self._save(
            folder, self._train_peer(name, seed, rate, folder / "predictions")
        )

    def _train_peer(self, name: str, seed: int, rate: float, folder: Path) -> Trial:
        config, peer = self.config(seed), PEERS[name]
        splits = hold_out(read_splits(self.panoptic), config)
        assert splits.tune, "our run holds photos out"
        trained = train_peer(peer, splits, config, rate=rate, seconds=self.seconds)
        evaluator = Evaluator(peer, trained.model, splits.classes, config, folder)
        held_out = evaluator.predict(splits.tune, splits.images("tune"))
        threshold = evaluator.choose_threshold(splits.tune, held_out)
        tune = evaluator.score(splits.tune, held_out, threshold=threshold)
        rmtree(folder, ignore_errors=True)  # the held-out photos have the same names of PNGs
        outputs = evaluator.predict(splits.test, splits.images("test"))
        test = evaluator.score(splits.test, outputs, threshold=threshold)
        return Trial(
            name,
            seed,
            trained.steps,
            trained.seconds / trained.steps,
            test,
            tune,
            rate,
            threshold if peer.has_masks else None,
            trained.losses,
        )

    def _finished(self, folder: Path) -> Trial | None:
        path = folder / "trial.json"
        return msgspec.convert(read_json(path), Trial) if path.is_file() else None

    def _save(self, folder: Path, trial: Trial) -> Trial:
        write_json(folder / "trial.json", msgspec.to_builtins(trial), indent=2)
        return trial


def trials(
    benchmark: Benchmark, names: Sequence[str], seeds: Sequence[int], rates: Sequence[float]
) -> Iterator[Trial]:
    """Yield the trials of the table; a peer's rate is chosen with the first seed."""
    chosen: dict[str, float] = {}
    for seed in seeds:
        yield benchmark.ours(seed)
        for name in names:
            tried = [chosen[name]] if name in chosen else rates
            found = [benchmark.peer(name, seed, rate) for rate in tried]
            best = max(found, key=lambda trial: trial.tune.main if trial.tune else 0.0)
            assert best.rate is not None
            chosen[name] = best.rate
            yield best


def to_table(found: Sequence[Trial], seconds: float) -> Table:
    """Format trials, with scores in percent."""
    title = f"{seconds / 60:g} minutes of training, scores on the test photos"
    columns = ("seed", "rate", "steps", "s/step", "box AP", "AP50", "mask AP", "PQ", "things")
    table = Table("", *columns, "stuff", title=title)
    for trial in found:
        rate = "-" if trial.rate is None else f"{trial.rate:g}"
        cells = (str(trial.seed), rate, str(trial.steps), f"{trial.seconds_per_step:.2f}")
        scores = (getattr(trial.test, each.name) for each in fields(trial.test))
        table.add_row(trial.name, *cells, *map(percent, scores))
    return table


def main() -> None:
    """Train everything that is not finished, and print the table after each training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, default=Path("datasets/yard"), help="a built set")
    parser.add_argument("--minutes", type=float, default=13, help="time of each training")
    parser.add_argument(
        "--peers", nargs="*", default=["rtdetr_v2", "mask2former"], choices=list(PEERS)
    )
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="of the peers")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/learning"), help="folder of results")
    options = parser.parse_args()
    keep_freed_memory()
    out = options.out / f"{options.dataset.name}-{options.minutes:g}m"
    benchmark = Benchmark(options.dataset, 60 * options.minutes, out)
    found: list[Trial] = []
    for trial in trials(benchmark, options.peers, options.seeds, options.rates):
        found.append(trial)
        Console(width=WIDTH).print(to_table(found, benchmark.seconds))


if __name__ == "__main__":
    main()
