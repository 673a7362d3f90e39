from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import (
    join_channels,
    png_names,
    read_segment_ids,
    write_segment_ids,
)
from tests.conversion.colours import ids_to_rgb

IDS = np.array([[0, 1, 255], [256, 65536, 2**24 - 1]], np.uint32)


def test_ids_survive_the_png(tmp_path: Path) -> None:
    assert ids_to_rgb(IDS)[1].tolist() == [[0, 1, 0], [0, 0, 1], [255, 255, 255]]
    assert np.array_equal(join_channels(ids_to_rgb(IDS)), IDS)
    write_segment_ids(tmp_path / "a.png", IDS)
    assert np.array_equal(read_segment_ids(tmp_path / "a.png", (2, 3)), IDS)


def test_measure_gives_visible_areas_and_inclusive_boxes() -> None:
    ids = np.array([[7, 7, 0], [0, 7, 900000], [0, 0, 0]], np.uint32)
    assert measure(ids) == {7: (3, (0, 0, 2, 2)), 900000: (1, (2, 1, 1, 1))}
    assert measure(np.zeros((2, 2), np.uint32)) == {}
    assert measure(np.full((2, 2), 2**24 - 1, np.uint32)) == {2**24 - 1: (4, (0, 0, 2, 2))}


def panoptic_set(folder: Path) -> PanopticSet:
    photos = (
        Photo(5, "b.jpg", 3, 2, "b.png", (Segment(1, 9, 1, (1, 0, 1, 1), score=0.5),)),
        Photo(2, "sub/a.x.jpg", 3, 2, "sub/a.x.png", (Segment(256, 9, 1, (0, 1, 1, 1)),)),
    )
    (folder / "pngs").mkdir(parents=True, exist_ok=True)
    return PanopticSet(
        folder / "pngs.json", folder / "pngs", (Category(9, "c", True, (1, 2, 3)),), photos
    )


def test_written_set_is_read_back(tmp_path: Path) -> None:
    panoptic = panoptic_set(tmp_path)
    write_panoptic(panoptic)
    assert read_panoptic(panoptic.json_path) == panoptic


def test_annotations_are_joined_by_id_not_by_position(tmp_path: Path) -> None:
    panoptic = panoptic_set(tmp_path)
    write_panoptic(panoptic)
    data = json.loads(panoptic.json_path.read_text())
    data["annotations"].reverse()
    panoptic.json_path.write_text(json.dumps(data))
    assert read_panoptic(panoptic.json_path) == panoptic


def test_errors_name_file_and_place(tmp_path: Path) -> None:
    panoptic = panoptic_set(tmp_path)
    write_panoptic(panoptic)
    data = json.loads(panoptic.json_path.read_text())
    del data["annotations"][0]
    panoptic.json_path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"pngs.json: image 5 \(b.jpg\) has no annotation"):
        read_panoptic(panoptic.json_path)
    panoptic.json_path.write_text('{"images": []}')
    with pytest.raises(InputError, match=r"pngs.json: expected a COCO panoptic file.*annotations"):
        read_panoptic(panoptic.json_path)
    write_segment_ids(panoptic.png_folder / "b.png", np.zeros((9, 9), np.uint32))
    with pytest.raises(InputError, match=r"b.png: expected 3x2 pixels.*found 9x9"):
        panoptic.segment_ids(panoptic.photos[0])


def test_pngs_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    panoptic = panoptic_set(tmp_path)
    write_segment_ids(tmp_path / "secret.png", np.zeros((2, 3), np.uint32))
    outside = Photo(1, "a.jpg", 3, 2, "../secret.png", ())
    with pytest.raises(InputError, match="must stay in"):
        panoptic.segment_ids(outside)


@pytest.mark.parametrize("seed", range(40))
def test_png_names_never_clash(seed: int) -> None:
    """Neither with each other, regardless of case, nor with a folder of another PNG."""
    rng = np.random.default_rng(seed)
    stems, ends = ["a", "A", "a.jpg", "a.png", "b", "a.png/c", "a.jpg.png/d"], [".jpg", ".png"]
    names = sorted({str(rng.choice(stems)) + str(rng.choice(ends)) for _ in range(9)})
    found = png_names(names)
    assert found == png_names(names[::-1])
    folded = [name.lower() for name in found.values()]
    assert len(set(folded)) == len(names)
    assert all(name.endswith(".png") for name in folded)
    assert not any(one.startswith(f"{other}/") for one in folded for other in folded)
