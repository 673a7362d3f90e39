"""All scores of a prediction against the truth, and how they are printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from conversion.panoptic import PanopticSet, read_panoptic
from evaluation.matching import PhotoMatch, match_sets
from evaluation.precision import AveragePrecision, average_precision
from evaluation.quality import PanopticQuality, panoptic_quality


@dataclass(frozen=True)
class Scores:
    """Panoptic quality, AP where the prediction has scores, and the matches behind them."""

    quality: PanopticQuality
    box_ap: AveragePrecision | None
    mask_ap: AveragePrecision | None
    matches: tuple[PhotoMatch, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values: all, things, stuff, categories, and box_ap and mask_ap where known."""
        values = asdict(self.quality)
        for name, ap in (("box_ap", self.box_ap), ("mask_ap", self.mask_ap)):
            if ap is not None:
                values[name] = asdict(ap)
        return values


def evaluate_files(truth_json: Path, prediction_json: Path) -> Scores:
    """Evaluate one panoptic JSON against another; see `evaluate_sets`."""
    return evaluate_sets(read_panoptic(truth_json), read_panoptic(prediction_json))


def evaluate_sets(truth: PanopticSet, prediction: PanopticSet) -> Scores:
    """Evaluate a prediction; photos are joined by file name.

    Raises InputError where a photo has no prediction or where categories disagree.
    """
    matches = tuple(match_sets(truth, prediction))
    box_ap, mask_ap = average_precision(truth, prediction) or (None, None)
    return Scores(panoptic_quality(matches, truth.categories), box_ap, mask_ap, matches)


def scores_table(scores: Scores) -> Table:
    """The scores in per cent, as a table for the terminal."""
    table = Table("", "PQ", "SQ", "RQ", "hit", "false", "missed")
    quality = scores.quality
    for name, mean in (("all", quality.all), ("things", quality.things), ("stuff", quality.stuff)):
        table.add_row(name, *(f"{100 * v:.1f}" for v in (mean.pq, mean.sq, mean.rq)), "", "", "")
    table.add_section()
    for name, q in quality.categories.items():
        percents = (f"{100 * v:.1f}" for v in (q.pq, q.sq, q.rq))
        table.add_row(name, *percents, str(q.tp), str(q.fp), str(q.fn))
    for name, ap in (("box AP", scores.box_ap), ("mask AP", scores.mask_ap)):
        if ap is not None:
            table.caption = (
                f"{table.caption or ''}{name} {100 * ap.ap:.1f} (AP50 {100 * ap.ap50:.1f})  "
            )
    return table
