"""What an import says about annotations that it has read in one of several possible ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rotated", "angle", "bbox", "hole", "by-name", "no-entry"]

_TEXTS: dict[Kind, str] = {
    "rotated": "boxes rotated by the angle beside their bbox",
    "angle": "boxes with an angle that is not applied, because its unit and centre are not known",
    "bbox": "outlines and masks that contradict their own bbox, which is not used",
    "hole": "annotations whose area treats inner outlines as holes; they are filled, as"
    " pycocotools does",
    "by-name": "photos that are not at the path in the file and were found by their names",
    "no-entry": "photos without an entry in the panoptic file, imported without annotations",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One annotation or photo at the place `where`, and what is remarkable about it."""

    kind: Kind
    where: str


def describe(remarks: Iterable[Remark]) -> Iterator[str]:
    """Yield one line for each kind of remark, with the number of places and the first of them."""
    places: dict[Kind, list[str]] = {}
    for one in remarks:
        places.setdefault(one.kind, []).append(one.where)
    for kind, text in _TEXTS.items():
        if found := places.get(kind):
            example = found[0] if len(found) == 1 else f"{len(found):,}, such as {found[0]}"
            yield f"{text}: {example}"
