from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape
from annotation.rules.validate import check_dataset
from base.errors import InputError
from conversion.coco.categories import categories_of
from conversion.coco.png import ids_to_rgb
from conversion.config import read_conversion_config
from conversion.stuff.index import open_index
from conversion.stuff.sources import StuffReader, open_stuff
from tests.drawn import ROAD, SKY, draw_dataset, square

NAME = "name: drawn\nthings: [box, disc]\nstuff: [sky-other-merged, road]\n"
PERSON, RIVER, GRAVEL, WOOD_FLOOR, RUG = 1, 148, 125, 118, 200
H, W = 4, 6


def reader(root: Path, yaml: str, photos: Sequence[str] = ("a",)) -> tuple[Dataset, StuffReader]:
    dataset = draw_dataset(root, {name: [] for name in photos}, yaml=NAME + yaml)
    config = read_conversion_config(dataset)
    return dataset, open_stuff(dataset, config, categories_of(dataset, config))


def stuff(root: Path, yaml: str, *shapes: Shape, name: str = "a.jpg") -> list[list[int]]:
    dataset, opened = reader(root, yaml)
    return opened.read(dataset.images / name, shapes, height=H, width=W).tolist()


def problem(root: Path, yaml: str) -> str:
    with pytest.raises(InputError) as error:
        stuff(root, yaml)
    return str(error.value)


def grey(path: Path, rows: Any, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8))
    if mode == "P":
        colors = [0, 0, 0, 128, 64, 128, 70, 130, 180, 9, 9, 9]
        image.putpalette(colors + [0] * (768 - len(colors)))
    image.save(path)


def halves(top: int, bottom: int, left: int | None = None) -> list[list[int]]:
    """Two rows each; the first column may differ."""
    rows = [[top] * W] * 2 + [[bottom] * W] * 2
    return rows if left is None else [[left, *row[1:]] for row in rows]


def rgb(path: Path, rows: list[list[int]], color_of: dict[int, tuple[int, int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[color_of[v] for v in row] for row in rows], np.uint8)).save(path)


def panoptic(
    path: Path, rows: list[list[int]], segments: list[dict[str, Any]], **more: Any
) -> Path:
    """A set with one photo, a.jpg, whose ids are `rows`; PNGs in the folder called like it."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "one.png"), ids_to_rgb(np.array(rows, np.uint32))[..., ::-1])
    value = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": len(rows), "width": len(rows[0])}],
        "annotations": [{"image_id": 7, "file_name": "one.png", "segments_info": segments}],
        "categories": [
            {"id": PERSON, "name": "person", "isthing": 1},
            {"id": ROAD, "name": "road", "isthing": 0},
            {"id": 3, "name": "sky-other-merged", "isthing": 0},  # an id of its own
            {"id": RIVER, "name": "river", "isthing": 0},
        ],
    }
    path.write_text(json.dumps({**value, **more}))
    return path


# --- dataset.yaml ---


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("stuff_sources: [{labelmaps: m}]", "unknown key 'labelmaps'; did you mean 'label_maps'?"),
        ("stuff_sources: [{coco: a, pixelmaps: b}]", "prediction, found coco and pixelmaps"),
        ("stuff_sources: [{table: t.csv}]", "expected one of label_maps, .*, found none"),
        ("stuff_sources: [{coco: a, confidence: 0.3}]", "confidence: belongs to prediction"),
        ("stuff_sources: [{prediction: a, confidence: 3}]", "<= 1"),
        ("stuff_sources: [{shapes: [box]}]", "things and shapes: 'box' appears twice"),
        ("stuff_sources: [{shapes: [road]}, {shapes: [road]}]", "shapes: 'road' appears twice"),
        ("stuff_groups: {ground: [road]}", "stuff and stuff_groups: 'road' appears twice"),
        ("own_stuff: [road]", "things and stuff: 'road' appears twice"),
        (
            "stuff_groups: {ground: [sandd]}",
            "ground: 'sandd' is no COCO stuff; did you mean 'sand'",
        ),
        ("stuff_sources: [{label_maps: ../m}]", "path must stay in"),
        ("stuff_sources: [{pixelmaps: m}]", "m: missing; .* expects a folder of pixel maps"),
    ],
)
def test_wrong_configurations(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, yaml)


# --- label maps ---


def test_values_of_label_maps_are_coco_ids_and_what_the_set_lacks_is_void(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(SKY, ROAD, left=RIVER))
    assert stuff(tmp_path, "stuff_sources: [{label_maps: maps}]") == halves(SKY, ROAD, left=0)


def test_photos_that_differ_in_their_suffix_have_maps_of_their_own(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(SKY, SKY))
    grey(tmp_path / "maps/a.jpg.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{label_maps: maps}]"
    assert stuff(tmp_path, yaml, name="a.jpg") == halves(ROAD, ROAD)
    assert stuff(tmp_path, yaml, name="a.png") == halves(SKY, SKY)


@pytest.mark.parametrize("mode", [None, "P"])
def test_a_table_explains_values_and_palette_indices(tmp_path: Path, mode: str | None) -> None:
    grey(tmp_path / "maps/a.png", halves(2, 1, left=3), mode)
    table = "table: {1: road, 2: sky-other-merged, 3: ~}"
    assert stuff(tmp_path, f"stuff_sources: [{{label_maps: maps, {table}}}]") == halves(
        SKY, ROAD, left=0
    )


def test_a_table_explains_colours_also_those_of_a_palette(tmp_path: Path) -> None:
    table = "table: {'#804080': road, '#4682b4': sky-other-merged, '#090909': person}"
    yaml = f"stuff_sources: [{{label_maps: maps, {table}}}]"
    colors = {1: (128, 64, 128), 2: (70, 130, 180), 3: (9, 9, 9)}
    rgb(tmp_path / "maps/a.png", halves(2, 1, left=3), colors)
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)
    grey(tmp_path / "maps/a.png", halves(2, 1, left=3), "P")
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)


@pytest.mark.parametrize(
    "text",
    ["value,name\n1,road\n2,sky-other\n", "red,green,blue,name\n0,0,1,road\n0,0,2,sky-other\n"],
)
def test_a_table_may_be_a_csv_and_speak_as_coco_stuff_does(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    grey(tmp_path / "maps/a.png", halves(2, 1))
    if "red" in text:
        rgb(tmp_path / "maps/a.png", halves(2, 1), {1: (0, 0, 1), 2: (0, 0, 2)})
    yaml = "stuff_sources: [{label_maps: maps, table: table.csv}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD)


def test_many_colours_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.choice(1 << 24, 3000, replace=False)
    meant = rng.choice(["road", "sky-other-merged", ""], 3000)
    lines = [f"{c >> 16},{c >> 8 & 255},{c & 255},{m}" for c, m in zip(codes, meant, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["red,green,blue,name", *lines]))
    picture = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
    (tmp_path / "maps").mkdir()
    Image.fromarray(picture.reshape(50, 60, 3)).save(tmp_path / "maps/a.png")
    dataset, opened = reader(tmp_path, "stuff_sources: [{label_maps: maps, table: t.csv}]")
    found = opened.read(dataset.images / "a.jpg", (), height=50, width=60)
    expected = [{"road": ROAD, "sky-other-merged": SKY, "": 0}[m] for m in meant]
    assert found.ravel().tolist() == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{1: raod}", "table: 'raod' is no stuff; did you mean 'road'?"),
        ("{1: road, '#000002': road}", "expected a table of values or of colours, got both"),
        ("{}", "got none"),
        ("{1: road, '1': road}", "table: '1' appears twice"),
        ("{x: road}", "expected a value 0..65534 or a colour '#rrggbb', got 'x'"),
        ("t.csv", "t.csv: expected columns value,name or red,green,blue,name, got name, valu"),
        ("u.csv", "u.csv: line 2: expected a value 0..65534 or a colour"),
        ("{1: road}", "a.png: values must be those of .*table, got \\[2\\]"),
        ("{'#000001': road}", "a.png: expected an RGB or palette PNG of 6x4 pixels.*mode L"),
    ],
)
def test_wrong_tables(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("valu,name\n1,road\n")
    (tmp_path / "u.csv").write_text("red,green,blue,name\n1,2,300,road\n")
    grey(tmp_path / "maps/a.png", halves(2, 1))
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, f"stuff_sources: [{{label_maps: maps, table: {table}}}]")


# --- COCO ---


def test_a_panoptic_set_gives_its_stuff_by_name_and_its_things_are_void(tmp_path: Path) -> None:
    segments = [
        {"id": 1, "category_id": ROAD},
        {"id": 70000, "category_id": 3},
        {"id": 300, "category_id": PERSON},
    ]
    panoptic(tmp_path / "coco.json", halves(70000, 1, left=300), segments)
    yaml = "stuff_sources: [{coco: coco.json}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)


def test_a_stuff_json_has_run_lengths_and_polygons(tmp_path: Path) -> None:
    mask = np.asfortranarray(np.array(halves(1, 0), np.uint8))
    code = {"size": [H, W], "counts": coco_mask.encode(mask)["counts"].decode()}
    value = {
        "images": [{"id": 7, "file_name": "train/a.jpg", "height": H, "width": W}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 157, "segmentation": code},
            {
                "id": 2,
                "image_id": 7,
                "category_id": ROAD,
                "segmentation": [[0, 2, 6, 2, 6, 4, 0, 4]],
            },
        ],
        "categories": [
            {"id": 157, "name": "sky-other", "supercategory": "sky"},
            {"id": ROAD, "name": "road", "supercategory": "ground"},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(value))
    assert stuff(tmp_path, "stuff_sources: [{coco: coco.json}]") == halves(SKY, ROAD)


@pytest.mark.parametrize(
    ("photo", "stored"),
    [
        ("a.jpg", "a.jpg"),
        ("sub/a.jpg", "sub/a.jpg"),
        ("sub/a.jpg", "a.jpg"),
        ("a.jpg", "val2017/a.jpg"),
        ("000000000007.jpg", "x.jpg"),
        ("COCO_val2014_000000000007.png", "x.jpg"),
    ],
)
def test_photos_are_found_by_name_or_id(tmp_path: Path, photo: str, stored: str) -> None:
    images = [
        {"id": 8, "file_name": "other/z.jpg", "height": H, "width": W},
        {"id": 7, "file_name": stored, "height": H, "width": W},
    ]
    segments = [{"id": 1, "category_id": ROAD}]
    panoptic(tmp_path / "coco.json", halves(1, 1), segments, images=images)
    yaml = "stuff_sources: [{coco: coco.json}]"
    assert stuff(tmp_path, yaml, name=photo) == halves(ROAD, ROAD)
    assert stuff(tmp_path, yaml, name="elsewhere/b.jpg") == halves(0, 0)


def test_each_of_many_photos_is_found(tmp_path: Path) -> None:
    images = [
        {"id": i * 3, "file_name": f"{i:05}.x.jpg", "height": H, "width": W} for i in range(5000)
    ]
    segments = [{"id": 1, "category_id": ROAD}]
    annotations = [
        {"image_id": i * 3, "file_name": f"{i}.png", "segments_info": segments}
        for i in reversed(range(5000))
    ]
    path = tmp_path / "coco.json"
    panoptic(path, halves(1, 1), segments, images=images, annotations=annotations)
    index = open_index(path)
    for i in range(5000):
        row = index.find(f"{i:05}.x.jpg", shared=(), by_id=True)
        assert row == i
        (raw,) = index.annotations(row)
        assert json.loads(raw) == annotations[-1 - i]
    assert index.find("5000.x.jpg", shared=(), by_id=True) is None
    size = sum(a.nbytes for a in (index.keys, index.rows, index.sizes, index.first, index.spans))
    assert size < 100 * 5000  # bytes a photo, whatever the file says of it


def test_another_folder_is_another_photo(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "one/a.jpg", "height": H, "width": W}]
    panoptic(tmp_path / "c.json", halves(1, 1), [{"id": 1, "category_id": ROAD}], images=images)
    yaml = "stuff_sources: [{coco: c.json}]"
    assert stuff(tmp_path, yaml, name="two/a.jpg") == halves(0, 0)


@pytest.mark.parametrize("name", ["a.png", "000000000007.png"])
def test_pixel_maps_have_ids_of_coco_stuff(tmp_path: Path, name: str) -> None:
    grey(tmp_path / "maps" / name, halves(157, ROAD, left=183), "P")  # sky-other; 183 is `other`
    yaml = "stuff_sources: [{pixelmaps: maps}]"
    photo = name.replace(".png", ".jpg")
    assert stuff(tmp_path, yaml, name=photo) == halves(SKY, ROAD, left=0)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([{"id": 1, "category_id": 999}], "coco.json: a.jpg: category_id 999 is not among"),
        ([{"id": 2, "category_id": ROAD}], r"one.png: has ids without a segment: \[1\]"),
        ([{"id": 0, "category_id": ROAD}], "annotations of a.jpg: Expected `int` >= 1"),
    ],
)
def test_wrong_segments(tmp_path: Path, segments: list[dict[str, Any]], message: str) -> None:
    panoptic(tmp_path / "coco.json", halves(1, 1), segments)
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, "stuff_sources: [{coco: coco.json}]")


@pytest.mark.parametrize("kind", ["coco: m.json", "pixelmaps: m", "label_maps: m"])
def test_maps_of_another_size_are_refused(tmp_path: Path, kind: str) -> None:
    panoptic(tmp_path / "m.json", [[1] * 6] * 3, [{"id": 1, "category_id": ROAD}])
    grey(tmp_path / "m/a.png", [[ROAD] * 6] * 3)
    message = problem(tmp_path, f"stuff_sources: [{{{kind}}}]")
    assert "6x4" in message and "got 6x3" in message


def test_what_is_no_coco_file_is_said(tmp_path: Path) -> None:
    yaml = "stuff_sources: [{coco: c.json}]"
    tmp_path.mkdir(exist_ok=True)
    assert "c.json: cannot be read" in problem(tmp_path, yaml)
    for text, message in [
        ("", "is no COCO file"),
        ("[1]", "is no COCO file"),
        ('{"images": []}', "annotations is missing"),
        (
            '{"images": [], "annotations": [{"image_id": 3}], "categories": []}',
            "annotations[0]: image_id 3 has no image",
        ),
    ]:
        (tmp_path / "c.json").write_text(text)
        assert message in problem(tmp_path, yaml)
    (tmp_path / "c.json").unlink()
    yaml = "stuff_sources: [{coco: ../c.json}]"
    assert "path must stay in" in problem(tmp_path, yaml)


# --- shapes ---


def test_shapes_declared_stuff_are_stuff_and_nothing_else(tmp_path: Path) -> None:
    yaml = "stuff_sources: [{shapes: [road]}, {shapes: {heaven: sky-other-merged}}]\n"
    shapes = [
        square("road", 0, 2, 4, group_id=1),
        square("__hole__", 1, 2, 1, group_id=1),
        square("heaven", 0, 0, 3),
        square("box", 4, 0, 2),
    ]
    assert stuff(tmp_path, yaml, *shapes) == [
        [SKY, SKY, SKY, 0, 0, 0],
        [SKY, SKY, SKY, 0, 0, 0],
        [ROAD, SKY, ROAD, ROAD, 0, 0],  # road was named first; it has a hole
        [ROAD, ROAD, ROAD, ROAD, 0, 0],
    ]
    dataset = draw_dataset(tmp_path, {"a": shapes}, yaml=NAME + yaml)
    assert dataset.config.labels == ("box", "disc", "road", "heaven", "__ignore__", "__hole__")
    rules = {finding.rule for finding in check_dataset(dataset).findings}
    assert not rules & {"label-unknown", "label-typo", "hole-alone", "thing-hidden"}


def test_shapes_of_stuff_that_the_set_lacks_are_a_mistake(tmp_path: Path) -> None:
    message = problem(tmp_path, "stuff_sources: [{shapes: {way: raod}}]")
    assert "stuff_sources[0]: shapes: way: 'raod' is no stuff of the set; did you mean 'road'?" in (
        message
    )


# --- predictions ---


def predicted(path: Path, *scores: float) -> Path:
    """Sky over road, a person in the first column, with these scores."""
    ids, categories = (1, 2, 3), (3, ROAD, PERSON)
    segments = [
        {"id": i, "category_id": c, "score": s}
        for i, c, s in zip(ids, categories, scores, strict=True)
    ]
    return panoptic(path, halves(1, 2, left=3), segments)


def test_predicted_stuff_counts_from_its_confidence_on(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.5, 0.4, 0.9)
    sources = "stuff_sources: [{prediction: p.json%s}]"
    assert stuff(tmp_path, sources % "") == halves(SKY, 0, left=0)
    assert stuff(tmp_path, sources % ", confidence: 0.3") == halves(SKY, ROAD, left=0)


def test_a_predicted_thing_is_void_and_no_later_source_fills_it(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.9, 0.1, 0.9)
    grey(tmp_path / "maps/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{prediction: p.json}, {label_maps: maps}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)
    predicted(tmp_path / "p.json", 0.9, 0.1, 0.2)  # not sure of the person: the map decides
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=ROAD)


def test_a_prediction_needs_scores(tmp_path: Path) -> None:
    panoptic(tmp_path / "p.json", halves(1, 1), [{"id": 1, "category_id": ROAD}])
    message = problem(tmp_path, "stuff_sources: [{prediction: p.json}]")
    assert "a.jpg: segment 1: a prediction needs a score" in message


# --- several sources, groups, own stuff ---


def test_the_first_source_that_speaks_wins(tmp_path: Path) -> None:
    grey(tmp_path / "m1/a.png", halves(0, SKY, left=RIVER))
    grey(tmp_path / "m2/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{label_maps: m1}, {label_maps: m2}]"
    assert stuff(tmp_path, yaml) == halves(ROAD, SKY, left=0)  # a river is no road


def test_groups_join_stuff_and_own_stuff_has_names_of_its_own(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(WOOD_FLOOR, RUG, left=GRAVEL))
    grey(tmp_path / "mine/a.png", halves(5, 5))
    yaml = """\
own_stuff: [puddle]
stuff_groups: {floor: [floor-wood, rug-merged], dirt-merged: [gravel]}
stuff_sources: [{label_maps: maps}]
"""
    floor = 2001
    assert stuff(tmp_path, yaml) == halves(floor, floor, left=194)
    yaml = yaml.replace("label_maps: maps", "label_maps: mine, table: {5: puddle}")
    assert stuff(tmp_path, yaml) == halves(1001, 1001)
    yaml = yaml.replace("puddle}", "floor}")
    assert stuff(tmp_path, yaml) == halves(floor, floor)


def test_inputs_are_what_decides_and_a_reader_travels(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    grey(tmp_path / "maps/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{prediction: p.json}, {label_maps: maps}, {shapes: [road]}]"
    dataset, opened = reader(tmp_path, yaml)
    photo = dataset.images / "a.jpg"
    inputs = opened.inputs(photo)
    assert tmp_path / "maps/a.png" in inputs and tmp_path / "p/one.png" in inputs
    assert tmp_path / "p.json" not in inputs
    again = pickle.loads(pickle.dumps(opened))
    assert again.inputs(photo) == inputs
    assert np.array_equal(
        again.read(photo, (), height=H, width=W), opened.read(photo, (), height=H, width=W)
    )
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.8)
    assert reader(tmp_path, yaml)[1].inputs(photo) != inputs
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    assert reader(tmp_path, yaml)[1].inputs(photo) == inputs
    surer = yaml.replace("p.json}", "p.json, confidence: 0.7}")
    assert reader(tmp_path, surer)[1].inputs(photo) != inputs


def test_another_photo_in_the_file_does_not_change_the_inputs(tmp_path: Path) -> None:
    path = predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    yaml = "stuff_sources: [{prediction: p.json}]"
    dataset, opened = reader(tmp_path, yaml)
    before = opened.inputs(dataset.images / "a.jpg")
    value = json.loads(path.read_text())
    value["images"].insert(0, {"id": 1, "file_name": "0.jpg", "height": H, "width": W})
    value["images"][1]["id"] = value["annotations"][0]["image_id"] = 2
    path.write_text(json.dumps(value, indent=1))
    assert reader(tmp_path, yaml)[1].inputs(dataset.images / "a.jpg") == before
