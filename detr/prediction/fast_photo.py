"""The segments and instances that `FastDETR` predicts for one photo."""

from __future__ import annotations

from dataclasses import dataclass, field

from conversion.coco.png import SegmentIds
from conversion.coco.results import Result
from detr.model.fast.output import FastOutput
from detr.prediction.fast_segments import (
    FastCandidate,
    candidates_above,
    find_candidates,
    lower_repeated,
    merge_candidates,
    to_instance,
)
from detr.prediction.photo_masks import PhotoMasks
from detr.prediction.postprocess import Region
from detr.prediction.predictor import Predictor
from detr.prediction.results import MAX_INSTANCES, DecodedPhoto, to_result
from detr.weights.thresholds import SegmentThresholds


@dataclass(frozen=True)
class FastPhoto:
    """The candidates that `FastDETR` found in one photo.

    `input_size` is the size (height, width) of the model's input.
    """

    photo: DecodedPhoto
    input_size: tuple[int, int]
    candidates: list[FastCandidate]
    _prepared: dict[tuple[int, int], PhotoMasks] = field(
        default_factory=dict, repr=False, compare=False
    )

    def above(self, thresholds: SegmentThresholds) -> tuple[int, ...]:
        """Return the indices of the candidates that may become segments."""
        return candidates_above(self.candidates, thresholds)

    def segments(
        self, thresholds: SegmentThresholds, *, size: tuple[int, int]
    ) -> tuple[SegmentIds, list[Region]]:
        """Return the segment ids of `size` (height, width) and their regions."""
        return merge_candidates(self.candidates, thresholds, self._masks(size))

    def instances(self, min_score: float) -> list[Result]:
        """Return the instances of things above a score, the highest first."""
        things = [c for c in self.candidates if c.category.isthing and c.score > min_score]
        masks = self._masks(self.photo.size)
        found = [to_instance(candidate, masks) for candidate in things]
        return [
            to_result(self.photo, one.category, one.score, mask=one.mask, xywh=one.xywh)
            for one in lower_repeated(found)
            if one.score > min_score
        ]

    def _masks(self, size: tuple[int, int]) -> PhotoMasks:
        """Return masks of a size, which are prepared once for all thresholds and instances."""
        if size not in self._prepared:
            masks = PhotoMasks(self.photo.pixels, input_size=self.input_size, size=size)
            self._prepared[size] = masks
        return self._prepared[size]


def find_in_fast_photo(
    predictor: Predictor, photo: DecodedPhoto, output: FastOutput, index: int
) -> FastPhoto:
    """Return the candidates of photo `index` of a batch."""
    candidates = find_candidates(output, index, predictor.classes, most=MAX_INSTANCES)
    return FastPhoto(photo, output.sizes[index], candidates)
