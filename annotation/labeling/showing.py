"""What Labelme can show: photos with 8 bits per channel, and masks with one channel."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2

from annotation.labelme.annotation import Shape
from annotation.labelme.masks import one_channel
from annotation.photos.files import read_header, read_photo
from base.errors import InputError
from base.files import write_bytes
from base.links import link_or_copy


def showable(shape: Shape) -> Shape:
    """Return a shape whose mask Labelme can show."""
    if shape.shape_type != "mask" or not shape.mask:
        return shape
    with suppress(InputError):  # validation reports it
        return replace(shape, mask=one_channel(shape.mask))
    return shape


def show(photo: Path, link: Path) -> None:
    """Link a photo, or write it with 8 bits per channel, as training reads it, if it has more.

    Labelme cannot open a PNG with more, and ignores the rotation of such a TIFF.
    """
    try:
        deep = read_header(photo).bits > 8
        pixels = read_photo(photo) if deep else None
    except InputError:  # Labelme shows the error
        pixels = None
    if pixels is None:
        link_or_copy(photo, link, kind="symbolic")
    else:
        _, png = cv2.imencode(".png", pixels)
        write_bytes(link, png.tobytes())
