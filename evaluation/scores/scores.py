"""All scores of a prediction compared with the ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from evaluation.scores.counts import SegmentCounts, count_segments
from evaluation.scores.matching import PhotoMatch, match_sets
from evaluation.scores.pixels import PixelCounts, count_pixels
from evaluation.scores.precision import AveragePrecision, average_precision
from evaluation.scores.quality import PanopticQuality, groups, quality_of, row_names
from evaluation.scores.samples import ScoreSamples, sample_scores


@dataclass(frozen=True)
class Scores:
    """Panoptic quality, AP if the prediction has scores, and the matches they are based on.

    `categories` are those of the ground truth; `counts` (N, C, 3) are by photo, category and size.
    """

    quality: PanopticQuality
    box_ap: AveragePrecision | None
    mask_ap: AveragePrecision | None
    matches: tuple[PhotoMatch, ...]
    categories: tuple[Category, ...]
    counts: SegmentCounts

    @cached_property
    def pixels(self) -> PixelCounts:
        """The pixels of each category, and how often they are confused."""
        return count_pixels(self.matches, self.categories)

    @cached_property
    def samples(self) -> ScoreSamples:
        """All scores in the sets of photos of the bootstrap."""
        photo_ids = [match.truth.id for match in self.matches]
        aps = {"box_ap": self.box_ap, "mask_ap": self.mask_ap}
        return sample_scores(self.counts, self.pixels, self.categories, photo_ids, **aps)

    @cached_property
    def whole(self) -> SegmentCounts:
        """The counts (C,) of all photos and sizes."""
        return self.counts.of_size(None).total()

    @cached_property
    def headlines(self) -> dict[str, float]:
        """The scores that matter most, with the names of `ScoreSamples.headlines`.

        NaN, if nothing that they are computed from occurs.
        """
        means = {name: self.whole.means(some) for name, some in groups(self.categories).items()}
        named = {
            "PQ": float(means["all"].pq),
            "PQ things": float(means["things"].pq),
            "PQ stuff": float(means["stuff"].pq),
            "mIoU": self.mean_iou,
        }
        for name, ap in (("box", self.box_ap), ("mask", self.mask_ap)):
            if ap is not None:
                named |= {f"{name} AP": ap.ap, f"{name} AR": ap.ar}
        return named

    @property
    def mean_iou(self) -> float:
        """The mean IoU of the pixels of the categories; NaN without pixels."""
        return float(self.pixels.mean_iou(np.ones((1, len(self.matches))))[0])

    @cached_property
    def few_photos(self) -> tuple[str, ...]:
        """The categories in so few photos that their scores vary widely."""
        rare = self.counts.of_size(None).rare()
        names = row_names(self.categories)
        return tuple(name for name, is_rare in zip(names, rare, strict=True) if is_rare)


def evaluate_files(truth_json: Path, prediction_json: Path, *, official: bool = False) -> Scores:
    """Evaluate a predicted panoptic JSON against the true one; see `evaluate_sets`.

    Raises InputError if a file is not a COCO panoptic set.
    """
    truth = read_panoptic(truth_json, needs_images=False)
    return evaluate_sets(truth, read_panoptic(prediction_json, truth), official=official)


def evaluate_sets(truth: PanopticSet, prediction: PanopticSet, *, official: bool = False) -> Scores:
    """Evaluate a prediction; photos are joined by file name. `official` is that of `match_photo`.

    Raises InputError if a photo has no prediction or if the sets disagree about a category.
    """
    matches = tuple(match_sets(truth, prediction, official=official))
    ap = average_precision(truth, prediction)
    counts = count_segments(matches, truth.categories)
    quality = quality_of(counts.of_size(None).total(), truth.categories)
    return Scores(quality, ap.box, ap.mask, matches, truth.categories, counts)


def percent(value: float | None) -> str:
    """Format a share: 0.5 as `50.0`, None (unknown) as a dash."""
    return "-" if value is None else f"{100 * value:.1f}"
