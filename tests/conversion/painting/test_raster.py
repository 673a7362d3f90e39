from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from annotation.labelme.annotation import Shape
from conversion.coco.cropped_mask import CroppedMask
from conversion.painting.raster import polygon_masks, shape_masks


def whole(mask: CroppedMask, height: int, width: int) -> NDArray[np.bool_]:
    picture = np.zeros((height, width), bool)
    mask.paint(picture, True)
    return picture


def coco_pixels(polygon: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    rles = coco_mask.frPyObjects([polygon.ravel().tolist()], height, width)
    return np.asarray(coco_mask.decode(rles)[..., 0], dtype=bool)


@pytest.mark.parametrize("seed", range(300))
def test_pixels_are_those_of_pycocotools(seed: int) -> None:
    """Halves, or one or two decimals; inside, across, outside or around the picture."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2).tolist()
    spread = rng.choice([3, 20, 90])
    centre = rng.uniform(-10, 70, 2)
    polygon = centre + rng.uniform(-spread, spread, (rng.integers(3, 12), 2))
    polygon = (polygon * 2).round() / 2 if seed % 3 == 0 else polygon.round(int(seed % 3))
    beside = centre + rng.uniform(-spread, spread, (5, 2))
    found = polygon_masks([beside, polygon, beside[:3]], height=height, width=width)
    for drawn, one in zip((beside, polygon, beside[:3]), found, strict=True):
        expected = coco_pixels(drawn, height, width)
        assert np.array_equal(whole(one, height, width), expected)
    mask = found[1].pixels
    if mask.size:  # the box is tight, unless a run continues in the next column
        assert mask.any(axis=0)[[0, -1]].all()
        assert mask.shape[0] == height or mask.any(axis=1)[[0, -1]].all()


def test_polygons_of_the_whole_picture_and_without_pixels() -> None:
    square = np.array([[0, 0], [40, 0], [40, 30], [0, 30]], float)
    assert polygon_masks([square], height=30, width=40)[0].pixels.all()
    assert not polygon_masks([square - 100], height=30, width=40)[0].pixels.size
    assert not polygon_masks([np.zeros((3, 2))], height=30, width=40)[0].pixels.size


def test_the_inside_of_a_widened_ring_is_not_filled() -> None:
    ring = Shape("box", ((5, 5), (25, 5), (25, 25), (5, 25), (5, 6)), shape_type="linestrip")
    (mask,) = shape_masks([ring], height=30, width=40, line_width=3)
    picture = whole(mask, 30, 40)
    assert picture[5, 5:25].all()
    assert picture[5:25, 25].all()
    assert not picture[10:20, 10:20].any()
    assert picture.sum() < 400
