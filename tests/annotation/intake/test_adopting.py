"""Annotations come into the set with their photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from annotation.intake.collect import collect
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.geometry import mask_pixels
from annotation.labelme.masks import encode_mask_png
from annotation.photos.files import photo_size
from tests.annotation.intake.collected import photo, write_files, write_zip
from tests.drawn import square

BOX = square("box", 20, 40, 100)


def labelme(name: str, *shapes: Shape, size: tuple[int, int] = (240, 320)) -> bytes:
    """The bytes of a Labelme file."""
    values = [{**_values(shape), "points": [list(p) for p in shape.points]} for shape in shapes]
    keys = {"version": "5.5.0", "flags": {}, "shapes": values, "imagePath": name}
    size_keys = {"imageData": None, "imageHeight": size[0], "imageWidth": size[1]}
    return json.dumps({**keys, **size_keys}).encode()


def _values(shape: Shape) -> dict[str, object]:
    return {"label": shape.label, "shape_type": shape.shape_type, "mask": shape.mask}


def shapes_of(root: Path, name: str) -> tuple[Shape, ...]:
    annotation = read_annotation(root / "labelme" / f"{name}.json")
    assert (root / "labelme" / annotation.image_path).is_file()
    assert annotation.image_data is None
    return annotation.shapes


def test_annotations_beside_the_photos_are_copied(tmp_path: Path) -> None:
    files = {"a.jpg": photo(1), "a.json": labelme("a.jpg", BOX), "in/b.jpg": photo(2)}
    files |= {"in/b.json": labelme("b.jpg", BOX), "c.jpg": photo(3), "metrics.json": b"{}"}
    source = write_files(tmp_path / "source", files)
    collected = collect([source], tmp_path / "set")
    assert collected.adopted == 2
    assert collected.other_files == {".json": 1}
    line = f"{tmp_path / 'set/labelme'}: 2 annotations copied with the photos"
    assert line in list(collected.lines())
    assert shapes_of(tmp_path / "set", "a")[0].points == BOX.points
    assert shapes_of(tmp_path / "set", "in_b")[0].points == BOX.points
    assert collect([source], tmp_path / "set").adopted == 0


def test_annotations_of_a_set_and_of_a_zip_file_are_copied(tmp_path: Path) -> None:
    members = [("d/images/x/a.jpg", photo(1))]
    members += [("d/labelme/x/a.json", labelme("../../images/x/a.jpg", BOX))]
    path = write_zip(tmp_path / "set.zip", members)
    assert collect([path], tmp_path / "set").adopted == 1
    assert len(shapes_of(tmp_path / "set", "d_images_x_a")) == 1
    write_files(tmp_path / "other", {"b.jpg": photo(2), "b.json": labelme("b.jpg", BOX)})
    assert collect([tmp_path / "other/b.jpg"], tmp_path / "set").adopted == 1


def test_the_suffix_of_an_annotation_beside_a_single_photo_may_be_upper_case(
    tmp_path: Path,
) -> None:
    write_files(tmp_path / "source", {"a.JPG": photo(1), "a.JSON": labelme("a.JPG", BOX)})
    assert collect([tmp_path / "source/a.JPG"], tmp_path / "set").adopted == 1


def test_shapes_are_scaled_with_their_photo(tmp_path: Path) -> None:
    ones = encode_mask_png(np.ones((40, 60), bool))
    mask = Shape("disc", ((20.0, 20.0), (79.0, 59.0)), "mask", mask=ones)
    files = {
        "a.jpg": photo(1, orientation=6),
        "a.json": labelme("a.jpg", BOX, mask, size=(320, 240)),
    }
    collect([write_files(tmp_path / "source", files)], tmp_path / "set", long_side=160)
    assert photo_size(tmp_path / "set/images/a.jpg") == (160, 120)
    box, small = shapes_of(tmp_path / "set", "a")
    assert box.points[0] == (10, 20)
    assert box.points[2] == (60, 70)
    pixels, corner = mask_pixels(small)
    assert (pixels.shape, pixels.all(), corner) == ((20, 30), True, (10, 10))
    annotation = read_annotation(tmp_path / "set/labelme/a.json")
    assert (annotation.height, annotation.width) == (160, 120)


def test_a_file_of_another_program_is_named_and_the_photo_added(tmp_path: Path) -> None:
    files = {"a.jpg": photo(1), "a.json": b'{"loss": 1}', "b.jpg": photo(2), "b.json": b"{"}
    collected = collect([write_files(tmp_path / "source", files)], tmp_path / "set")
    assert (len(collected.added), collected.adopted) == (2, 0)
    assert [(one.origin, one.reason.split(":")[0]) for one in collected.refused] == [
        ("a.json", "is not a Labelme file"),
        ("b.json", "is not valid JSON"),
    ]


def test_of_two_photos_with_one_name_the_one_in_the_file_gets_the_annotation(
    tmp_path: Path,
) -> None:
    files = {"a.jpg": photo(1), "a.JPEG": photo(2), "a.json": labelme("a.JPEG", BOX)}
    collect([write_files(tmp_path / "source", files)], tmp_path / "set")
    (path,) = (tmp_path / "set/labelme").iterdir()
    stored = (path.parent / read_annotation(path).image_path).read_bytes()
    assert len(stored) == len((tmp_path / "set/images" / f"{path.stem}.jpeg").read_bytes())


def test_an_annotation_of_the_set_is_kept(tmp_path: Path) -> None:
    write_files(tmp_path / "source", {"a.jpg": photo(1)})
    collect([tmp_path / "source"], tmp_path / "set")
    own = Annotation("../images/a.jpg", 240, 320, (BOX, BOX))
    (tmp_path / "set/labelme").mkdir()
    write_annotation(tmp_path / "set/labelme/a.json", own)
    write_files(tmp_path / "source", {"a.json": labelme("a.jpg", BOX)})
    assert collect([tmp_path / "source"], tmp_path / "set").adopted == 0
    assert len(shapes_of(tmp_path / "set", "a")) == 2


def test_of_a_data_set_only_photos_and_annotations_are_collected(tmp_path: Path) -> None:
    files = {"images/a.jpg": photo(1), "labelme/a.json": labelme("../images/a.jpg", BOX)}
    files |= {"stuff/a.png": photo(2), "panoptic/train/a.jpg": photo(3), "dataset.yaml": b""}
    collected = collect([write_files(tmp_path / "source", files)], tmp_path / "set")
    assert [one.image for one in collected.added] == ["images_a.jpg"]
    assert collected.adopted == 1
