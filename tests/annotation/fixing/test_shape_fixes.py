from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from annotation.labelme.annotation import Shape, read_annotation
from annotation.labelme.geometry import figure, mask_pixels
from annotation.labelme.masks import encode_mask_png
from tests.annotation.fixing.fixed import change, contents, drawn, fix, only, rules, shapes_of
from tests.drawn import YAML, square

LARGE = ((0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (0.0, 20.0))
SLIP = (*LARGE[:2], (30.0, 10.5), (30.6, 9.9), (29.6, 9.9), *LARGE[2:])  # a loop of 0.2 pixels
FORK = (  # both prongs are partly in the photo; the rest is outside
    *((35.0, 2.0), (50.0, 2.0), (50.0, 20.0), (35.0, 20.0)),
    *((35.0, 15.0), (45.0, 15.0), (45.0, 7.0), (35.0, 7.0)),
)
EIGHT = ((2.0, 2.0), (12.0, 12.0), (12.0, 2.0), (2.0, 12.0))


def test_a_polygon_is_clipped_and_nothing_else_changes(tmp_path: Path) -> None:
    out = replace(square("disc", 35, 5, 10, 7), flags={"occluded": True}, extra={"mine": [1]})
    dataset = drawn(tmp_path, out, square("disc", 12, 2, 5))
    path = change(dataset, flags={"exclude": False}, colour="red")
    before = read_annotation(path)
    fixed = only(fix(dataset), "out-of-picture")
    assert (fixed.file, fixed.shape, fixed.done) == ("labelme/a.json", 1, True)
    after = read_annotation(path)
    clipped = after.shapes[1]
    assert sorted(clipped.points) == [(35, 5), (35, 15), (40, 5), (40, 15)]
    assert replace(clipped, points=out.points) == out
    assert replace(after, shapes=before.shapes) == before
    assert after.shapes[0] == before.shapes[0] and after.shapes[2] == before.shapes[2]
    assert rules(dataset) == []
    assert fix(dataset) == []


def test_a_polygon_in_two_parts_gets_a_group_of_its_own(tmp_path: Path) -> None:
    taken = [square("disc", 2, 2, 5, 1), square("disc", 8, 2, 5, 1)]
    dataset = drawn(tmp_path, Shape("box", FORK), *taken)
    assert only(fix(dataset), "out-of-picture").what.endswith("now 2 shapes of group 2")
    shapes = shapes_of(dataset)
    assert [(s.label, s.group_id) for s in shapes[1:3]] == [("box", 2), ("box", 2)]
    assert shapes[3:] == tuple(taken)
    assert [figure(s).area for s in shapes[1:3]] == [25, 25]
    assert rules(dataset) == []


def test_a_polygon_whose_label_allows_one_part_is_not_cut_in_two(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("box", FORK), yaml=f"{YAML}ungrouped: [box]\n")
    assert not only(fix(dataset), "out-of-picture").done
    assert not list(tmp_path.rglob("*.orig"))


def test_rectangles_stay_rectangles(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("box", ((50.0, 5.0), (35.0, 12.0)), "rectangle"))
    assert only(fix(dataset), "out-of-picture").done
    assert shapes_of(dataset)[1] == Shape("box", ((40, 5), (35, 12)), "rectangle")
    assert rules(dataset) == []


def test_circles_are_not_clipped(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("box", ((38.0, 10.0), (38.0, 15.0)), "circle"))
    before = contents(tmp_path)
    assert not only(fix(dataset), "out-of-picture").done
    assert contents(tmp_path) == before


def test_masks_are_cropped(tmp_path: Path) -> None:
    pixels = np.ones((6, 10), np.bool_)
    pixels[0, 0] = False
    mask = Shape("box", ((-4.0, 5.0), (5.0, 10.0)), "mask", mask=encode_mask_png(pixels))
    dataset = drawn(tmp_path, mask)
    assert only(fix(dataset), "out-of-picture").done
    cropped = shapes_of(dataset)[1]
    assert cropped.points == ((0, 5), (5, 10))
    assert mask_pixels(cropped)[0].shape == (6, 6)
    assert rules(dataset) == []


def test_repeated_vertices_are_removed(tmp_path: Path) -> None:
    points = (*LARGE[:2], LARGE[1], (30.001, 0.0), *LARGE[2:], LARGE[0])
    dataset = drawn(tmp_path, Shape("disc", points))
    assert only(fix(dataset), "points-repeated").what == "3 of 7 vertices removed"
    assert shapes_of(dataset)[1].points == LARGE
    assert rules(dataset) == []


def test_a_small_loop_is_fixed_but_not_a_figure_of_eight(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("disc", SLIP), Shape("box", EIGHT))
    severity = "severity: {label-unused: ignore, thing-hidden: ignore, same-label-overlap: ignore}"
    (tmp_path / "dataset.yaml").write_text(
        YAML.replace("severity: {label-unused: ignore}", severity)
    )
    slip, eight = (f for f in fix(dataset) if f.rule == "self-crossing")
    assert slip.done and not eight.done
    assert "100%" in eight.what
    repaired = shapes_of(dataset)[1]
    outline = shapely.Polygon(repaired.points)
    assert outline.is_valid and repaired.group_id is None
    assert outline.area == pytest.approx(600, abs=3)
    assert shapes_of(dataset)[2].points == EIGHT
    assert rules(dataset).count("self-crossing") == 1


def test_overlapping_ends_are_filled_and_a_hole_is_kept(tmp_path: Path) -> None:
    """An outline that leads into a hole and back, and whose end overlaps its start a little."""
    hole = ((0.0, 10.0), (8.0, 10.0), (8.0, 15.0), (16.0, 15.0), (16.0, 6.0), (8.0, 6.0))
    outline = (
        *LARGE,
        *hole,
        (8.0, 10.0),
        (0.0, 10.0),
        (0.0, -0.2),
        (1.0, -0.2),
        (1.0, 0.5),
        (0.0, 0.5),
    )
    dataset = drawn(tmp_path, Shape("disc", outline))
    fixed = [f for f in fix(dataset) if f.rule == "self-crossing"]
    assert fixed[0].done
    _, part, cut = shapes_of(dataset)
    assert (part.label, cut.label) == ("disc", "__hole__")
    assert part.group_id == cut.group_id == 1
    assert figure(cut).area == pytest.approx(72)
    assert figure(part).area == pytest.approx(600, abs=3)
    assert rules(dataset) == []


def test_a_crossing_outline_partly_outside_the_photo_gets_both_fixes(tmp_path: Path) -> None:
    points = tuple((x + 15, y) for x, y in SLIP)
    dataset = drawn(tmp_path, Shape("disc", points))
    assert [f.done for f in fix(dataset)] == [True, True]
    assert figure(shapes_of(dataset)[1]).area == pytest.approx(500, abs=3)
    assert rules(dataset) == []


@pytest.mark.parametrize(
    ("label", "becomes"), [("Box", "box"), (" box", "box"), ("bxo", None), ("bo_x", None)]
)
def test_labels_are_fixed_if_only_case_or_separators_differ(
    tmp_path: Path, label: str, becomes: str | None
) -> None:
    dataset = drawn(tmp_path, square(label, 12, 2, 5), yaml=YAML)
    done = [f.done for f in fix(dataset)]
    assert done in ([becomes is not None], [])
    assert shapes_of(dataset)[1].label == (becomes or label)


def test_separators_of_labels_are_fixed_but_not_added(tmp_path: Path) -> None:
    yaml = YAML.replace("[box, disc]", "[box, oil-drum]")
    dataset = drawn(tmp_path, square("Oil drum", 12, 2, 5), square("oildrum", 22, 2, 5), yaml=yaml)
    assert [f.done for f in fix(dataset)] == [True, False]
    assert [s.label for s in shapes_of(dataset)[1:]] == ["oil-drum", "oildrum"]
