"""The quality of photos: blurred, dark, overexposed, nearly empty, or of an unusual shape.

FiftyOne is not imported here, because each process that measures photos would have to load it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.dataset import Dataset
from annotation.photos.files import open_photo
from annotation.rules.pixels import thumbnail
from base.errors import InputError
from base.progress import track
from base.workers import batched, in_processes
from conversion.building.photo_values import values_of_photos

FORMAT = "1"  # increase it if the same photos give other values
SIDE = 256  # pixels of the longer side at which sharpness is measured
# Measured on 100 photos each of yard and of facades: the least sharp ones have 0.43 and 0.35. After
# a Gaussian blur by 3 of 640 pixels, the medians are 0.28 and 0.26.
LEAST_SHARPNESS = 0.33
BLURRED = "blurry"
Kinds = Mapping[str, Mapping[str, float]]  # of problems, with the options of cleanvision
PIXEL_KINDS: Kinds = {"dark": {}, "light": {}, "low_information": {}}
# By the size and mode of a photo. Without a threshold, cleanvision reports all photos whose size is
# not that of most; with it, only those with less than half, or more than 1.5 times its side.
SHAPE_KINDS: Kinds = {"odd_aspect_ratio": {}, "odd_size": {"threshold": 0.5}, "grayscale": {}}
MOST_COMMON = 0.5  # of the photos: what more of them have is how this set looks


class _Measured(msgspec.Struct, frozen=True):
    """What a photo shows by itself; `sharpness` is 0 to 1, None without any edges."""

    width: int
    height: int
    grey: bool
    sharpness: float | None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quality:
    """The kinds of problems of a photo, and its sharpness, 0 to 1."""

    kinds: tuple[str, ...]
    sharpness: float | None


def rate_photos(dataset: Dataset, names: Sequence[str]) -> dict[str, Quality]:
    """Return the quality of photos, by their paths below `images/`.

    cleanvision finds dark, overexposed and nearly empty photos, unusual sizes and grey photos. Its
    measure of blur is not used, because it misses most blurred photos. Photos with the same
    contents as before are not read again. Raises InputError if a photo cannot be read.
    """
    stored = values_of_photos(dataset, names, _measure_all, file=f"quality-{FORMAT}.sqlite")
    measured = [msgspec.json.decode(one, type=_Measured) for one in stored]
    shapes = _find_kinds(_Blanks(measured), SHAPE_KINDS)
    kinds = [(*one.kinds, *shape) for one, shape in zip(measured, shapes, strict=True)]
    counts = Counter(kind for found in kinds for kind in found)
    rare = {kind for kind, number in counts.items() if number <= MOST_COMMON * len(names)}
    return {
        name: Quality(tuple(kind for kind in found if kind in rare), one.sharpness)
        for name, found, one in zip(names, kinds, measured, strict=True)
    }


def _measure_all(photos: Sequence[Path]) -> Iterator[bytes]:
    done = track(in_processes(_measure, photos), "photo quality", total=len(photos))
    for batch in batched(done, 100):
        images = [Image.fromarray(image) for _, image in batch]
        found = _find_kinds([(image,) for image in images], PIXEL_KINDS)
        for (measured, _), kinds in zip(batch, found, strict=True):
            blurred = measured.sharpness is not None and measured.sharpness < LEAST_SHARPNESS
            all_kinds = (*((BLURRED,) if blurred else ()), *kinds)
            yield msgspec.json.encode(msgspec.structs.replace(measured, kinds=all_kinds))


def _measure(photo: Path) -> tuple[_Measured, NDArray[np.uint8]]:
    """Return the size and sharpness of a photo, and the photo reduced, (h, w) in grey."""
    try:
        with open_photo(photo) as image:
            size, grey = image.size, image.mode == "L"
            reduced = thumbnail(image, upright=False)
    except InputError as error:
        raise InputError(f"{photo}: {error}") from None
    except Exception as error:  # Pillow raises almost any exception for a damaged file
        raise InputError(f"{photo}: cannot be read as a photo: {error}") from None
    scale = SIDE / max(reduced.shape)
    if scale < 1:
        reduced = cv2.resize(reduced, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return _Measured(*size, grey, _sharpness(reduced)), np.asarray(reduced, np.uint8)


def _sharpness(grey: NDArray[np.uint8]) -> float | None:
    """Return how much of an (h, w) image blurring removes, 0 to 1, or None if it is even.

    It is 1 minus the blur effect of Crete, Dolmiere, Ladret and Nicolas, "The blur effect:
    perception and estimation with a new no-reference perceptual blur metric", 2007.
    """
    from skimage.measure import blur_effect

    with np.errstate(all="ignore"):
        blur = float(blur_effect(grey / 255, h_size=5))
    return 1 - blur if np.isfinite(blur) else None


class _Blanks(Sequence[tuple[Image.Image]]):
    """Images of the size and mode of photos, without pixels, which need not be read again."""

    def __init__(self, measured: Sequence[_Measured]) -> None:
        self._measured = measured

    def __len__(self) -> int:
        return len(self._measured)

    def __getitem__(self, index: int) -> tuple[Image.Image]:  # type: ignore[override]
        one = self._measured[index]
        return (Image.new("L" if one.grey else "RGB", (one.width, one.height), None),)


def _find_kinds(images: Sequence[tuple[Image.Image]], kinds: Kinds) -> list[tuple[str, ...]]:
    """Return which `kinds` of problems cleanvision finds in each image, given their options."""
    if not images:
        return []
    with redirect_stderr(StringIO()):  # its progress bar, which no option hides
        from cleanvision import Imagelab  # takes a second

        lab = Imagelab(torchvision_dataset=images, verbose=False)
        lab.find_issues(dict(kinds), n_jobs=1, verbose=False)
    columns = [lab.issues[f"is_{kind}_issue"].tolist() for kind in kinds]
    rows = zip(*columns, strict=True)
    return [tuple(kind for kind, is_so in zip(kinds, row, strict=True) if is_so) for row in rows]
