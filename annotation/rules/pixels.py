"""Rules that decode photos: that they are whole, and the picture that was drawn on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.findings import Complaint
from annotation.labelme.annotation import read_annotation
from annotation.photos.files import open_embedded, open_photo, read_orientation
from annotation.photos.likeness import perceptual_hash
from annotation.rules.files import EMBEDDED_FIX, unreadable
from base.errors import InputError
from base.workers import alone

Grey = NDArray[np.uint8]  # (h, w), the photo reduced to THUMB pixels or a little more

THUMB = 256  # pixels of the shorter side; photos are compared at that size
# Bytes a pixel that decoding was seen to take at most: WebP; CMYK in a progressive JPEG
WEBP_BYTES, OTHER_BYTES = 16, 12
MOST_MEMORY = 768 << 20  # a photo that needs more is not decoded: 67 megapixels
MUCH_MEMORY = 288 << 20  # such photos are decoded one at a time: 25 megapixels
# Measured on 60 photos of facades in 64 x 64 blocks: the correlation is 0.998 or more after a JPEG
# of quality 30, noise or a brighter picture, 0.96 to 0.76 after a shift by 8 of 512 pixels, 0.68 or
# less after a mirroring and 0.56 or less with another photo from the same spot.
LEAST_CORRELATION = 0.95
MOST_BRIGHTER = 40  # of 255: what no program does on saving


_T = Image.Transpose
TURNS = {  # EXIF orientation: what turns the stored picture upright
    **{2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE},
    **{6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90},
}


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to look at, with its annotation; `embeds` where that has a copy of the photo.

    `hashed` where another photo has as many bytes.
    """

    photo: Path
    annotation: Path | None
    embeds: bool
    hashed: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be seen in one photo: its 64-bit perceptual hash, the SHA-256 of its bytes."""

    complaints: tuple[Complaint, ...] = ()
    likeness: int | None = None
    digest: bytes | None = None


def make_tasks(photos: Sequence[Path], annotated: Mapping[Path, tuple[Path, bool]]) -> list[Task]:
    """One task a photo; `annotated` ones have an annotation, and whether that embeds a picture."""
    sizes = [_file_size(photo) for photo in photos]
    often = Counter(sizes)
    tasks = []
    for photo, size in zip(photos, sizes, strict=True):
        annotation, embeds = annotated.get(photo, (None, False))
        tasks.append(Task(photo, annotation, embeds, size > 0 and often[size] > 1))
    return tasks


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def look(task: Task) -> Look:
    """Decode one photo, small; never raises for what is wrong with it."""
    try:
        with open_photo(task.photo) as image:
            if _memory(image) > MOST_MEMORY:
                return Look(digest=_digest(task))
            thumb = thumbnail(image, upright=True)
    except InputError as error:
        # a photo with an annotation has had this complaint already
        return Look(() if task.annotation else (unreadable(task.photo, error),))
    except Exception as error:  # broken files make Pillow raise nearly anything
        message = f"{task.photo.name}: its pixels can be decoded only in part: {error}"
        fix = "replace it by a whole copy"
        return Look((Complaint("photo-truncated", None, message, fix),), digest=_digest(task))
    said = tuple(_embedded_complaints(task, thumb)) if task.embeds else ()
    return Look(said, None if thumb is None else perceptual_hash(thumb), _digest(task))


def _digest(task: Task) -> bytes | None:
    if not task.hashed:
        return None
    try:
        with task.photo.open("rb") as file:
            return file_digest(file, "sha256").digest()
    except OSError:
        return None


def _memory(image: Image.Image) -> int:
    """Bytes that decoding takes at most."""
    return image.width * image.height * (WEBP_BYTES if image.format == "WEBP" else OTHER_BYTES)


def thumbnail(image: Image.Image, *, upright: bool) -> Grey | None:
    """The opened picture in grey, reduced; None where its numbers are no 8-bit colours.

    Raises what Pillow raises where the pixels cannot be decoded.
    """
    # Pillow itself turns a TIFF
    turn = read_orientation(image) if upright and image.format != "TIFF" else 1
    with alone() if _memory(image) > MUCH_MEMORY else nullcontext():
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            image.draft("L", (THUMB, THUMB))  # decodes in a third of the time
        image.load()
        if image.mode.startswith(("I", "F")):
            return None
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        grey = image.reduce(max(1, min(image.size) // THUMB)).convert("L")
    return np.asarray(grey.transpose(TURNS[turn]) if turn in TURNS else grey, np.uint8)


def _embedded_complaints(task: Task, thumb: Grey | None) -> Iterator[Complaint]:
    """That imageData, which Labelme shows, has the pixels of the photo."""
    if task.annotation is None:
        return
    try:
        image_data = read_annotation(task.annotation).image_data or ""
        with open_embedded(image_data) as image:
            if _memory(image) > MOST_MEMORY:
                return
            embedded = thumbnail(image, upright=False)
    except InputError:
        return  # the file has its complaint already
    except Exception as error:
        message = f"imageData can be decoded only in part: {error}"
        yield Complaint("photo-embedded", None, message, EMBEDDED_FIX)
        return
    if thumb is None or embedded is None:
        return
    if show_other(thumb, embedded):
        message = f"imageData, on which the shapes were drawn, shows other than {task.photo.name}"
        yield Complaint("photo-embedded", None, message, EMBEDDED_FIX)


def show_other(first: Grey, second: Grey) -> bool:
    """Whether two pictures of one size differ by more than compression and brightness."""
    a, b = (_blocks(picture) for picture in (first, second))
    brighter = abs(float(a.mean() - b.mean()))
    a, b = a - a.mean(), b - b.mean()
    # one grey level of noise is added to both, so that plain pictures are alike
    correlation = ((a * b).mean() + 1) / (np.sqrt((a * a).mean() * (b * b).mean()) + 1)
    return bool(correlation < LEAST_CORRELATION or brighter > MOST_BRIGHTER)


def _blocks(picture: Grey) -> NDArray[np.float32]:
    blocks = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(blocks, np.float32)
