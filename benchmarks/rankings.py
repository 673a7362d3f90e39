"""Rankings of suspicious labels with which `label-errors` is compared, from the same predictions.

The naive ones are the labels that the model is least confident about (whose best prediction has the
lowest score), and the wrong segments of the photos with the lowest panoptic quality. ObjectLab
(Tkachenko, Thyagarajan and Mueller, 2023) is that of cleanlab, mistakenness that of FiftyOne; both
compare boxes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.planting import XYWH
from conversion.coco.panoptic import Photo, Segment
from evaluation.scores.matching import PhotoMatch

Things = Mapping[int, str]  # names of the categories that are things, by id
Ranking = Callable[[Sequence[PhotoMatch], Things, int], Iterable["Ranked"]]
SURE = 0.5  # score from which ObjectLab trusts a prediction; see `objectlab`


@dataclass(frozen=True)
class Ranked:
    """A place in a ranking, the most suspicious first."""

    score: float
    seed: int
    file_name: str
    xywh: XYWH


def least_confident(matches: Sequence[PhotoMatch], things: Things, seed: int) -> Iterator[Ranked]:
    """Yield the labels; the lower the score of the prediction that is a hit, the worse."""
    for match in matches:
        confidence = {pair.truth.id: pair.prediction.score or 0.0 for pair in match.tp}
        for label in match.truth.segments:
            if label.category_id in things:
                score = 1 - confidence.get(label.id, 0.0)
                yield Ranked(score, seed, match.truth.file_name, label.bbox)


def worst_photos(matches: Sequence[PhotoMatch], things: Things, seed: int) -> Iterator[Ranked]:
    """Yield the wrong segments of the photos with the lowest quality, as redraw.json has them."""
    for match in matches:
        for segment in (*match.fn, *match.fp):
            if segment.category_id in things:
                yield Ranked(1 - match.pq, seed, match.truth.file_name, segment.bbox)


def objectlab(
    matches: Sequence[PhotoMatch], things: Things, seed: int, *, sure: float | None = None
) -> Iterator[Ranked]:
    """Yield labels, by the lower of two scores, for swapped and badly placed, and predictions.

    A prediction is ranked by the score for overlooked things. cleanlab gives all three the same
    weight. By default, it trusts predictions with a score of at least 0.95 only; `sure` replaces
    that.
    """
    from cleanlab.object_detection import rank

    numbers = {category: number for number, category in enumerate(things)}
    truths = [_things(match.truth, things) for match in matches]
    predictions = [_things(match.prediction, things) for match in matches]
    labels = [{"bboxes": _xyxy(one), "labels": _numbers(one, numbers)} for one in truths]
    # cleanlab expects the predictions of each category; so their order is that of categories
    predictions = [sorted(one, key=lambda s: numbers[s.category_id]) for one in predictions]
    by_category = [_by_category(one, numbers) for one in predictions]
    given = {"labels": labels, "predictions": by_category}
    overlooked = rank.compute_overlooked_box_scores(**given, high_probability_threshold=sure)
    swapped = rank.compute_swap_box_scores(**given, high_probability_threshold=sure)
    placed = rank.compute_badloc_box_scores(**given)
    for number, match in enumerate(matches):
        file_name = match.truth.file_name
        scores = np.minimum(swapped[number], placed[number])
        for label, score in zip(truths[number], scores.tolist(), strict=True):
            yield Ranked(1 - score, seed, file_name, label.bbox)
        for segment, score in zip(predictions[number], overlooked[number].tolist(), strict=True):
            if not np.isnan(score):  # not sure, or on a label
                yield Ranked(1 - score, seed, file_name, segment.bbox)


def objectlab_trusting(
    matches: Sequence[PhotoMatch], things: Things, seed: int
) -> Iterator[Ranked]:
    """Yield the ranking of ObjectLab that trusts predictions with a score of at least SURE."""
    return objectlab(matches, things, seed, sure=SURE)


def _things(photo: Photo, things: Things) -> list[Segment]:
    return [one for one in photo.segments if one.category_id in things and not one.iscrowd]


def _numbers(segments: Sequence[Segment], numbers: Mapping[int, int]) -> NDArray[np.int64]:
    return np.array([numbers[one.category_id] for one in segments], np.int64)


def _xyxy(segments: Sequence[Segment]) -> NDArray[np.float64]:
    """(N, 4) corners of boxes in pixels."""
    boxes = np.array([one.bbox for one in segments], np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _by_category(segments: Sequence[Segment], numbers: Mapping[int, int]) -> NDArray[np.object_]:
    """One (N, 5) array for each category: corners and score."""
    found = np.empty(len(numbers), object)
    for category, number in numbers.items():
        own = [one for one in segments if one.category_id == category]
        scores = np.array([one.score or 0.0 for one in own])
        found[number] = np.concatenate([_xyxy(own), scores.reshape(-1, 1)], axis=1)
    return found


def mistakenness(matches: Sequence[PhotoMatch], things: Things, seed: int) -> Iterator[Ranked]:
    """Yield labels, by the higher of FiftyOne's two scores for category and place, and predictions.

    A prediction without a label that FiftyOne calls missing, because its score is above 0.95, is
    ranked like a label of the wrong category with that score. A label without a prediction has no
    score, and 0.5 here, as one whose prediction has a score of 0.
    """
    import fiftyone as fo
    import fiftyone.brain as fob

    from curation.app.database import connect

    connect()
    logging.getLogger("fiftyone").setLevel(logging.WARNING)
    samples = fo.Dataset()  # deleted below, and by FiftyOne at its next start after a kill
    try:
        samples.add_samples(
            [
                fo.Sample(
                    match.truth.file_name,
                    truth=_detections(match.truth, things),
                    prediction=_detections(match.prediction, things),
                )
                for match in matches
            ],
            progress=False,
        )
        fob.compute_mistakenness(samples, "prediction", label_field="truth", progress=False)
        names = [match.truth.file_name for match in matches]
        for file_name, truth, prediction in zip(
            names, samples.values("truth"), samples.values("prediction"), strict=True
        ):
            for label in truth.detections:
                values = label.to_dict()  # labels without a prediction have neither score
                score = max(values.get(kind, 0.5) for kind in ("mistakenness", "mistakenness_loc"))
                yield Ranked(score, seed, file_name, label["xywh"])
            for label in prediction.detections:
                if label.to_dict().get("possible_missing"):
                    yield Ranked((label.confidence + 1) / 2, seed, file_name, label["xywh"])
    finally:
        samples.delete()


def _detections(photo: Photo, things: Things) -> object:
    import fiftyone as fo

    size = np.array([photo.width, photo.height] * 2)
    return fo.Detections(
        detections=[
            fo.Detection(
                label=things[one.category_id],
                bounding_box=(np.array(one.bbox) / size).tolist(),
                confidence=one.score,
                xywh=list(one.bbox),
            )
            for one in _things(photo, things)
        ]
    )


RANKINGS: dict[str, Ranking] = {
    "least confident": least_confident,
    "worst photos": worst_photos,
    "mistakenness": mistakenness,
    "ObjectLab": objectlab,
    f"ObjectLab, {SURE}": objectlab_trusting,
}
