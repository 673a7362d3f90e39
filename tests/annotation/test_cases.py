"""Data sets rebuilt from public bug reports: what is right is stated in their README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation.findings import Finding
from annotation.labelme.annotation import read_annotation
from annotation.labelme.geometry import mask_pixels
from annotation.photos.files import read_photo
from conversion.building.build import convert
from conversion.building.check import check
from conversion.coco.panoptic import Photo, split_json
from conversion.coco.panoptic_file import read_panoptic
from conversion.config import open_valid_dataset
from tests.cases import copy_case

ORDINARY = {"category-few", "category-one-split", "label-unused"}  # of a set of one photo


def found_in(root: Path) -> list[Finding]:
    findings = check(open_valid_dataset(root), pixels="decode").findings
    return [one for one in findings if one.rule not in ORDINARY]


def converted(root: Path) -> list[Photo]:
    dataset = open_valid_dataset(root)
    convert(dataset)
    return list(read_panoptic(split_json(dataset.panoptic, "train")).photos)


@pytest.mark.parametrize("name", ["l2_mask_RGBA", "l3e_mask_newlines"])
def test_a_mask_paints_its_16_pixels(name: str, tmp_path: Path) -> None:
    root = copy_case(name, tmp_path)
    assert found_in(root) == []
    ((segment,),) = (photo.segments for photo in converted(root))
    assert segment.area == 16


def test_a_mask_of_the_whole_photo_with_the_points_of_a_box_is_reported(tmp_path: Path) -> None:
    root = copy_case("l3c_full_mask_box_points", tmp_path)
    (finding,) = found_in(root)
    assert (finding.rule, finding.severity) == ("mask-box", "error")
    (shape,) = read_annotation(root / "labelme/a.json").shapes
    pixels, corner = mask_pixels(shape)
    assert (pixels.shape, corner) == ((30, 40), (10, 10))  # where Labelme shows it


def test_values_of_12_bits_are_scaled_and_a_finding_says_so(tmp_path: Path) -> None:
    root = copy_case("ph_16gray", tmp_path)
    assert [one.rule for one in found_in(root)] == ["photo-depth"]
    pixels = read_photo(root / "images/a.png")
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert pixels.mean() > 60
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_photo_of_floating_point_values_is_refused(tmp_path: Path) -> None:
    (finding,) = found_in(copy_case("ph_f32_train", tmp_path))
    assert (finding.rule, finding.file) == ("photo-unreadable", "labelme/b.json")
    assert "found floating-point values" in finding.message


def test_a_window_that_a_crossing_outline_leaves_visible_is_not_hidden(tmp_path: Path) -> None:
    root = copy_case("v1_hidden_by_crossing", tmp_path)
    assert [one.rule for one in found_in(root)] == ["self-crossing"]
    (photo,) = converted(root)
    assert sorted(segment.area for segment in photo.segments)[0] == 3600


@pytest.mark.parametrize(("name", "kind"), [("ph_gif", "gif"), ("ph_avif", "avif")])
def test_a_photo_of_an_unsupported_kind_is_named(name: str, kind: str, tmp_path: Path) -> None:
    (finding,) = found_in(copy_case(name, tmp_path))
    assert finding.message == f"a.{kind}: {kind.upper()} photos are not supported"
    assert finding.fix.startswith("convert it to PNG or JPEG")
