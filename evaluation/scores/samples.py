"""Every score in the sets of photos of the bootstrap, from which intervals are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conversion.coco.categories import Category
from evaluation.scores.bootstrap import Floats, draw_photos
from evaluation.scores.counts import SIZES, GroupMeans, SegmentCounts
from evaluation.scores.pixels import PixelCounts
from evaluation.scores.precision import AveragePrecision
from evaluation.scores.quality import groups
from evaluation.scores.resampling import Resampled, resample


@dataclass(frozen=True)
class ScoreSamples:
    """The scores in R sets of photos. An undefined score is NaN.

    `groups` are all, things and stuff, and `sizes` all categories by size, with scores of shape
    (R,). `box_ap` and `mask_ap` are None if they are not known.
    """

    groups: dict[str, GroupMeans]
    sizes: dict[str, GroupMeans]
    category_pq: Floats  # (R, C)
    mean_iou: Floats  # (R,)
    box_ap: Resampled | None
    mask_ap: Resampled | None

    def headlines(self) -> dict[str, Floats]:
        """Return the samples (R,) of the scores that matter most, by name."""
        named = {
            "PQ": self.groups["all"].pq,
            "PQ things": self.groups["things"].pq,
            "PQ stuff": self.groups["stuff"].pq,
            "mIoU": self.mean_iou,
        }
        for name, samples in (("box", self.box_ap), ("mask", self.mask_ap)):
            if samples is not None:
                named |= {f"{name} AP": samples.ap, f"{name} AR": samples.ar}
        return named


def sample_scores(
    counts: SegmentCounts,
    pixels: PixelCounts,
    categories: Sequence[Category],
    photo_ids: Sequence[int],
    *,
    box_ap: AveragePrecision | None,
    mask_ap: AveragePrecision | None,
) -> ScoreSamples:
    """Compute all scores in sets of the photos `photo_ids`; `counts` are (N, C, 3)."""
    weights = draw_photos(len(photo_ids))
    sums = counts.weighted(weights)
    everything = sums.of_size(None)
    whole = [True] * len(categories)
    return ScoreSamples(
        groups={name: everything.means(some) for name, some in groups(categories).items()},
        sizes={name: sums.of_size(n).means(whole) for n, name in enumerate(SIZES)},
        category_pq=np.where(everything.present, everything.pq, np.nan),
        mean_iou=pixels.mean_iou(weights),
        box_ap=_resample(box_ap, photo_ids, weights),
        mask_ap=_resample(mask_ap, photo_ids, weights),
    )


def _resample(
    ap: AveragePrecision | None, photo_ids: Sequence[int], weights: Floats
) -> Resampled | None:
    if ap is None:
        return None
    if ap.evaluation is None:  # without results
        return Resampled(np.zeros(len(weights)), np.zeros(len(weights)))
    return resample(ap.evaluation, photo_ids, weights)
