"""Loss and score curves of a training run, from its `log.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.report.log import Epoch

WIDTH, HEIGHT = 240, 120  # of a plot, in units of its SVG
SPLITS = ("train", "tune", "test")


@dataclass(frozen=True)
class Curve:
    """Values of one split by epoch; `path` is the data of an SVG path, and `last` has the latest
    value."""

    split: str
    path: str
    last: str


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, at a position in units of the SVG."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """A loss or score by epoch."""

    name: str
    curves: tuple[Curve, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True)
class Stage:
    """The curves of one training stage."""

    name: str
    epochs: int
    losses: tuple[Plot, ...]
    scores: tuple[Plot, ...]


def plot_stages(log: Sequence[Epoch]) -> tuple[Stage, ...]:
    """Return the curves of each stage; losses that are never finite have none."""
    stages = []
    for stage in dict.fromkeys(line.stage for line in log):
        lines = [line for line in log if line.stage == stage]
        losses = [_plot(lines, name, _losses(name)) for name in _shown(lines)]
        names = dict.fromkeys(name for line in lines for name in line.scores)
        scores = [_plot(lines, name, _scores(name), percent=True) for name in names]
        drawn = (tuple(p for p in plots if p.curves) for plots in (losses, scores))
        stages.append(Stage(stage, len(lines), *drawn))
    return tuple(stages)


def _shown(lines: Sequence[Epoch]) -> list[str]:
    """Names of the losses to show: not of auxiliary heads, which end in a number or "_dense"."""
    known = dict.fromkeys(name for line in lines for name in line.train)
    shown = [name for name in known if name.startswith("loss") and not name[-1].isdigit()]
    return [name for name in shown if not name.endswith("_dense")]


Values = Callable[[Epoch], dict[str, float | None]]  # of one epoch by split


def _losses(name: str) -> Values:
    return lambda line: {split: getattr(line, split).get(name) for split in SPLITS}


def _scores(name: str) -> Values:
    return lambda line: {"tune" if line.tune else "test": line.scores.get(name)}


def _plot(lines: Sequence[Epoch], name: str, values: Values, *, percent: bool = False) -> Plot:
    found = {split: [(line.epoch, values(line).get(split)) for line in lines] for split in SPLITS}
    known = [v for points in found.values() for _, v in points if v is not None]
    bottom, top, step = _score_axis(known) if percent else _loss_axis(known)
    first, last = lines[0].epoch, lines[-1].epoch

    def height(value: float) -> float:
        return HEIGHT * (top - value) / (top - bottom)

    def place(epoch: int, value: float) -> str:
        x = WIDTH * (epoch - first) / max(1, last - first)
        return f"{x:.1f} {height(value):.1f}"

    curves = []
    for split, points in found.items():
        kept = [(epoch, value) for epoch, value in points if value is not None]
        if kept:
            places = [place(epoch, value) for epoch, value in kept]
            # a stage of one epoch is a dot: a line without length, with round ends
            path = f"M{'L'.join(places if len(places) > 1 else 2 * places)}"
            curves.append(Curve(split, path, _number(kept[-1][1], percent=percent)))
    return Plot(
        "total loss" if name == "loss" else name,
        tuple(curves),
        (Tick(0, str(first)), Tick(WIDTH, str(last)))[: 1 + (last > first)],
        tuple(
            Tick(height(value), _number(value, percent=percent, axis=True))
            for value in np.arange(bottom, top + step / 2, step).tolist()
        ),
    )


def _loss_axis(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the ends of an axis from 0, and the distance of its two to five round numbers."""
    highest = max((value for value in values if value > 0), default=1.0)
    magnitude = 10 ** np.floor(np.log10(highest))
    step = next(m * magnitude for m in (0.25, 0.5, 1, 2.5) if highest <= 4 * m * magnitude)
    return 0.0, float(step * np.ceil(highest / step)), float(step)


def _score_axis(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the ends of an axis from one multiple of ten percent to another, and its step."""
    low = np.floor(10 * min(values, default=0.0) - 0.1) / 10
    high = np.ceil(10 * max(values, default=1.0) + 0.1) / 10
    low, high = max(0.0, float(low)), min(1.0, float(high))
    return low, high, (high - low) / 2


def _number(value: float, *, percent: bool, axis: bool = False) -> str:
    if percent:
        return f"{100 * value:.0f}" if axis else f"{100 * value:.1f}"
    return f"{value:.4g}" if axis else f"{value:.3g}"
