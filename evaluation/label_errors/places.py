"""The places in photos at which a person should look, from `redraw.json` or `suspects.json`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from base.errors import InputError
from base.parsing import parse, read_json
from conversion.proposing.marking import Place
from evaluation.errors.redraw import RedrawList, WrongPhoto, WrongSegment
from evaluation.label_errors.suspects import Suspect, SuspectList


def read_places(path: Path, *, labels: Collection[str]) -> dict[str, list[Place]]:
    """Read the places by file name, in the order of the list.

    Only places of categories that are `labels` are kept, because a person can draw no others;
    photos may thus have none. Raises InputError if the file is neither of the two lists.
    """
    values = read_json(path)
    if isinstance(values, dict) and "suspects" in values:
        found: dict[str, list[Place]] = {}
        for suspect in parse(SuspectList, values, where=str(path)).suspects:
            found.setdefault(suspect.file_name, []).append(_of_suspect(suspect))
        return found
    if isinstance(values, dict) and "photos" in values:
        photos = parse(RedrawList, values, where=str(path)).photos
        return {photo.file_name: list(_of_photo(photo, labels)) for photo in photos}
    raise InputError(f"{path}: expected redraw.json or suspects.json, found another file")


def _of_suspect(suspect: Suspect) -> Place:
    text = f"{suspect.kind}: {suspect.category}"
    if suspect.other_category is not None:
        text += f" or {suspect.other_category}"
    return Place(suspect.bbox, f"{text} ({suspect.score:.2f})", suspect.prediction_id)


def _of_photo(photo: WrongPhoto, labels: Collection[str]) -> Iterator[Place]:
    """Yield one place for each wrong segment; a missed one and its false alarm are one place."""
    missed = {(s.truth_id, s.prediction_id) for s in photo.segments if s.outcome == "fn"}
    for segment in photo.segments:
        paired = (segment.truth_id, segment.prediction_id) in missed
        if segment.category in labels and not (segment.outcome == "fp" and paired):
            yield Place(segment.bbox, _text(segment), segment.prediction_id)


def _text(segment: WrongSegment) -> str:
    what = "missed" if segment.outcome == "fn" else "false alarm"
    if segment.other_category in (None, segment.category):
        return f"{what}: {segment.category}"
    return f"{what}: {segment.category} or {segment.other_category}"
