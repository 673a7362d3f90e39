"""Loss curves of a training run, drawn from its `log.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from matplotlib.figure import Figure

from base.errors import InputError
from base.files import read_regular, replacing


@dataclass(frozen=True)
class Epoch:
    """What the curves need from a line of `log.jsonl`: losses by name, None if not finite.

    A run measures either the test photos or, as `tune`, photos held out of the training split.
    """

    stage: str
    epoch: int
    train: dict[str, float | None]
    tune: dict[str, float | None] = field(default_factory=dict)
    test: dict[str, float | None] = field(default_factory=dict)


def read_log(path: Path) -> list[Epoch]:
    """Read `log.jsonl`, which has one finished epoch per line.

    Raises InputError if the file cannot be read; the message names a line that is not an epoch.
    """
    try:
        lines = read_regular(path).splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    log = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                log.append(msgspec.json.decode(line, type=Epoch))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number}: expected an epoch of a training log: {error}"
            ) from None
    return log


def draw_curves(log: Sequence[Epoch], folder: Path) -> list[Path]:
    """Draw one picture per stage: the total loss and its terms by epoch, for each measured split.

    Returns the paths of the PNGs in `folder`; a stage without losses has none.
    """
    paths = []
    for stage in dict.fromkeys(line.stage for line in log):
        lines = [line for line in log if line.stage == stage]
        names = _shown(lines)
        if names:
            paths.append(folder / f"loss_{stage}.png")
            _draw_stage(lines, names, f"{stage} stage", paths[-1])
    return paths


def _shown(lines: Sequence[Epoch]) -> list[str]:
    """Names of the losses to show: not of auxiliary heads, which end in a number or "_dense"."""
    known = dict.fromkeys(name for line in lines for name in line.train)
    shown = [name for name in known if name.startswith("loss") and not name[-1].isdigit()]
    return [name for name in shown if not name.endswith("_dense")]


def _draw_stage(lines: Sequence[Epoch], names: Sequence[str], title: str, path: Path) -> None:
    figure = Figure(figsize=(3.2 * len(names), 3))  # not pyplot's, which may need a display
    grid = figure.subplots(1, len(names), squeeze=False)
    epochs = [line.epoch for line in lines]
    measured = [s for s in ("train", "tune", "test") if any(getattr(line, s) for line in lines)]
    for axes, name in zip(grid[0], names, strict=True):
        for split in measured:
            values = [getattr(line, split).get(name) for line in lines]
            style = "-" if split == "train" else "--"
            axes.plot(epochs, values, style, marker="." if len(lines) < 4 else "", label=split)
        axes.set_title("total loss" if name == "loss" else name, fontsize=10)
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    grid[0][0].legend()
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
