"""The base64 PNGs of mask shapes."""

from __future__ import annotations

import base64
import io
import textwrap

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import ShapeError, mask_pixels
from annotation.labelme.masks import decode_mask_png, encode_mask_png, mask_size
from base.errors import InputError

SET = np.array([[1, 0, 1], [0, 0, 1]], bool)
OTHER = np.array([[1, 1, 1], [0, 0, 0]], bool)
ALL, NONE = np.ones((2, 3), bool), np.zeros((2, 3), bool)


def png(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def with_alpha(colours: NDArray[np.bool_], opaque: NDArray[np.bool_], mode: str) -> str:
    grey = Image.fromarray(colours.astype(np.uint8) * 255)
    image = grey.convert(mode)
    image.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return png(image)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(
    ("colours", "opaque", "expected"),
    [(SET, ALL, SET), (ALL, SET, SET), (NONE, SET, SET), (SET, SET, SET), (NONE, ALL, NONE)],
)
def test_an_alpha_channel_is_not_taken_for_the_mask(
    colours: NDArray[np.bool_], opaque: NDArray[np.bool_], expected: NDArray[np.bool_], mode: str
) -> None:
    assert np.array_equal(decode_mask_png(with_alpha(colours, opaque, mode)), expected)


def test_an_alpha_channel_that_contradicts_the_colours_is_an_error() -> None:
    mask = with_alpha(SET, OTHER, "RGBA")
    with pytest.raises(InputError, match="alpha channel with 3 pixels beside colours with 3"):
        decode_mask_png(mask)
    with pytest.raises(ShapeError, match="alpha channel") as caught:
        mask_pixels(Shape("box", ((0.0, 0.0),), "mask", mask=mask))
    assert caught.value.rule == "shape-unreadable"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_masks_of_every_mode_are_decoded(mode: str) -> None:
    values = SET.astype(np.uint8) * 200
    deep = Image.fromarray(values.astype(np.uint16))
    image = deep if mode == "I;16" else Image.fromarray(values).convert(mode)
    if mode == "P":
        image = Image.fromarray(SET.astype(np.uint8))
        image.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white: Labelme uses the indices
    assert np.array_equal(decode_mask_png(png(image)), SET)


def test_line_breaks_in_base64_are_skipped_as_in_labelme() -> None:
    broken = "\n".join(textwrap.wrap(encode_mask_png(SET), 20)) + "\r\n"
    assert np.array_equal(decode_mask_png(broken), SET)
    assert mask_size(broken) == (2, 3)


@pytest.mark.parametrize("mask", ["", "not a PNG", "\u20ac", "iVBORw0KGgo="])
def test_other_text_is_an_error(mask: str) -> None:
    with pytest.raises(InputError, match="mask: is not a base64 PNG"):
        decode_mask_png(mask)
