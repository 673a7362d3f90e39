"""Loss and score curves of a training run as a matplotlib figure, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from base.errors import InputError
from evaluation.report.log import Epoch

ROW, DPI = (9.0, 2.5), 100  # width and height of a stage in inches, pixels per inch
NOTEBOOK_DPI = 72  # for small notebooks
PARTS = {
    "boxes": ("loss_ce", "loss_bbox", "loss_giou"),
    "masks": ("loss_mask", "loss_dice"),
    "joint": ("loss_ce", "loss_giou", "loss_dice"),
}  # the losses of the last decoder layer that the second plot of a stage shows
SCORES = {"pq": "PQ", "box_ap": "box AP", "mask_ap": "mask AP"}


class LogFigure(Figure):
    """A figure that notebooks show although it does not belong to pyplot."""

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png", dpi=NOTEBOOK_DPI)
        return png.getvalue()


def plot_log(log: Sequence[Epoch]) -> LogFigure:
    """Draw one row of plots per stage: the total loss, its main parts, and the scores by epoch.

    Solid lines are the training photos, dashed ones the photos that were held out or, if there are
    none, the test photos. Stages with fewer than two scored epochs have no plot of scores. Raises
    InputError if the log is empty.
    """
    stages = list(dict.fromkeys(line.stage for line in log))
    if not stages:
        raise InputError("plot_log: expected at least one epoch, found none")
    width, height = ROW
    figure = LogFigure(figsize=(width, height * len(stages)), dpi=DPI, layout="tight")
    grid = figure.subplots(len(stages), 3, squeeze=False)
    for stage, axes in zip(stages, grid, strict=True):
        lines = [line for line in log if line.stage == stage]
        _plot_losses(axes[0], lines, ("loss",))
        axes[0].set_title(f"{stage}: total loss", fontsize="medium")
        _plot_losses(axes[1], lines, PARTS.get(stage, ("loss",)))
        axes[1].set_title(f"{stage}: main losses", fontsize="medium")
        _plot_scores(axes[2], lines)
    return figure


def _photos(lines: Sequence[Epoch]) -> str:
    """Name the photos that are not trained on."""
    return "held-out" if any(line.tune for line in lines) else "test"


def _plot_losses(axes: Axes, lines: Sequence[Epoch], names: Sequence[str]) -> None:
    epochs = [line.epoch for line in lines]
    other = _photos(lines)
    for number, name in enumerate(names):
        for split, style in (("training", "-"), (other, "--")):
            values = [_of_split(line, split).get(name) for line in lines]
            label = split if name == "loss" else name if split == "training" else None
            colour = f"C{number}" if len(names) > 1 or split == "training" else "C1"
            known = [float("nan") if value is None else value for value in values]
            axes.plot(epochs, known, style, color=colour, label=label, marker=_marker(lines))
    _finish(axes)


def _of_split(line: Epoch, split: str) -> dict[str, float | None]:
    return line.train if split == "training" else line.tune or line.test


def _plot_scores(axes: Axes, lines: Sequence[Epoch]) -> None:
    scored = [line for line in lines if line.scores]
    if len(scored) < 2:
        axes.remove()
        return
    for name, label in SCORES.items():
        known = [(line.epoch, line.scores.get(name)) for line in scored]
        points = [(epoch, 100 * value) for epoch, value in known if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker=_marker(scored))
    axes.set_title(f"{lines[0].stage}: scores of {_photos(lines)} photos, %", fontsize="medium")
    _finish(axes)


def _marker(lines: Sequence[Epoch]) -> str:
    """Mark the points if they are few."""
    return "." if len(lines) < 20 else ""


def _finish(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
