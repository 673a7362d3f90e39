"""What `relabel` adds to the annotations of photos: marks, and predicted segments as proposals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from base.progress import track
from conversion.coco.panoptic_file import read_panoptic
from conversion.proposing.marking import Place, Shapes, marks, proposals
from evaluation.scores.matching import PhotoMatch
from evaluation.scores.rescoring import MatchedPhotos


def marked(places: Mapping[str, Sequence[Place]]) -> dict[str, Shapes]:
    """Return the marks of each photo by file name."""
    return {name: marks(found) for name, found in places.items()}


def marked_with_predictions(
    places: Mapping[str, Sequence[Place]], matched: MatchedPhotos, *, labels: Collection[str]
) -> dict[str, Shapes]:
    """Return the marks of each photo, and the predicted segments that differ from its annotation.

    These are the predicted segments at the places, and those that match no true segment; of photos
    that are not in the built set, all. Only categories that are `labels` are proposed. Raises
    InputError if a prediction cannot be read.
    """
    prediction = read_panoptic(matched.prediction)
    photos = {photo.file_name: photo for photo in prediction.photos}
    added = marked(places)
    for name in track(list(places), "outline predicted segments"):
        if name in photos:
            named = {p.prediction_id for p in places[name] if p.prediction_id is not None}
            wanted = named | _not_matched(matched.by_name.get(name))
            if name not in matched.by_name:
                wanted |= {segment.id for segment in photos[name].segments}
            drawn = proposals(prediction, photos[name], only=wanted, labels=labels)
            added[name] = (*added[name], *drawn)
    return added


def _not_matched(match: PhotoMatch | None) -> set[int]:
    return set() if match is None else {segment.id for segment in match.fp}
