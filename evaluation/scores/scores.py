"""All scores of a prediction compared with the ground truth, as JSON and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from evaluation.scores.matching import PhotoMatch, match_sets
from evaluation.scores.precision import AveragePrecision, average_precision
from evaluation.scores.quality import PanopticQuality, panoptic_quality


@dataclass(frozen=True)
class Scores:
    """Panoptic quality, AP if the prediction has scores, and the matches they are based on.

    `categories` are those of the ground truth.
    """

    quality: PanopticQuality
    box_ap: AveragePrecision | None
    mask_ap: AveragePrecision | None
    matches: tuple[PhotoMatch, ...]
    categories: tuple[Category, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values: all, things, stuff, categories, and box_ap and mask_ap if known."""
        values = asdict(self.quality)
        for name, ap in (("box_ap", self.box_ap), ("mask_ap", self.mask_ap)):
            if ap is not None:
                values[name] = asdict(ap)
        return values


def evaluate_files(truth_json: Path, prediction_json: Path, *, official: bool = False) -> Scores:
    """Evaluate a predicted panoptic JSON against the true one; see `evaluate_sets`.

    Raises InputError if a file is not a COCO panoptic set.
    """
    truth = read_panoptic(truth_json)
    return evaluate_sets(truth, read_panoptic(prediction_json, truth), official=official)


def evaluate_sets(truth: PanopticSet, prediction: PanopticSet, *, official: bool = False) -> Scores:
    """Evaluate a prediction; photos are joined by file name. `official` is that of `match_photo`.

    Raises InputError if a photo has no prediction or if the sets disagree about a category.
    """
    matches = tuple(match_sets(truth, prediction, official=official))
    ap = average_precision(truth, prediction)
    quality = panoptic_quality(matches, truth.categories)
    return Scores(quality, ap.box, ap.mask, matches, truth.categories)


def scores_table(scores: Scores) -> Table:
    """Format the scores, in percent, as a table for the terminal."""
    table = Table("", "PQ", "SQ", "RQ", "hits", "false alarms", "missed")
    quality = scores.quality
    for name, mean in (("all", quality.all), ("things", quality.things), ("stuff", quality.stuff)):
        values = (mean.pq, mean.sq, mean.rq) if mean.n else (None, None, None)
        table.add_row(name, *map(percent, values), "", "", "")
    table.add_section()
    for name, q in quality.categories.items():
        table.add_row(name, *map(percent, (q.pq, q.sq, q.rq)), *map(str, (q.tp, q.fp, q.fn)))
    aps = (("box AP", scores.box_ap), ("mask AP", scores.mask_ap))
    table.caption = "  ".join(f"{name} {_ap_text(ap)}" for name, ap in aps)
    return table


def percent(value: float | None) -> str:
    """Format a share: 0.5 as `50.0`, None (unknown) as a dash."""
    return "-" if value is None else f"{100 * value:.1f}"


def _ap_text(ap: AveragePrecision | None) -> str:
    return f"{percent(ap.ap)} (AP50 {percent(ap.ap50)})" if ap else percent(None)
