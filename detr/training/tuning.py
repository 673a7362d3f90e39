"""Thresholds of segments, chosen on held-out training photos at the end of a stage with masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Literal

from annotation.photos.files import read_photo
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.png import SegmentIds
from detr.data.view import View, whole_view
from detr.prediction.fast_photo import FastPhoto
from detr.prediction.photo import DetrPhoto
from detr.prediction.photos import find_in_photos
from detr.prediction.predictor import Predictor, checkpoint_predictor
from detr.prediction.results import DecodedPhoto, to_prediction
from detr.prediction.thresholds import Thresholds
from detr.training.run_folder import Run
from detr.training.stage_model import Stage
from detr.weights.checkpoint import load_checkpoint, masks_path, save_checkpoint
from detr.weights.thresholds import SegmentThresholds
from evaluation.scores.matching import PhotoMatch, match_photo
from evaluation.scores.quality import QualitySums

GRID = (*(round(0.05 * i, 2) for i in range(1, 13)), 0.7, 0.8, 0.9)
LEAST_SEGMENTS = 20  # of a kind or category in the held-out photos, to have its own threshold
LEAST_GAIN = 0.01  # of PQ, on the half of the photos on which the threshold was not chosen

Kind = Literal["things", "stuff"]
KINDS: tuple[Kind, ...] = ("things", "stuff")
Halves = tuple[QualitySums, QualitySums]  # of the first and the second half of the photos


@dataclass(frozen=True)
class Choice:
    """A threshold for a kind or a category, with its PQ at the default and at the threshold."""

    name: str
    threshold: float
    default_pq: float
    pq: float

    def __str__(self) -> str:
        changed = f" instead of {100 * self.default_pq:.1f}" * (self.pq != self.default_pq)
        return f"{self.name} {self.threshold:g} (PQ {100 * self.pq:.1f}{changed})"


def store_thresholds(run: Run, stage: Stage) -> None:
    """Choose the thresholds of the checkpoint that predicts, store them in it and print them.

    Nothing happens without masks or held-out photos, or if the checkpoint has thresholds.
    """
    truth = run.splits.tune
    if stage == "boxes" or truth is None or not truth.photos:
        return
    processes = run.processes
    processes.barrier()  # the first process has written the checkpoints and the log
    path = masks_path(run.folder)
    checkpoint = load_checkpoint(path)
    if checkpoint.thresholds:
        return
    predictor = checkpoint_predictor(checkpoint, Thresholds())
    examples = run.examples("tune", stage, epoch=None)
    own = range(processes.rank, len(truth.photos), processes.world)
    decoded = (
        DecodedPhoto(photo.id, photo.file_name, read_photo(examples.photo_path(photo)))
        for photo in track([truth.photos[number] for number in own], "thresholds")
    )
    measured = processes.gather(measure(predictor, truth, own, decoded))
    if not processes.is_first:
        return
    thresholds, choices = choose_thresholds(add_curves(measured))
    save_checkpoint(path, replace(checkpoint, thresholds=thresholds))
    chosen = ", ".join(map(str, choices))
    run.print(f"thresholds of epoch {checkpoint.epoch}, from {len(truth.photos)} photos: {chosen}")


# --- panoptic quality at every threshold ---


@dataclass(frozen=True)
class Curves:
    """The quality of each kind at each threshold, while the other kind has its default."""

    categories: tuple[Category, ...]
    default: SegmentThresholds
    sums: Mapping[Kind, Mapping[float, Halves]]


def measure(
    predictor: Predictor,
    truth: PanopticSet,
    numbers: Sequence[int],
    photos: Iterator[DecodedPhoto],
) -> Curves:
    """Predict photos once, and compare their segments at every threshold with the truth.

    `photos` are those of `truth` with these numbers. Photos larger than the model's input are
    compared at the size of the input.
    """
    default = predictor.thresholds
    settings = _settings(default)
    sums = {kind: {t: (QualitySums(), QualitySums()) for t in settings[kind]} for kind in settings}
    lowest = SegmentThresholds(GRID[0], GRID[0])
    finder = replace(predictor, thresholds=lowest, min_instance_score=1.0)
    for number, candidates in zip(numbers, find_in_photos(finder, photos), strict=True):
        photo, half = truth.photos[number], 2 * number // len(truth.photos)
        view = whole_view(predictor.config, width=photo.width, height=photo.height)
        compared = _Compared(photo, truth.segment_ids(photo), candidates, view)
        for kind, of_kind in settings.items():
            for threshold, thresholds in of_kind.items():
                sums[kind][threshold][half].add(compared.match(thresholds))
    return Curves(truth.categories, default, sums)


def add_curves(parts: Sequence[Curves]) -> Curves:
    """Add the curves of parts of the photos, such as those of several processes."""
    sums = {
        kind: {t: _add_halves([part.sums[kind][t] for part in parts]) for t in of_kind}
        for kind, of_kind in parts[0].sums.items()
    }
    return replace(parts[0], sums=sums)


def _add_halves(parts: Sequence[Halves]) -> Halves:
    first, second = ((each[half] for each in parts) for half in (0, 1))
    return reduce(add, first), reduce(add, second)


def _settings(default: SegmentThresholds) -> dict[Kind, dict[float, SegmentThresholds]]:
    """Return the thresholds to compare, by kind and the threshold of this kind."""
    things, stuff = (sorted({*GRID, value}) for value in (default.things, default.stuff))
    return {
        "things": {t: replace(default, things=t) for t in things},
        "stuff": {t: replace(default, stuff=t) for t in stuff},
    }


class _Compared:
    """The candidates of one photo, compared with the truth at any thresholds."""

    def __init__(
        self, photo: Photo, ids: SegmentIds, candidates: FastPhoto | DetrPhoto, view: View
    ) -> None:
        self._photo, self._candidates = photo, candidates
        smaller = view.out_height * view.out_width < photo.height * photo.width
        self._ids = view.transform_ids(ids) if smaller else ids
        self._matches: dict[tuple[int, ...], PhotoMatch] = {}

    def match(self, thresholds: SegmentThresholds) -> PhotoMatch:
        """Return the matches; those of the same candidates are computed once."""
        key = self._candidates.above(thresholds)
        if key not in self._matches:
            height, width = self._ids.shape
            ids, regions = self._candidates.segments(thresholds, size=(height, width))
            predicted = to_prediction(self._candidates.photo, ids, regions, []).photo
            self._matches[key] = match_photo(self._photo, self._ids, predicted, ids)
        return self._matches[key]


# --- the choice ---


def choose_thresholds(curves: Curves) -> tuple[SegmentThresholds, tuple[Choice, ...]]:
    """Return the thresholds, and a choice for each kind and each category that differs from it.

    A threshold differs from the default, or that of a category from its kind's, only if there are
    LEAST_SEGMENTS true segments and the one chosen on either half of the photos is not worse on the
    other half, and better by LEAST_GAIN on average.
    """
    of_kind: dict[Kind, Choice] = {}
    of_category: dict[int, Choice] = {}
    for kind in KINDS:
        default = curves.default.things if kind == "things" else curves.default.stuff
        own = [c for c in curves.categories if c.isthing == (kind == "things")]
        measured = curves.sums[kind]
        of_kind[kind] = _choose(kind, measured, own, default)
        for category in own:
            choice = _choose(category.name, measured, [category], of_kind[kind].threshold)
            if choice.threshold != of_kind[kind].threshold:
                of_category[category.id] = choice
    by_category = {category_id: choice.threshold for category_id, choice in of_category.items()}
    thresholds = SegmentThresholds(
        of_kind["things"].threshold, of_kind["stuff"].threshold, by_category
    )
    return thresholds, (*of_kind.values(), *of_category.values())


def _choose(
    name: str, measured: Mapping[float, Halves], categories: list[Category], default: float
) -> Choice:
    """Choose the threshold of some categories of one kind."""
    first, second = (
        {t: _pq(halves[i], categories) for t, halves in measured.items()} for i in (0, 1)
    )
    both = {t: _pq(halves[0] + halves[1], categories) for t, halves in measured.items()}

    def best(pq: Mapping[float, float]) -> float:
        return max(pq, key=lambda t: (pq[t], -abs(t - default)))

    gains = [second[best(first)] - second[default], first[best(second)] - first[default]]
    segments = _count(measured[default], categories)
    helps = segments >= LEAST_SEGMENTS and min(gains) >= 0 and sum(gains) / 2 >= LEAST_GAIN
    chosen = best(both) if helps else default
    return Choice(name, chosen, both[default], both[chosen])


def _pq(sums: QualitySums, categories: list[Category]) -> float:
    return sums.quality(categories).all.pq


def _count(halves: Halves, categories: list[Category]) -> int:
    """Return the number of true segments."""
    qualities = (halves[0] + halves[1]).quality(categories).categories.values()
    return sum(quality.tp + quality.fn for quality in qualities)
