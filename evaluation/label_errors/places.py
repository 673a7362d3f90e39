"""The places in photos at which a person should look: errors of a run, or suspicious labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from base.errors import InputError
from base.parsing import parse, read_json
from conversion.proposing.marking import Place
from evaluation.errors.redraw import RedrawList, WrongPhoto, WrongSegment, list_redraw
from evaluation.label_errors.suspects import Suspect, SuspectList
from evaluation.scores.rescoring import MatchedPhotos

Places = dict[str, list[Place]]  # by file name


def read_places(
    path: Path, *, labels: Collection[str], matched: MatchedPhotos | None = None
) -> Places:
    """Read the places from `redraw.json` or `suspects.json`, in the order of the list.

    Only places of categories that are `labels` are kept, because a person can draw no others;
    photos may thus have none. If a photo of `redraw.json` is in `matched`, its places are those of
    its errors now: it may have been corrected since the list was written. Raises InputError if the
    file is neither of the two lists.
    """
    values = read_json(path)
    if isinstance(values, dict) and "suspects" in values:
        found: Places = {}
        for suspect in parse(SuspectList, values, where=str(path)).suspects:
            found.setdefault(suspect.file_name, []).append(_of_suspect(suspect))
        return found
    if isinstance(values, dict) and "photos" in values:
        photos = parse(RedrawList, values, where=str(path)).photos
        listed = {photo.file_name: list(_of_photo(photo, labels)) for photo in photos}
        return listed | find_places(listed, matched, labels=labels) if matched else listed
    raise InputError(f"{path}: expected redraw.json or suspects.json, found another file")


def find_places(names: Iterable[str], matched: MatchedPhotos, *, labels: Collection[str]) -> Places:
    """Return the places of the errors of those photos that are matched, worst photo first.

    Photos without such errors have no places and are the last.
    """
    wanted = [matched.by_name[name] for name in names if name in matched.by_name]
    wrong = list_redraw(wanted, matched.categories, inputs="").photos
    found = {photo.file_name: list(_of_photo(photo, labels)) for photo in wrong}
    return found | {m.truth.file_name: [] for m in wanted if m.truth.file_name not in found}


def _of_suspect(suspect: Suspect) -> Place:
    text = f"{suspect.text} ({suspect.score:.2f})"
    return Place(suspect.bbox, text, suspect.prediction_id)


def _of_photo(photo: WrongPhoto, labels: Collection[str]) -> Iterator[Place]:
    """Yield one place for each wrong segment; a missed one and its false alarm are one place.

    A predicted segment that is a hit elsewhere is not the one that is there.
    """
    missed = {(s.truth_id, s.prediction_id) for s in photo.segments if s.outcome == "fn"}
    wrong = {s.prediction_id for s in photo.segments if s.outcome == "fp"}
    for segment in photo.segments:
        paired = (segment.truth_id, segment.prediction_id) in missed
        if segment.category in labels and not (segment.outcome == "fp" and paired):
            prediction_id = segment.prediction_id if segment.prediction_id in wrong else None
            yield Place(segment.bbox, _text(segment), prediction_id)


def _text(segment: WrongSegment) -> str:
    what = "missed" if segment.outcome == "fn" else "false alarm"
    if segment.other_category in (None, segment.category):
        return f"{what}: {segment.category}"
    return f"{what}: {segment.category} or {segment.other_category}"
