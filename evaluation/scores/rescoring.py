"""The scores of photos before and after their annotations were changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from base.counting import counted
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from evaluation.scores.matching import PhotoMatch, match_sets
from evaluation.scores.quality import panoptic_quality


@dataclass(frozen=True)
class Rescored:
    """Panoptic quality, 0..1, of one prediction with the earlier and with the new ground truth.

    `photos` holds each changed photo that is predicted and was in the set before and after, with
    its quality as if all its segments were of one category. `changed` is the mean over categories
    of these photos, `all` that of all photos that are predicted.
    """

    photos: dict[str, tuple[float, float]]
    changed: tuple[float, float]
    all: tuple[float, float]

    def lines(self) -> list[str]:
        """Return the scores in percent, one line for all photos and one for each changed one."""
        if not self.photos:
            return ["rescored: none of the changed photos has a prediction"]
        photos = counted(len(self.photos), "changed photo")
        lines = [f"rescored: PQ {_step(self.changed)} on {photos}"]
        lines += [f"  {name}: {_step(both)}" for name, both in sorted(self.photos.items())]
        return [*lines, f"PQ {_step(self.all)} on all predicted photos"]


def _step(both: tuple[float, float]) -> str:
    before, after = both
    return f"{100 * before:.1f} -> {100 * after:.1f} ({100 * (after - before):+.1f})"


@dataclass(frozen=True)
class MatchedPhotos:
    """The matches of all predicted photos by file name, with a built set and a prediction."""

    panoptic: Path
    prediction: Path
    categories: tuple[Category, ...]
    by_name: dict[str, PhotoMatch]


def match_predicted(panoptic: Path, prediction: Path) -> MatchedPhotos:
    """Match the photos of all splits in the folder `panoptic/` that `prediction` contains.

    Raises InputError as `match_sets` does.
    """
    predicted = read_panoptic(prediction)
    by_name = _match(panoptic, predicted, {photo.file_name for photo in predicted.photos})
    return MatchedPhotos(panoptic, prediction, predicted.categories, by_name)


def _match(
    panoptic: Path, predicted: PanopticSet, wanted: Collection[str]
) -> dict[str, PhotoMatch]:
    found: dict[str, PhotoMatch] = {}
    for path in find_split_jsons(panoptic).values():
        truth = read_panoptic(path)
        kept = tuple(photo for photo in truth.photos if photo.file_name in wanted)
        matches = match_sets(replace(truth, photos=kept), predicted)
        found |= {match.truth.file_name: match for match in matches}
    return found


def rescore(before: MatchedPhotos, changed: Collection[str]) -> Rescored:
    """Match the `changed` photos again, by file name, and compare the scores with those before.

    Photos that have left the set, or entered it, are not compared.
    """
    predicted = read_panoptic(before.prediction)
    wanted = {photo.file_name for photo in predicted.photos} & set(changed)
    now = _match(before.panoptic, predicted, wanted)
    both = sorted(now.keys() & before.by_name.keys())
    kept = {n: m for n, m in before.by_name.items() if n not in changed or n in now}
    earlier = {name: before.by_name[name] for name in both}
    later = {name: now[name] for name in both}

    def pq(matches: dict[str, PhotoMatch]) -> float:
        return panoptic_quality(list(matches.values()), before.categories).all.pq

    return Rescored(
        {name: (earlier[name].pq, later[name].pq) for name in both},
        changed=(pq(earlier), pq(later)),
        all=(pq(kept), pq(kept | later)),
    )
