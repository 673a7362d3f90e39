"""The speed of a training run: photos per second, and the share of the GPU's peak that it used.

Photos per second are those of the run's log, with reading photos. The FLOPs of a step are counted
as in `train --dry-run`, on a few steps after the run; torch counts matrix products, convolutions
and attention. They are divided by the seconds of a step in the log and by the peak that the
manufacturer states for dense bfloat16 products without sparsity.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import msgspec

from base.memory import keep_freed_memory
from base.parsing import write_json
from detr.config import read_run
from detr.data.splits import hold_out, read_splits
from detr.planning.cost import measure_steps
from detr.planning.machine import this_machine
from detr.training.processes import join_processes
from detr.training.train import stages_of

# FLOP/s by a part of the card's name, the most specific first
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


@dataclass(frozen=True)
class Speed:
    """The speed of a run; `peak_flops` and `share_of_peak` are None for unknown cards and CPUs."""

    device: str
    precision: str
    epochs: int
    steps: int
    photos_per_second: float
    seconds_per_step: float
    seconds_by_part: dict[str, float]  # of a step: data, forward, matching, backward
    flops_per_step: int
    flops_per_second: float
    peak_flops: float | None
    share_of_peak: float | None


@dataclass(frozen=True)
class Timing:
    """What the log of a run with one stage, trained by one process, says about its time."""

    photos: int  # of an epoch
    epochs: int
    steps: int
    seconds_by_part: dict[str, float]  # of a step
    losses: tuple[float, ...]  # of each epoch

    @property
    def seconds_per_step(self) -> float:
        """Seconds of a step, with reading photos."""
        return sum(self.seconds_by_part.values())


def read_timing(run: Path) -> Timing:
    """Read the log of a run. Raises InputError if it was never started."""
    config = read_run(run)
    train = config.train
    splits = hold_out(read_splits(Path(config.dataset) / "panoptic"), train)
    lines = [msgspec.json.decode(line) for line in (run / "log.jsonl").read_bytes().splitlines()]
    photos = len(splits.train.photos)
    steps = len(lines) * ceil(photos / (train.batch_size * train.accumulate))
    parts = {
        name: sum(line["time"].get(name, 0.0) for line in lines) / steps
        for name in lines[0]["time"]
    }
    losses = tuple(round(line["train"]["loss"], 3) for line in lines)
    return Timing(photos, len(lines), steps, parts, losses)


def measure_speed(run: Path) -> Speed:
    """Measure a run of one stage. Raises InputError if it was never started."""
    config, timing = read_run(run), read_timing(run)
    train, seconds = config.train, timing.seconds_per_step
    splits = hold_out(read_splits(Path(config.dataset) / "panoptic"), train)
    with join_processes() as processes:
        machine = this_machine(processes)
        stages = stages_of("both", train)
        (cost,) = measure_steps(splits, train, stages[:1], processes, count_flops=True)
    assert cost.flops is not None
    peak = find_peak(machine.gpu) if machine.gpu and train.precision == "bfloat16" else None
    return Speed(
        device=str(machine),
        precision=train.precision,
        epochs=timing.epochs,
        steps=timing.steps,
        photos_per_second=timing.photos * timing.epochs / (timing.steps * seconds),
        seconds_per_step=seconds,
        seconds_by_part=timing.seconds_by_part,
        flops_per_step=cost.flops,
        flops_per_second=cost.flops / seconds,
        peak_flops=peak,
        share_of_peak=cost.flops / seconds / peak if peak else None,
    )


def find_peak(card: str) -> float | None:
    """Return the peak in FLOP/s of a card by its name; None if it is not in the table."""
    return next((peak for name, peak in PEAKS.items() if name in card), None)


def main() -> None:
    """Measure the speed of a run, print it, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a training run")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    keep_freed_memory()
    speed = measure_speed(options.run)
    for name, value in msgspec.to_builtins(speed).items():
        print(f"{name}: {value}")
    if options.json:
        write_json(options.json, msgspec.to_builtins(speed), indent=2)


if __name__ == "__main__":
    main()
