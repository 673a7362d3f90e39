"""Loss curves of a training run, drawn from its `log.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import msgspec

from annotation.files import InputError, replacing

matplotlib.use("Agg")  # no window, on machines without a screen either
from matplotlib import pyplot as plt


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read `log.jsonl`: one finished epoch a line, each with its stage, epoch, train and test."""
    try:
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines() if line]
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: cannot be read as a training log: {error}") from None


def draw_curves(log: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Draw one picture a stage: the total loss and its parts, train and test, by epoch."""
    stages = list(dict.fromkeys(line["stage"] for line in log))
    paths = []
    for stage in stages:
        path = folder / f"loss_{stage}.png"
        _draw_stage([line for line in log if line["stage"] == stage], f"{stage} stage", path)
        paths.append(path)
    return paths


def _draw_stage(lines: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    # losses of the auxiliary heads end in a number; the last layer's stand for them
    names = [n for n in lines[0]["train"] if n.startswith("loss") and not n[-1].isdigit()]
    figure, grid = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3), squeeze=False)
    epochs = [line["epoch"] for line in lines]
    for axes, name in zip(grid[0], names, strict=True):
        for split, style in (("train", "-"), ("test", "--")):
            values = [line[split].get(name) for line in lines]
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
    plt.close(figure)
