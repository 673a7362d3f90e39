from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely

import annotation.fixing.fix
from annotation.dataset import Dataset
from annotation.fixing.fix import Fixed, confirm_fixes, fix_dataset, undo_fixes
from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from annotation.labelme.geometry import encode_mask_png, figure, mask_pixels
from annotation.rules.validate import check_dataset
from tests.drawn import YAML, draw_dataset, square

LARGE = ((0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (0.0, 20.0))
SLIP = (*LARGE[:2], (30.0, 10.5), (30.6, 9.9), (29.6, 9.9), *LARGE[2:])  # a loop of 0.2 pixels
EIGHT = ((2.0, 2.0), (12.0, 12.0), (12.0, 2.0), (2.0, 12.0))


def drawn(root: Path, *shapes: Shape, yaml: str = YAML) -> Dataset:
    return draw_dataset(root, {"a": [square("box", 2, 22, 5), *shapes]}, yaml=yaml)


def fix(dataset: Dataset) -> list[Fixed]:
    return fix_dataset(dataset, check_dataset(dataset))


def rules(dataset: Dataset) -> list[str]:
    return [finding.rule for finding in check_dataset(dataset).findings]


def shapes_of(dataset: Dataset) -> tuple[Shape, ...]:
    return read_annotation(dataset.labelme / "a.json").shapes


def change(dataset: Dataset, **values: Any) -> Path:
    """Change keys of the JSON file by hand."""
    path = dataset.labelme / "a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def only(fixes: Sequence[Fixed], rule: str) -> Fixed:
    (fixed,) = fixes
    assert fixed.rule == rule
    return fixed


def test_a_polygon_is_clipped_and_all_else_stays(tmp_path: Path) -> None:
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
    fork = ((35.0, 2.0), (50.0, 2.0), (50.0, 20.0), (35.0, 20.0), (35.0, 15.0), (45.0, 15.0))
    fork = (*fork, (45.0, 7.0), (35.0, 7.0))
    taken = [square("disc", 2, 2, 5, 1), square("disc", 8, 2, 5, 1)]
    dataset = drawn(tmp_path, Shape("box", fork), *taken)
    assert only(fix(dataset), "out-of-picture").what.endswith("now 2 shapes of group 2")
    shapes = shapes_of(dataset)
    assert [(s.label, s.group_id) for s in shapes[1:3]] == [("box", 2), ("box", 2)]
    assert shapes[3:] == tuple(taken)
    assert [figure(s).area for s in shapes[1:3]] == [25, 25]
    assert rules(dataset) == []


def test_parts_are_left_where_a_label_has_one_only(tmp_path: Path) -> None:
    fork = ((35.0, 2.0), (50.0, 2.0), (50.0, 20.0), (35.0, 20.0), (35.0, 15.0), (45.0, 15.0))
    fork = (*fork, (45.0, 7.0), (35.0, 7.0))
    dataset = drawn(tmp_path, Shape("box", fork), yaml=f"{YAML}ungrouped: [box]\n")
    assert not only(fix(dataset), "out-of-picture").done
    assert not list(tmp_path.rglob("*.orig"))


def test_rectangles_stay_rectangles(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("box", ((50.0, 5.0), (35.0, 12.0)), "rectangle"))
    assert only(fix(dataset), "out-of-picture").done
    assert shapes_of(dataset)[1] == Shape("box", ((40, 5), (35, 12)), "rectangle")
    assert rules(dataset) == []


def test_circles_keep_their_form(tmp_path: Path) -> None:
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


def test_repeated_vertices_are_dropped(tmp_path: Path) -> None:
    points = (*LARGE[:2], LARGE[1], (30.001, 0.0), *LARGE[2:], LARGE[0])
    dataset = drawn(tmp_path, Shape("disc", points))
    assert only(fix(dataset), "points-repeated").what == "3 of 7 vertices dropped"
    assert shapes_of(dataset)[1].points == LARGE
    assert rules(dataset) == []


def test_a_small_slip_is_mended_but_not_a_figure_of_eight(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("disc", SLIP), Shape("box", EIGHT))
    severity = "severity: {label-unused: ignore, thing-hidden: ignore, same-label-overlap: ignore}"
    (tmp_path / "dataset.yaml").write_text(
        YAML.replace("severity: {label-unused: ignore}", severity)
    )
    slip, eight = (f for f in fix(dataset) if f.rule == "self-crossing")
    assert slip.done and not eight.done
    assert "100%" in eight.what
    mended = shapes_of(dataset)[1]
    outline = shapely.Polygon(mended.points)
    assert outline.is_valid and mended.group_id is None
    assert outline.area == pytest.approx(600, abs=3)
    assert shapes_of(dataset)[2].points == EIGHT
    assert rules(dataset).count("self-crossing") == 1


def test_what_is_drawn_over_twice_is_filled_and_a_hole_is_kept(tmp_path: Path) -> None:
    """An outline led into a hole and back, whose end runs a little over its beginning."""
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


def test_crossed_and_out_of_picture_at_once(tmp_path: Path) -> None:
    points = tuple((x + 15, y) for x, y in SLIP)
    dataset = drawn(tmp_path, Shape("disc", points))
    assert [f.done for f in fix(dataset)] == [True, True]
    assert figure(shapes_of(dataset)[1]).area == pytest.approx(500, abs=3)
    assert rules(dataset) == []


@pytest.mark.parametrize(
    ("label", "becomes"), [("Box", "box"), (" box", "box"), ("bxo", None), ("bo_x", None)]
)
def test_labels_by_case_and_separator_only(tmp_path: Path, label: str, becomes: str | None) -> None:
    dataset = drawn(tmp_path, square(label, 12, 2, 5), yaml=YAML)
    done = [f.done for f in fix(dataset)]
    assert done in ([becomes is not None], [])
    assert shapes_of(dataset)[1].label == (becomes or label)


def test_separators_of_labels(tmp_path: Path) -> None:
    yaml = YAML.replace("[box, disc]", "[box, oil-drum]")
    dataset = drawn(tmp_path, square("Oil drum", 12, 2, 5), square("oildrum", 22, 2, 5), yaml=yaml)
    assert [f.done for f in fix(dataset)] == [True, False]
    assert [s.label for s in shapes_of(dataset)[1:]] == ["oil-drum", "oildrum"]


@pytest.mark.parametrize(
    ("size", "points", "done"),
    [
        ((0, 0), (25, 25), True),  # no picture has this size
        ((20, 38), (30, 5), True),  # drawn where such a picture has no pixels
        ((20, 38), (5, 5), False),  # may be another photo
        ((30, 40), (25, 25), False),  # swapped
        ((80, 60), (5, 5), False),  # scaled
        ((20, 15), (25, 20), False),  # scaled
    ],
)
def test_size(
    tmp_path: Path, size: tuple[int, int], points: tuple[float, float], done: bool
) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", *points, 4)]})
    path = change(dataset, imageWidth=size[0], imageHeight=size[1])
    assert only(fix(dataset), "photo-size").done is done
    read = read_annotation(path)
    assert (read.width, read.height) == ((40, 30) if done else size)


def test_size_of_the_embedded_photo_is_certain(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    data = base64.b64encode((tmp_path / "images/a.jpg").read_bytes()).decode()
    change(dataset, imageWidth=30, imageHeight=40, imageData=data)
    assert only(fix(dataset), "photo-size").done
    assert rules(dataset) == []


def test_size_is_left_where_shapes_reach_out(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("box", 35, 5, 10))
    change(dataset, imageWidth=0, imageHeight=0)
    assert not any(f.done for f in fix(dataset))


def test_path(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath="C:\\old\\A.JPG")
    assert [(f.rule, f.done) for f in fix(dataset)] == [
        ("photo-path-leaves", True),
        ("photo-path", True),
    ]
    assert read_annotation(dataset.labelme / "a.json").image_path == "../images/a.jpg"
    assert rules(dataset) == []


@pytest.mark.parametrize(
    ("image_path", "done"), [("../images/a.png", True), ("../images/other.jpg", False)]
)
def test_path_by_the_name_of_the_file(tmp_path: Path, image_path: str, done: bool) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath=image_path)
    assert only(fix(dataset), "photo-path").done is done


def test_path_is_left_where_the_photo_is_doubtful(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath="old/a.jpg", imageWidth=39)
    assert not any(f.done for f in fix(dataset))
    change(dataset, imageWidth=40)
    (tmp_path / "images/sub").mkdir()
    cv2.imwrite(str(tmp_path / "images/sub/a.jpg"), np.zeros((30, 40, 3), np.uint8))
    change(dataset, imagePath="sub/a.jpg")
    fixed = next(f for f in fix(dataset) if f.rule == "photo-path")
    assert "several photos" in fixed.what


def test_marked_encodings_and_equal_keys(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    path = dataset.labelme / "a.json"
    text = path.read_text().replace('"imageHeight"', '"imageHeight": 30, "imageHeight"')
    path.write_text(text, "utf-16")
    assert [(f.rule, f.done) for f in fix(dataset)] == [
        ("file-encoding", True),
        ("file-duplicate-keys", True),
    ]
    assert rules(dataset) == []
    assert path.read_bytes().isascii()


def test_nothing_is_written_where_keys_disagree(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    path.write_text(path.read_text().replace('"imageHeight"', '"imageHeight": 31, "imageHeight"'))
    before = contents(tmp_path)
    fixes = fix(dataset)
    assert len(fixes) == 2 and not any(f.done for f in fixes)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("known", "done"), [("Tür", True), ("door", False)])
def test_code_pages_need_a_known_word(tmp_path: Path, known: str, done: bool) -> None:
    yaml = YAML.replace("[box, disc]", f"[box, {known}]")
    dataset = drawn(tmp_path, replace(square(known, 12, 2, 5), description="größer"), yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    assert only(fix(dataset), "file-encoding").done is done
    if done:
        assert shapes_of(dataset)[1].description == "größer"
        assert rules(dataset) == []


def test_a_known_word_in_two_code_pages_is_no_proof(tmp_path: Path) -> None:
    """`Tür` is the same in the Western and central European page, the description is not."""
    yaml = YAML.replace("[box, disc]", "[box, Tür]")
    dataset = drawn(tmp_path, replace(square("Tür", 12, 2, 5), description="señor"), yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    assert not only(fix(dataset), "file-encoding").done


def test_values_that_json_lacks_are_not_lost(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5), square("box", 20, 2, 5))
    path = dataset.labelme / "a.json"
    data = json.loads(path.read_text())
    data["shapes"][2]["points"][0][0] = float("nan")
    path.write_text(json.dumps(data))
    before = contents(tmp_path)
    assert not any(f.done for f in fix(dataset))
    assert contents(tmp_path) == before


def test_unreadable_shapes_stay_as_they_are(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    data = json.loads(path.read_text())
    odd = {"label": 3, "points": "none", "group_id": 5}
    change(dataset, shapes=[*data["shapes"], odd])
    assert any(f.done for f in fix(dataset))
    assert json.loads(path.read_text())["shapes"][-1] == odd


def test_undo_puts_every_byte_back(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {n: [square("Box", 2, 2, 5)] for n in ("a", "sub/b")})
    draw_dataset(tmp_path, {"c": [square("box", 2, 2, 5)]})
    change(dataset, mine=1)
    before = contents(tmp_path)
    assert len(fix(dataset)) == 2
    assert contents(tmp_path)["labelme/c.json"] == before["labelme/c.json"]
    assert contents(tmp_path)["labelme/sub/b.json.orig"] == before["labelme/sub/b.json"]
    assert rules(dataset) == []  # nothing reads the originals
    assert undo_fixes(dataset).restored == ("labelme/a.json", "labelme/sub/b.json")
    assert contents(tmp_path) == before


def test_the_oldest_original_is_kept_until_confirmed(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    oldest = path.read_bytes()
    fix(dataset)
    write_annotation(path, replace(read_annotation(path), shapes=(square("Disc", 2, 2, 5),)))
    assert only(fix(dataset), "label-typo").done
    assert (dataset.labelme / "a.json.orig").read_bytes() == oldest
    fixed = path.read_bytes()
    assert confirm_fixes(dataset) == ["labelme/a.json"]
    assert path.read_bytes() == fixed
    assert not list(tmp_path.rglob("*.orig")) and confirm_fixes(dataset) == []


def test_undo_does_not_throw_later_work_away(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    fix(dataset)
    write_annotation(path, replace(read_annotation(path), shapes=(square("Disc", 2, 2, 5),)))
    fix(dataset)
    drawn_since = path.read_bytes()
    undone = undo_fixes(dataset)
    assert (undone.restored, undone.changed) == ((), ("labelme/a.json",))
    assert path.read_bytes() == drawn_since


def test_a_stop_while_writing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    before = contents(tmp_path)
    checked = check_dataset(dataset)

    def stop(path: Path, *_: object) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(annotation.fixing.fix, "write_annotation", stop)
    with pytest.raises(KeyboardInterrupt):
        fix_dataset(dataset, checked)
    assert contents(tmp_path) == before


def test_waived_findings_are_not_fixed(tmp_path: Path) -> None:
    out = replace(square("disc", 35, 5, 10), flags={"checked": True})
    assert fix(drawn(tmp_path, out)) == []


def test_one_line_says_it(tmp_path: Path) -> None:
    fixed = Fixed("label-typo", "labelme/a\n.json", 1, True, "'Box' is now 'box'")
    expected = "fixed   labelme/a_.json: shapes[1]: 'Box' is now 'box' [label-typo]"
    assert fixed.line == expected
