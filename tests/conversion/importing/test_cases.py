"""The cases of public reports about sets from other programs give the right values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.check import check
from conversion.coco.panoptic import PanopticSet, find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from conversion.importing.importer import Imported, import_coco
from conversion.importing.options import ImportOptions
from tests.cases import CASES, copy_case

READ = [
    *("c01_cvat_brush", "c02_cvat_rotated", "c04_ls_path", "c04b_ls_subdir", "c04d_url"),
    *("c04f_abs_images", "c09_nan", "c10_case", "c12b_float_ids", "c24_ring_hole"),
    *("c25_supervision", "c27_bbox_contradicts", "c28_fiftyone", "c29a_crowd_null", "c30_utf-16"),
    *("p13_double_suffix", "p2_datumaro_isthing0", "p3_image_without_entry", "p3b_empty_segments"),
    *("p3d_stuff_only_16bit", "p8_float_seg_ids"),
]
REFUSED = {
    "c07_flat": "annotations[0]: segmentation: expected a list of polygons, found a flat list of",
    "c12d_cascade": "images[0]: Expected `int | null`, got `float` - at `$.width`",
    "c31_via": "annotations[0]: image_id: expected an id like those of images, which are numbers;"
    " found '0', which is text; write both in the same way",
    "p4_Pidx": "a.png: expected an 8-bit RGB PNG, whose colours are segment ids, or 16-bit",
}


def imported(name: str, tmp_path: Path) -> tuple[Imported, Dataset]:
    done = import_coco(copy_case(name, tmp_path), tmp_path / "set")
    return done, open_dataset(tmp_path / "set")


def built(dataset: Dataset) -> list[PanopticSet]:
    assert not convert(dataset).left_out
    return [read_panoptic(path) for path in find_split_jsons(dataset.panoptic).values()]


def pixels(dataset: Dataset, photo: str = "a.jpg") -> dict[str, list[np.ndarray]]:
    """Return the pixels of each segment of a photo, by the names of the categories."""
    found: dict[str, list[np.ndarray]] = {}
    for panoptic in built(dataset):
        names = {one.id: one.name for one in panoptic.categories}
        for one in panoptic.photos:
            if one.file_name == photo:
                ids = panoptic.segment_ids(one)
                for segment in one.segments:
                    found.setdefault(names[segment.category_id], []).append(ids == segment.id)
    return found


def box(mask: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the first and last column, and the first and last row."""
    rows, columns = np.nonzero(mask)
    return [columns.min(), columns.max()], [rows.min(), rows.max()]


@pytest.mark.parametrize("name", READ)
def test_what_import_writes_validate_and_convert_take(name: str, tmp_path: Path) -> None:
    _, dataset = imported(name, tmp_path)
    assert {f.rule for f in check(dataset).findings if f.severity == "error"} == set()
    assert sum(len(panoptic.photos) for panoptic in built(dataset)) >= 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_clear_is_refused_by_one_message(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        imported(name, tmp_path)
    assert REFUSED[name] in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "set").exists()


def test_every_source_among_the_cases_is_tested() -> None:
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is missing")
    folders = {one.name for one in CASES.iterdir() if one.is_dir()} - {"evaluate"}
    sources = {name for name in folders if not (CASES / name / "dataset.yaml").exists()}
    assert sources == {*READ, *REFUSED}


@pytest.mark.parametrize("name", ["c01_cvat_brush", "c25_supervision"])
def test_masks_that_are_all_crowds_become_things(name: str, tmp_path: Path) -> None:
    done, dataset = imported(name, tmp_path)
    assert sum("iscrowd is 1 for every mask (2 in all)" in line for line in done.lines()) == 1
    segments = [s for panoptic in built(dataset) for p in panoptic.photos for s in p.segments]
    assert [segment.iscrowd for segment in segments] == [False] * len(segments)
    kept = import_coco(tmp_path / name, tmp_path / "kept", ImportOptions(crowds="keep"))
    assert not any("iscrowd" in line for line in kept.lines())
    panoptics = built(open_dataset(tmp_path / "kept"))
    assert (
        sum(s.iscrowd for panoptic in panoptics for p in panoptic.photos for s in p.segments) == 2
    )


def test_a_box_of_cvat_is_rotated(tmp_path: Path) -> None:
    done, dataset = imported("c02_cvat_rotated", tmp_path)
    first, second = pixels(dataset)["car"]
    assert box(first) == ([18, 21], [2, 21])
    assert first.sum() == 4 * 20
    assert box(second) == ([2, 11], [20, 25])
    assert any("boxes rotated by the angle beside their bbox" in line for line in done.lines())


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("c04_ls_path", "cb06-a.jpg"),
        ("c04b_ls_subdir", "cb06-a.jpg"),
        ("c04d_url", "a b.jpg"),
        ("c04f_abs_images", "a.jpg"),
        ("c10_case", "img_1.jpg"),
        ("c28_fiftyone", "a.jpg"),
    ],
)
def test_the_photo_is_found(name: str, photo: str, tmp_path: Path) -> None:
    done, _ = imported(name, tmp_path)
    assert list(done.splits) == [photo]
    assert (tmp_path / "set/images" / photo).is_file()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("c09_nan", "NaN or infinite values, which JSON does not have: 1;"),
        ("c24_ring_hole", "annotations whose area treats inner outlines as holes"),
        ("c27_bbox_contradicts", "contradict their own bbox"),
        ("p3_image_without_entry", "photos without an entry in the panoptic file"),
        ("p2_datumaro_isthing0", "no category is a thing"),
    ],
)
def test_what_is_remarkable_is_said(name: str, line: str, tmp_path: Path) -> None:
    done, _ = imported(name, tmp_path)
    assert sum(line in one for one in done.lines()) == 1


def test_names_in_utf_16_are_read(tmp_path: Path) -> None:
    _, dataset = imported("c30_utf-16", tmp_path)
    assert dataset.config.things == ("Stra\u00dfe",)


def test_contradicting_boxes_and_areas_change_no_pixels(tmp_path: Path) -> None:
    _, dataset = imported("c24_ring_hole", tmp_path)
    (ring,) = pixels(dataset)["car"]
    assert ring.sum() == 20 * 20


def test_photos_with_double_suffixes_keep_their_own_stuff(tmp_path: Path) -> None:
    _, dataset = imported("p13_double_suffix", tmp_path)
    (sky,) = pixels(dataset, "a.jpg")["sky-other-merged"]
    (road,) = pixels(dataset, "a.jpg.jpg")["road"]
    assert box(sky) == ([0, 39], [0, 9])
    assert box(road) == ([0, 39], [20, 29])


def test_things_of_datumaro_are_recognised_or_named(tmp_path: Path) -> None:
    _, dataset = imported("p2_datumaro_isthing0", tmp_path)
    assert (dataset.config.things, dataset.config.stuff) == (("car",), ("sky-other-merged",))
    source = tmp_path / "p2_datumaro_isthing0"
    named = import_coco(source, tmp_path / "named", ImportOptions(things=("car",)))
    assert not named.notes
    with pytest.raises(InputError, match="found 'cat'; did you mean 'car'"):
        import_coco(source, tmp_path / "wrong", ImportOptions(things=("car", "cat")))


@pytest.mark.parametrize("name", ["s2_16bit_low", "s7_map_upper"])
def test_stuff_of_sets_is_read(name: str, tmp_path: Path) -> None:
    dataset = open_dataset(copy_case(name, tmp_path))
    assert {"sky-other-merged", "road"} <= pixels(dataset).keys()
    assert not any(f.rule.startswith(("map", "stuff")) for f in check(dataset).findings)


def test_16_bit_ids_of_a_source_are_read(tmp_path: Path) -> None:
    _, dataset = imported("p3d_stuff_only_16bit", tmp_path)
    assert list(pixels(dataset)) == ["sky-other-merged"]
