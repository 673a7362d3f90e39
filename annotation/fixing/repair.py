"""Safe repairs of an annotation file: its encoding, its keys, the size and path of its photo."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotation.dataset import Dataset
from annotation.fixing.mending import LeftError
from annotation.labelme.annotation import Annotation
from annotation.labelme.decoding import CODE_PAGES, MARKS, known_words
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.files import open_embedded
from annotation.rules.files import stored_size
from annotation.rules.validate import Record
from base.errors import InputError
from base.naming import fold

# findings that leave open which picture the shapes were drawn on
PHOTO_DOUBTS = frozenset({"photo-rotation", "photo-embedded", "photo-unreadable", "photo-missing"})
FRAME_DOUBTS = PHOTO_DOUBTS | {"photo-size", "annotation-orphan"}


@dataclass(frozen=True)
class Case:
    """One file to repair: the `rules` that complain of it, and what the set knows.

    `claims` counts the annotations of each photo, `names` the photos of each folded name; `known`
    are the words that tell encodings apart.
    """

    dataset: Dataset
    index: PhotoIndex
    record: Record
    rules: frozenset[str]
    claims: Mapping[Path | None, int]
    names: Mapping[str, int]
    known: frozenset[str]


def check_certain(case: Case, annotation: Annotation, data: bytes) -> None:
    """LeftError where writing the file anew would fix a guess in it, or drop a value."""
    if case.record.path.is_symlink():
        raise LeftError("is a link; run --fix where the file lies")
    if not _encoding_is_certain(case, annotation, data):
        raise LeftError(f"its encoding is not certain, {annotation.encoding} is a guess")
    if annotation.repeated_keys and not _values_agree(data.decode(annotation.encoding)):
        raise LeftError("its repeated keys have different values; open it and decide")


def _encoding_is_certain(case: Case, annotation: Annotation, data: bytes) -> bool:
    """Whether it is marked, or known words stand in it as no other text could have them."""
    encoding = annotation.encoding
    if encoding == "utf-8" or encoding in MARKS.values():
        return True
    parts = re.split(r"[/\\]", annotation.image_path)
    if not known_words([*parts, *(shape.label for shape in annotation.shapes)]) & case.known:
        return False
    text = data.decode(encoding)
    others = [unicodedata.normalize("NFC", other).casefold() for other in _readings(data) - {text}]
    return not any(word in other for word in case.known for other in others)


def _readings(data: bytes) -> set[str]:
    """The texts that the bytes are in the known code pages."""
    texts = set()
    for page in CODE_PAGES:
        with suppress(UnicodeDecodeError):
            texts.add(data.decode(page))
    return texts


def _values_agree(text: str) -> bool:
    """Whether each key that stands twice in one object has the same value each time."""
    agree = True

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal agree
        result = dict(pairs)
        agree &= all(repr(value) == repr(result[key]) for key, value in pairs)
        return result

    json.loads(text, object_pairs_hook=look)
    return agree


def repair_encoding(case: Case, annotation: Annotation) -> tuple[Annotation, str]:
    """Nothing: the file is certain, and written as UTF-8."""
    return annotation, f"{annotation.encoding} is now UTF-8"


def repair_keys(case: Case, annotation: Annotation) -> tuple[Annotation, str]:
    """Nothing: the values are the same, and each key is written once."""
    return annotation, "repeated keys with the same value are there once"


def repair_path(case: Case, annotation: Annotation) -> tuple[Annotation, str]:
    """Let imagePath lead to the photo that was found by its name, where there is no other.

    Another size, another annotation of that photo or a second photo of that name make it doubtful;
    so does the annotation's own name, unless imagePath differs from it by the suffix only.
    """
    found = case.index.find(case.record.path, annotation.image_path)
    if found.photo is None:
        raise LeftError("its photo is not in the set")
    if case.rules & FRAME_DOUBTS or stored_size(annotation) not in (None, case.record.size):
        raise LeftError(f"{found.photo.name} is not like the photo that was drawn on")
    if case.claims[found.photo] > 1:
        raise LeftError(f"another file annotates {found.photo.name}, too")
    _check_name(case, annotation, found.photo, found.how)
    stored = os.path.relpath(found.photo, case.record.path.parent).replace(os.sep, "/")
    again = case.index.find(case.record.path, stored)
    if again.photo != found.photo or again.how != "path":
        raise LeftError(f"no imagePath leads to {found.photo.name}; rename it")
    return replace(annotation, image_path=stored), f"imagePath is now '{stored}'"


def _check_name(case: Case, annotation: Annotation, photo: Path, how: str) -> None:
    name = re.split(r"[/\\]", annotation.image_path)[-1]
    if how == "stem":
        own = fold(case.record.path.stem)
        if fold(name.rpartition(".")[0]) != own or stored_size(annotation) is None:
            raise LeftError("imagePath names another photo, or none; correct it in Labelme")
    elif case.names[fold(photo.name)] > 1:
        raise LeftError(f"several photos are called {photo.name}")


def repair_size(case: Case, annotation: Annotation) -> tuple[Annotation, str]:
    """Let the stored size be the photo's, where it cannot be that of another picture drawn on.

    Every point has to lie in the photo. Then it is safe where the file holds a copy of the photo's
    size, on which Labelme showed the shapes; where no picture has the stored size; and where points
    lie outside it. Swapped sides or a common factor may be of a photo turned or scaled later, and
    any other size of another photo.
    """
    stored, size = stored_size(annotation), case.record.size
    if stored is None or size is None or case.rules & PHOTO_DOUBTS or "photo-path" in case.rules:
        raise LeftError("first settle which photo it is")
    if not _points_within(annotation, size, case):
        raise LeftError("shapes reach out of the photo; it may be another one")
    (h, w), (height, width) = stored, size
    if min(stored) > 0 and not _embeds(annotation, size):
        if (w, h) == size:
            raise LeftError("width and height are swapped; the photo may have been turned")
        if abs(width - w * height / h) <= 1 or abs(height - h * width / w) <= 1:
            raise LeftError("the photo may have been scaled since it was drawn on")
        if _points_within(annotation, stored, case):
            raise LeftError("it may be another photo than was drawn on; look at it in Labelme")
    what = f"size is now the photo's, {width}x{height}"
    return replace(annotation, height=height, width=width), what


def _points_within(annotation: Annotation, size: tuple[int, int], case: Case) -> bool:
    points = np.array([p for s in annotation.shapes for p in s.points], np.float64).reshape(-1, 2)
    margin, (height, width) = case.dataset.config.limits.margin, size
    inside = (points >= -margin) & (points <= np.array([width, height]) + margin)
    return bool(inside.all())


def _embeds(annotation: Annotation, size: tuple[int, int]) -> bool:
    """Whether the file holds a picture of that size."""
    if annotation.image_data is None:
        return False
    try:
        with open_embedded(annotation.image_data) as picture:
            return picture.size == size[::-1]
    except InputError:
        return False
