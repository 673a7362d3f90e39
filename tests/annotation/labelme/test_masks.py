"""The base64 PNGs of mask shapes."""

from __future__ import annotations

import base64
import io
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotation.labelme.annotation import (
    Annotation,
    NotReadableError,
    Shape,
    read_annotation,
    write_annotation,
)
from annotation.labelme.geometry import ShapeError, mask_pixels
from annotation.labelme.masks import decode_mask_png, encode_mask_png, mask_size
from annotation.rules.validate import check_dataset
from base.errors import InputError
from tests.drawn import draw_dataset

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


def test_the_masks_of_a_file_are_limited_together(tmp_path: Path) -> None:
    mask = png(Image.new("1", (10_000, 10_000)))  # a few kilobytes
    shapes = (Shape("box", ((0.0, 0.0),), "mask", mask=mask),) * 21
    write_annotation(tmp_path / "a.json", Annotation("a.jpg", 10_000, 10_000, shapes))
    with pytest.raises(NotReadableError, match=r"a.json: expected masks of at most .* together"):
        read_annotation(tmp_path / "a.json")


@pytest.mark.parametrize("mask", ["", "not a PNG", "\u20ac", "iVBORw0KGgo="])
def test_other_text_is_an_error(mask: str) -> None:
    with pytest.raises(InputError, match="mask: is not a base64 PNG"):
        decode_mask_png(mask)


@pytest.mark.parametrize("size", [(100_000_000, 1), (10_000, 10_000)])
def test_a_mask_too_large_for_its_photo_is_refused_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    mask = png(Image.new("1", size))
    shapes = [Shape("box", ((0.0, 0.0),), "mask", mask=mask)] * 10
    dataset = draw_dataset(tmp_path, {"a": shapes})
    tracemalloc.start()
    (found, *others) = check_dataset(dataset).findings
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size[0] * size[1] / 4
    assert (found.rule, len(others)) == ("shape-unreadable", 9)
    expected = "mask: expected at most twice the sides of its photo, 40x30 pixels, found"
    assert found.message == f"{expected} {size[0]}x{size[1]}"
    with pytest.raises(InputError, match="expected at most 25,000,000 pixels"):
        decode_mask_png(mask)
