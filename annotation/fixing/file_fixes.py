"""Safe fixes of an annotation file: its encoding, keys, and the path and size of its photo."""

from __future__ import annotations

import base64
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
from annotation.fixing.backups import write_photo
from annotation.fixing.shape_fixes import NotFixedError
from annotation.labelme.annotation import Annotation
from annotation.labelme.decoding import BYTE_ORDER_MARKS, CODE_PAGES, known_words
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.files import SUFFIXES, open_embedded
from annotation.rules.checked import CheckedAnnotation
from annotation.rules.files import stored_size
from base.errors import InputError
from base.naming import fold, readable_stem

# rules whose findings make it uncertain which photo the shapes were drawn on
PHOTO_DOUBTS = frozenset({"photo-rotation", "photo-embedded", "photo-unreadable", "photo-missing"})
PATHS = frozenset({"photo-path", "photo-path-leaves"})
FRAME_DOUBTS = PHOTO_DOUBTS | {"photo-size", "annotation-orphan"}


@dataclass(frozen=True)
class FileToFix:
    """One file, the `rules` that have findings in it, and facts about the whole set.

    `claims` counts the annotations of each photo, `names` counts the photos with each folded name,
    and `known` contains words that help to tell encodings apart.
    """

    dataset: Dataset
    index: PhotoIndex
    checked: CheckedAnnotation
    rules: frozenset[str]
    claims: Mapping[Path | None, int]
    names: Mapping[str, int]
    known: frozenset[str]


def check_certain(file: FileToFix, annotation: Annotation, data: bytes) -> None:
    """Check that writing the file neither makes a guess permanent nor loses a value.

    Raises NotFixedError otherwise.
    """
    if file.checked.path.is_symlink():
        raise NotFixedError("is a link; run --fix on the set that contains the file")
    if not _encoding_is_certain(file, annotation, data):
        raise NotFixedError(f"its encoding is not certain; {annotation.encoding} is a guess")
    if annotation.repeated_keys and not _values_agree(data.decode(annotation.encoding)):
        raise NotFixedError("its repeated keys have different values; correct them in an editor")


def _encoding_is_certain(file: FileToFix, annotation: Annotation, data: bytes) -> bool:
    """Return whether the file is Unicode, or only this encoding gives words known in the set."""
    encoding = annotation.encoding
    if encoding == "utf-8" or encoding in BYTE_ORDER_MARKS.values():
        return True
    parts = re.split(r"[/\\]", annotation.image_path)
    if not known_words([*parts, *(shape.label for shape in annotation.shapes)]) & file.known:
        return False
    text = data.decode(encoding)
    others = [unicodedata.normalize("NFC", other).casefold() for other in _readings(data) - {text}]
    return not any(word in other for word in file.known for other in others)


def _readings(data: bytes) -> set[str]:
    """Decode the bytes in all known code pages that can decode them."""
    texts = set()
    for page in CODE_PAGES:
        with suppress(UnicodeDecodeError):
            texts.add(data.decode(page))
    return texts


def _values_agree(text: str) -> bool:
    """Return whether each key that is repeated in one object has the same value every time."""
    agree = True

    def compare(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal agree
        result = dict(pairs)
        agree &= all(repr(value) == repr(result[key]) for key, value in pairs)
        return result

    json.loads(text, object_pairs_hook=compare)
    return agree


def fix_encoding(file: FileToFix, annotation: Annotation) -> tuple[Annotation, str]:
    """Change nothing: the encoding is certain, and files are written as UTF-8."""
    return annotation, f"{annotation.encoding} is now UTF-8"


def fix_keys(file: FileToFix, annotation: Annotation) -> tuple[Annotation, str]:
    """Change nothing: the repeated values are equal, and each key is written once."""
    return annotation, "keys repeated with the same value are now written once"


def fix_path(file: FileToFix, annotation: Annotation) -> tuple[Annotation, str]:
    """Set imagePath to the photo that was found by its name, if no other photo is possible.

    Raises NotFixedError if the photo has another size, another annotation or a namesake, or if it
    was found by the name of the annotation and imagePath differs in more than the suffix.
    """
    found = file.index.find(file.checked.path, annotation.image_path)
    if found.photo is None:
        raise NotFixedError("its photo is not in the set")
    if file.rules & FRAME_DOUBTS or stored_size(annotation) not in (None, file.checked.size):
        raise NotFixedError(f"{found.photo.name} may not be the photo that was annotated")
    if file.claims[found.photo] > 1:
        raise NotFixedError(f"another file also annotates {found.photo.name}")
    _check_name(file, annotation, found.photo, found.how)
    stored = os.path.relpath(found.photo, file.checked.path.parent).replace(os.sep, "/")
    again = file.index.find(file.checked.path, stored)
    if again.photo != found.photo or again.how != "path":
        raise NotFixedError(f"no imagePath can refer to {found.photo.name}; rename it")
    return replace(annotation, image_path=stored), f"imagePath is now '{stored}'"


def _check_name(file: FileToFix, annotation: Annotation, photo: Path, how: str) -> None:
    name = re.split(r"[/\\]", annotation.image_path)[-1]
    if how == "stem":
        own = fold(file.checked.path.stem)
        if fold(name.rpartition(".")[0]) != own or stored_size(annotation) is None:
            raise NotFixedError("imagePath names another photo, or none; correct it in Labelme")
    elif file.names[fold(photo.name)] > 1:
        raise NotFixedError(f"several photos are named {photo.name}")


def fix_size(file: FileToFix, annotation: Annotation) -> tuple[Annotation, str]:
    """Set the stored size to that of the photo, if the shapes were certainly drawn on this photo.

    All points must be inside the photo. Then the fix is safe if the file embeds a copy with the
    size of the photo, which Labelme shows under the shapes; if the stored size is 0; or if points
    are outside the stored size. Swapped sides or a common factor may mean that the photo was
    rotated or scaled later, and any other size may belong to another photo. Raises NotFixedError in
    these cases.
    """
    stored, size = stored_size(annotation), file.checked.size
    if stored is None or size is None or file.rules & (PHOTO_DOUBTS | PATHS):
        raise NotFixedError("it is not certain which photo this is; see the other findings")
    if not _points_within(annotation, size, file):
        raise NotFixedError("shapes extend outside the photo; it may be the wrong one")
    (h, w), (height, width) = stored, size
    if min(stored) > 0 and not _embeds(annotation, size):
        if (w, h) == size:
            raise NotFixedError("width and height are swapped; the photo may have been rotated")
        if abs(width - w * height / h) <= 1 or abs(height - h * width / w) <= 1:
            raise NotFixedError("the photo may have been scaled after it was annotated")
        if _points_within(annotation, stored, file):
            raise NotFixedError("this may not be the photo that was annotated; check it in Labelme")
    what = f"size is now that of the photo, {width}x{height}"
    return replace(annotation, height=height, width=width), what


def fix_missing_photo(file: FileToFix, annotation: Annotation) -> tuple[Annotation, str]:
    """Write the copy of a missing photo that the file contains into the folder of the photos.

    Raises NotFixedError if there is no copy, if it cannot be read, or if the name is taken.
    """
    found = file.index.find(file.checked.path, annotation.image_path)
    if found.photo is not None or found.candidates or annotation.image_data is None:
        raise NotFixedError("several photos may be meant; correct imagePath")
    try:
        with open_embedded(annotation.image_data) as image:
            suffix = SUFFIXES[str(image.format)][0]
            image.load()
    except InputError as error:
        raise NotFixedError(f"imageData {error}") from None
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        raise NotFixedError(f"imageData cannot be decoded: {error}") from None
    named = re.split(r"[/\\]", annotation.image_path)[-1]
    stems = dict.fromkeys((readable_stem(named), file.checked.path.stem))
    places = [file.dataset.images / f"{stem}{suffix}" for stem in stems]
    path = next((place for place in places if not place.exists()), None)
    if path is None:
        raise NotFixedError(f"there is another photo named {places[0].name}")
    write_photo(file.checked.path, path, base64.b64decode(annotation.image_data))
    stored = os.path.relpath(path, file.checked.path.parent).replace(os.sep, "/")
    what = f"the copy of the photo is now {file.dataset.relative(path)}"
    return replace(annotation, image_path=stored), what


def _points_within(annotation: Annotation, size: tuple[int, int], file: FileToFix) -> bool:
    points = np.array([p for s in annotation.shapes for p in s.points], np.float64).reshape(-1, 2)
    margin, (height, width) = file.dataset.config.limits.margin, size
    inside = (points >= -margin) & (points <= np.array([width, height]) + margin)
    return bool(inside.all())


def _embeds(annotation: Annotation, size: tuple[int, int]) -> bool:
    """Return whether the file embeds a copy of that size."""
    if annotation.image_data is None:
        return False
    try:
        with open_embedded(annotation.image_data) as image:
            return image.size == size[::-1]
    except InputError:
        return False
