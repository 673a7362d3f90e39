from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import conversion.importing.write
from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.geometry import encode_mask_png, mask_pixels
from annotation.rules.validate import check_dataset
from base.errors import InputError
from conversion.building.build import convert
from conversion.coco.panoptic import read_panoptic
from conversion.coco.png import ids_to_rgb
from conversion.importing.importer import Imported, import_coco
from conversion.importing.write import Written
from tests.drawn import ROAD, SKY, YAML, draw_dataset, draw_photo, square

FACADES = Path(__file__).parents[4] / "shared" / "data" / "facades"
CATEGORY = {"id": 1, "name": "box", "supercategory": ""}
TRIANGLE = [2.5, 3.25, 12, 3.25, 7.125, 11]


def photo(path: Path, *, height: int = 30, width: int = 40, grey: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), grey, np.uint8))
    return path


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def image(number: int, file_name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": file_name, "width": 40, "height": 30, **more}


def instance(number: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    values = {"id": number, "image_id": 1, "category_id": 1, "segmentation": segmentation}
    return {**values, "area": 1.0, "bbox": [0, 0, 1, 1], "iscrowd": 0, **more}


def coco(folder: Path, *annotations: dict[str, Any], **members: Any) -> Path:
    """A file with one photo, a.jpg, beside it."""
    photo(folder / "a.jpg")
    value = {"images": [image(1, "a.jpg")], "annotations": annotations, "categories": [CATEGORY]}
    return write(folder / "coco.json", {**value, **members})


def shapes_in(done: Imported) -> int:
    return sum(one.shapes for one in done.written)


def present_in(done: Imported) -> int:
    return sum(one.present for one in done.written)


def shapes_of(root: Path, name: str = "a") -> tuple[Shape, ...]:
    return read_annotation(root / "labelme" / f"{name}.json").shapes


def rle(rows: list[str], *, compressed: bool) -> dict[str, Any]:
    """An RLE of 40x30 pixels whose upper left corner is drawn: # is set."""
    mask = np.zeros((30, 40), np.uint8, order="F")
    for y, row in enumerate(rows):
        mask[y, : len(row)] = [c == "#" for c in row]
    if compressed:
        return {"size": [30, 40], "counts": coco_mask.encode(mask)["counts"].decode()}
    flat = np.concatenate([[0], mask.ravel(order="F"), [2]])
    edges = np.flatnonzero(np.diff(flat)).tolist()
    runs = np.diff([0, *edges]).tolist()
    assert sum(runs) == 1200
    return {"size": [30, 40], "counts": runs}


def problem(source: Path, root: Path, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        import_coco(source, root, **options)
    return str(error.value)


# --- shapes ---


def test_polygons_stay_as_they_are_and_those_of_one_annotation_share_a_group(
    tmp_path: Path,
) -> None:
    other = [20, 5, 30, 5, 30, 15.5]
    import_coco(
        coco(
            tmp_path / "s",
            instance(7, [TRIANGLE]),
            instance(8, [TRIANGLE, other]),
            instance(9, [other, TRIANGLE]),
        ),
        tmp_path / "set",
    )
    shapes = shapes_of(tmp_path / "set")
    first = ((2.5, 3.25), (12.0, 3.25), (7.125, 11.0))
    second = ((20.0, 5.0), (30.0, 5.0), (30.0, 15.5))
    assert [s.points for s in shapes] == [first, first, second, second, first]
    assert [s.group_id for s in shapes] == [None, 1, 1, 2, 2]
    assert {s.shape_type for s in shapes} == {"polygon"}
    assert [s.extra["coco"]["id"] for s in shapes] == [7, 8, 8, 9, 9]


@pytest.mark.parametrize("compressed", [False, True])
def test_an_rle_becomes_a_mask_cropped_to_its_box_as_labelme_writes_it(
    tmp_path: Path, compressed: bool
) -> None:
    drawn = ["......", "..##..", ".#..#.", "..##.."]
    source = coco(tmp_path / "s", instance(1, rle(drawn, compressed=compressed), iscrowd=1))
    import_coco(source, tmp_path / "set")
    (shape,) = shapes_of(tmp_path / "set")
    assert shape.points == ((1.0, 1.0), (4.0, 3.0))  # first and last pixel: a box of 4x3
    mask, corner = mask_pixels(shape)
    assert corner == (1, 1)
    assert ["".join(".#"[p] for p in row) for row in mask.astype(int)] == [".##.", "#..#", ".##."]
    assert shape.flags == {"crowd": True}


def test_labelme_itself_sees_the_same_pixels(tmp_path: Path) -> None:
    labelme_utils = pytest.importorskip("labelme.utils")
    drawn = ["......", "..##..", ".#..#.", "..##.."]
    import_coco(coco(tmp_path / "s", instance(1, rle(drawn, compressed=True))), tmp_path / "set")
    (shape,) = json.loads((tmp_path / "set/labelme/a.json").read_text())["shapes"]
    shape["mask"] = labelme_utils.img_b64_to_arr(shape["mask"]).astype(bool)
    pixels, _ = labelme_utils.shapes_to_label((30, 40), [shape], {"box": 1})
    want = coco_mask.decode(rle(drawn, compressed=True))
    assert np.array_equal(pixels, want)


def test_a_bare_box_becomes_a_rectangle(tmp_path: Path) -> None:
    bare = instance(2, None, bbox=[1, 2, 3, 4])
    del bare["segmentation"]
    annotations = [
        instance(1, [], bbox=[4.5, 5, 10.25, 8]),
        bare,
        instance(3, [[]], bbox=[1, 2, 3, 4]),
    ]
    import_coco(coco(tmp_path / "s", *annotations), tmp_path / "set")
    shapes = shapes_of(tmp_path / "set")
    assert [s.shape_type for s in shapes] == ["rectangle"] * 3
    assert shapes[0].points == ((4.5, 5.0), (14.75, 13.0))
    assert shapes[1].points == shapes[2].points == ((1.0, 2.0), (4.0, 6.0))


def test_flags_stand_beside_the_keys_or_under_attributes(tmp_path: Path) -> None:
    attributes = {"occluded": True, "truncated": 0, "rotation": 0.0, "track_id": 4}
    source = coco(
        tmp_path / "s",
        instance(1, [TRIANGLE], attributes=attributes, score=0.5),
        instance(2, [TRIANGLE], occluded=1, truncated=False),
        instance(3, [TRIANGLE], attributes={"occluded": "partly"}),  # no flag: kept as it is
        instance(4, [TRIANGLE, TRIANGLE], iscrowd=1, attributes={"truncated": True}),
    )
    import_coco(source, tmp_path / "set")
    crowd, crowd_too, one, two, three = shapes_of(tmp_path / "set")  # crowds lie below
    assert one.flags == {"occluded": True, "truncated": False}
    assert two.flags == {"occluded": True, "truncated": False}
    assert three.flags == {}
    assert crowd.flags == crowd_too.flags == {"crowd": True, "truncated": True}
    kept = {"id": 1, "category_id": 1, "area": 1.0, "bbox": [0, 0, 1, 1], "score": 0.5}
    assert one.extra["coco"] == {**kept, "attributes": {"rotation": 0.0, "track_id": 4}}
    assert three.extra["coco"]["attributes"] == {"occluded": "partly"}


def test_what_labelme_has_no_place_for_is_kept(tmp_path: Path) -> None:
    licence = {"id": 3, "name": "CC BY 4.0", "url": "https://example.org"}
    category = {**CATEGORY, "keypoints": ["head"]}
    source = coco(
        tmp_path / "s",
        instance(1, [TRIANGLE], keypoints=[1, 2, 2], num_keypoints=1),
        images=[image(1, "a.jpg", license=3, date_captured="2023-01-01")],
        info={"contributor": "me"},
        licenses=[licence],
        categories=[category],
    )
    import_coco(source, tmp_path / "set")
    annotation = read_annotation(tmp_path / "set/labelme/a.json")
    assert annotation.extra["coco"]["image"]["license"] == 3
    assert annotation.shapes[0].extra["coco"]["keypoints"] == [1, 2, 2]
    (record,) = json.loads((tmp_path / "set/imported.json").read_text())["sources"]
    assert record["licenses"] == [licence]
    assert (record["info"], record["categories"]) == ({"contributor": "me"}, [category])


def test_too_few_points_and_empty_masks_come_in_and_validation_reports_them(tmp_path: Path) -> None:
    source = coco(
        tmp_path / "s",
        instance(1, [[1, 2, 3, 4]]),
        instance(2, {"size": [30, 40], "counts": [1200]}),
        instance(3, [TRIANGLE]),
    )
    import_coco(source, tmp_path / "set")
    checked = check_dataset(open_dataset(tmp_path / "set"))
    errors = [(f.rule, f.shape) for f in checked.findings if f.severity == "error"]
    assert sorted(errors) == [("points-few", 0), ("zero-area", 1)]


# --- layouts of real programs ---


def test_cvat(tmp_path: Path) -> None:
    photo(tmp_path / "cvat/images/street/a.jpg")
    info = {"contributor": "", "date_created": "", "description": "", "url": "", "version": ""}
    write(
        tmp_path / "cvat/annotations/instances_default.json",
        {
            "licenses": [{"name": "", "id": 0, "url": ""}],
            "info": {**info, "year": ""},
            "categories": [
                {"id": 1, "name": "window", "supercategory": ""},
                {"id": 2, "name": "car", "supercategory": ""},
            ],
            "images": [
                {
                    "id": 1,
                    "width": 40,
                    "height": 30,
                    "file_name": "street/a.jpg",
                    "license": 0,
                    "flickr_url": "",
                    "coco_url": "",
                    "date_captured": 0,
                }
            ],
            "annotations": [
                instance(1, [TRIANGLE], category_id=2, attributes={"occluded": True}),
                instance(
                    2,
                    rle(["##", "##"], compressed=False),
                    attributes={"occluded": False},
                ),
                instance(3, [], bbox=[1.0, 2.0, 3.0, 4.0], attributes={"rotation": 0.0}),
            ],
        },
    )
    done = import_coco(tmp_path / "cvat", tmp_path / "set")
    assert dict(done.splits) == {"street/a.jpg": "default"}
    shapes = shapes_of(tmp_path / "set", "street/a")
    assert [s.label for s in shapes] == ["car", "window", "window"]
    assert [s.flags for s in shapes] == [{"occluded": True}, {"occluded": False}, {}]
    dataset = open_dataset(tmp_path / "set")
    assert dataset.config.things == ("window", "car")
    (record,) = check_dataset(dataset).annotations
    assert record.usable
    assert record.photo == tmp_path / "set/images/street/a.jpg"


def test_roboflow(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        photo(tmp_path / "rf" / split / "a_jpg.rf.0a1b.jpg", grey=50 * number)
        value = {
            "info": {"year": "2023", "version": "1", "contributor": "Roboflow", "url": ""},
            "licenses": [{"id": 1, "url": "", "name": "CC BY 4.0"}],
            "categories": [
                {"id": 0, "name": "windows", "supercategory": "none"},
                {"id": 1, "name": "window", "supercategory": "windows"},
                {"id": 2, "name": "door", "supercategory": "windows"},
            ],
            "images": [
                {
                    "id": 0,
                    "license": 1,
                    "file_name": "a_jpg.rf.0a1b.jpg",
                    "height": 30,
                    "width": 40,
                    "date_captured": "2023-04-01T10:00:00+00:00",
                    "extra": {"name": "a.jpg"},
                }
            ],
            "annotations": [instance(0, [TRIANGLE], image_id=0, category_id=1)],
        }
        write(tmp_path / "rf" / split / "_annotations.coco.json", value)
    (tmp_path / "rf/README.roboflow.txt").write_text("text")
    done = import_coco(tmp_path / "rf", tmp_path / "set")
    assert dict(done.splits) == {
        f"{split}/a_jpg.rf.0a1b.jpg": split for split in ("test", "train", "valid")
    }
    assert open_dataset(tmp_path / "set").config.things == ("window", "door")  # no group of others
    assert shapes_of(tmp_path / "set", "valid/a_jpg.rf.0a1b")[0].label == "window"
    pixels = cv2.imread(str(tmp_path / "set/images/valid/a_jpg.rf.0a1b.jpg"))
    assert pixels[0, 0, 0] == 50
    alone = import_coco(tmp_path / "rf/train/_annotations.coco.json", tmp_path / "one")
    assert dict(alone.splits) == {"a_jpg.rf.0a1b.jpg": "train"}


def test_roboflow_group_called_like_its_only_class(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "window", "supercategory": "none"},
        {"id": 1, "name": "window", "supercategory": "window"},
    ]
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), categories=categories)
    import_coco(source, tmp_path / "set")
    assert open_dataset(tmp_path / "set").config.things == ("window",)


@pytest.mark.parametrize("stored", ["images/7/b.jpg", "images\\7\\b.jpg", "7/b.jpg"])
def test_label_studio(tmp_path: Path, stored: str) -> None:
    photo(tmp_path / "ls/images/7/b.jpg")
    value = {
        "images": [{"width": 40, "height": 30, "id": 0, "file_name": stored}],
        "categories": [{"id": 0, "name": "window"}, {"id": 1, "name": "door"}],
        "annotations": [
            instance(0, [], image_id=0, category_id=1, ignore=0, bbox=[1.5, 2.0, 10.0, 10.0]),
            instance(1, [TRIANGLE], image_id=0, category_id=0, ignore=0),
        ],
        "info": {"year": 2023, "version": "1.0", "contributor": "Label Studio"},
    }
    write(tmp_path / "ls/result.json", value)
    done = import_coco(tmp_path / "ls", tmp_path / "set")
    assert dict(done.splits) == {"7/b.jpg": ""}
    assert [s.label for s in shapes_of(tmp_path / "set", "7/b")] == ["door", "window"]
    assert (tmp_path / "set/images/7/b.jpg").is_file()


def test_coco_own_layout_prefers_instances_to_keypoints(tmp_path: Path) -> None:
    photo(tmp_path / "coco/val2017/000000000139.jpg")
    value = {
        "info": {},
        "licenses": [],
        "images": [image(139, "000000000139.jpg")],
        "annotations": [instance(1, [TRIANGLE], image_id=139)],
        "categories": [{"supercategory": "person", "id": 1, "name": "person"}],
    }
    for name in ("instances", "person_keypoints"):
        write(tmp_path / f"coco/annotations/{name}_val2017.json", value)
    captions = {k: v for k, v in value.items() if k != "categories"}
    write(tmp_path / "coco/annotations/captions_val2017.json", captions)
    done = import_coco(tmp_path / "coco", tmp_path / "set")
    assert dict(done.splits) == {"000000000139.jpg": "val2017"}
    assert [path.name for path in done.left_out] == ["person_keypoints_val2017.json"]
    assert any("left out" in line for line in done.lines())
    # where none is better, somebody has to choose
    other = tmp_path / "coco/val2017/instances_val2017.json"
    write(other, value)
    assert "bring in one of the files" in problem(tmp_path / "coco", tmp_path / "other")


def test_a_folder_of_photos_can_be_named(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    (tmp_path / "s/a.jpg").rename(photo(tmp_path / "elsewhere/x/b.jpg").with_name("a.jpg"))
    assert "photo 'a.jpg' is missing; looked in" in problem(source, tmp_path / "set")
    import_coco(source, tmp_path / "set", images=tmp_path / "elsewhere/x")
    assert (tmp_path / "set/images/a.jpg").is_file()


def test_photos_that_differ_in_their_suffix_only_do_not_share_a_labelme_file(
    tmp_path: Path,
) -> None:
    photo(tmp_path / "s/a.png", grey=9)
    images = [image(1, "a.jpg"), image(2, "a.png")]
    source = coco(tmp_path / "s", instance(1, [TRIANGLE], image_id=2), images=images)
    done = import_coco(source, tmp_path / "set")
    assert list(done.splits) == ["a.jpg", "a-2.png"]
    assert [len(shapes_of(tmp_path / "set", name)) for name in ("a", "a-2")] == [0, 1]
    assert all(
        record.usable for record in check_dataset(open_dataset(tmp_path / "set")).annotations
    )


# --- there and back ---

Segments = dict[str, list[tuple[Any, ...]]]


def segments(dataset: Dataset) -> Segments:
    """Of each photo, whatever its split, its segments with their pixels."""
    result = {}
    for split in ("train", "test"):
        panoptic = read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        names = {c.id: c.name for c in panoptic.categories}
        for one in panoptic.photos:
            ids = panoptic.segment_ids(one)
            result[one.file_name] = sorted(
                (
                    names[s.category_id],
                    s.category_id,
                    s.area,
                    s.bbox,
                    s.iscrowd,
                    s.attributes,
                    (ids == s.id).tobytes(),
                )
                for s in one.segments
            )
    return result


def build(dataset: Dataset) -> Segments:
    built = convert(dataset)
    assert not built.left_out
    return segments(dataset)


def assert_round_trip(dataset: Dataset, root: Path) -> None:
    before = build(dataset)
    done = import_coco(dataset.panoptic, root)
    assert done.splits.keys() == before.keys()
    assert len(done.left_out) == 2  # instances_{train,test}.json: panoptic_*.json say more
    again = open_dataset(root)
    assert (again.config.things, set(again.config.stuff)) == (
        dataset.config.things,
        set(dataset.config.stuff),
    )
    assert build(again) == before


def test_round_trip_of_everything_that_can_be_drawn(tmp_path: Path) -> None:
    flags = {"crowd": True, "occluded": True}
    mask = encode_mask_png(np.array([[1, 0, 1], [0, 1, 0]], bool))
    hole = square("__hole__", 4, 4, 3, 1)
    photos = {
        "groups/one.x": [square("box", 1, 2, 9, 1), hole, square("box", 20, 2, 5, 1)],
        "overlap": [square("box", 1, 1, 12), square("disc", 6, 6, 12), square("box", 9, 9, 3)],
        "crowd": [
            replace(square("box", 1, 1, 20), flags=flags),
            replace(square("disc", 5, 5, 4), flags={"truncated": True}),
        ],
        "small": [square("box", 3, 3, 1), square("disc", 39, 29, 1), square("box", 0, 0, 1)],
        "lines": [
            Shape("box", ((2.0, 2.0), (30.0, 20.0)), "line"),
            Shape("disc", ((10.0, 20.0),), "point"),
            Shape("disc", ((15.0, 12.0), (22.0, 12.0)), "circle"),
            Shape("box", ((31.0, 5.0), (33.0, 6.0)), "mask", mask=mask),
        ],
        "ignored": [square("box", 0, 0, 9), square("__ignore__", 3, 3, 9)],
        "empty": [],
        "hidden": [square("box", 5, 5, 3), square("disc", 2, 2, 9)],
    }
    dataset = draw_dataset(tmp_path / "set", photos, yaml=YAML + "line_width: 3\n")
    draw_photo(dataset.root, "nostuff", [square("box", 2, 2, 9)], stuff=False)
    assert_round_trip(dataset, tmp_path / "again")


@pytest.mark.parametrize("seed", range(5))
def test_round_trip_of_random_shapes(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = {
        f"p{i}": [
            Shape(
                str(rng.choice(["box", "disc"])),
                tuple(map(tuple, rng.uniform(0, 30, (rng.integers(3, 7), 2)).tolist())),
                group_id=int(rng.integers(3)) or None,
                flags={"crowd": bool(rng.random() < 0.2), "occluded": bool(rng.random() < 0.5)},
            )
            for _ in range(rng.integers(1, 8))
        ]
        for i in range(3)
    }
    assert_round_trip(draw_dataset(tmp_path / "set", photos), tmp_path / "again")


def test_round_trip_of_facades(tmp_path: Path) -> None:
    if not FACADES.is_dir():
        pytest.skip(f"no facades set at {FACADES}")
    root = tmp_path / "set"
    for name in sorted((FACADES / "labelme").glob("*.json"))[:400:100]:
        for folder, suffix in (("labelme", ".json"), ("images", ".jpg"), ("stuff", ".png")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{name.stem}{suffix}").write_bytes(
                (FACADES / folder / f"{name.stem}{suffix}").read_bytes()
            )
    labels = (FACADES / "labels.txt").read_text().split()
    things = [label for label in labels if not label.startswith("__") and label != "_background_"]
    stuff = "[building-other-merged, road, tree-merged, fence-merged, sky-other-merged]"
    (root / "dataset.yaml").write_text(
        f"name: f\nthings: [{', '.join(things)}]\nstuff: {stuff}\n"
        "stuff_sources: [{label_maps: stuff}]\nsplit: {train: 0.5, test: 0.5}\n"
    )
    assert_round_trip(open_dataset(root), tmp_path / "again")


def test_instances_that_do_not_overlap_keep_their_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(12):  # each in its own tile of 10x10
        x, y = number % 4 * 10, number // 4 * 10
        polygons = (rng.uniform(0, 10, (2, 5, 2)) + np.array([x, y])).reshape(2, -1).tolist()
        segmentation: Any = polygons[: 1 + number % 2]
        if number % 3 == 0:
            mask = np.zeros((30, 40), np.uint8, order="F")
            mask[y : y + 10, x : x + 10] = rng.random((10, 10)) < 0.5
            counts = coco_mask.encode(mask)["counts"].decode()
            segmentation = {"size": [30, 40], "counts": counts}
        annotations.append(instance(100 + number, segmentation, iscrowd=int(number == 3)))
    source = coco(tmp_path / "s", *annotations)
    import_coco(source, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    convert(dataset)
    truth = COCO(source)
    want = {truth.annToMask(a).tobytes(): a["iscrowd"] for a in truth.dataset["annotations"]}
    (split,) = (s for s in ("train", "test") if (dataset.panoptic / s / "a.jpg").exists())
    built = COCO(dataset.panoptic / f"annotations/instances_{split}.json")
    got = {built.annToMask(a).tobytes(): a["iscrowd"] for a in built.dataset["annotations"]}
    assert got == want


# --- panoptic ---


def panoptic(folder: Path, ids: np.ndarray, segments: Any, categories: Any) -> Path:
    """A panoptic set of one photo in the layout of COCO's own."""
    photo(folder / "val/a.jpg")
    png = folder / "annotations/panoptic_val/a.png"
    png.parent.mkdir(parents=True)
    cv2.imwrite(str(png), ids_to_rgb(ids.astype(np.uint32))[..., ::-1])
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
    value = {"images": [image(1, "a.jpg")], "annotations": [annotation], "categories": categories}
    return write(folder / "annotations/panoptic_val.json", value)


def segment(number: int, category: int, **more: Any) -> dict[str, Any]:
    values = {"id": number, "category_id": category, "area": 1, "bbox": [0, 0, 1, 1]}
    return {**values, "iscrowd": 0, **more}


PANOPTIC = [
    {"id": 5, "name": "box", "isthing": 1, "color": [1, 2, 3]},
    {"id": 6, "name": "road", "isthing": 0},  # COCO's is 149
    {"id": 7, "name": "sky-other-merged", "isthing": 0},
    {"id": 8, "name": "moon-dust", "isthing": 0},  # COCO has none, but nothing uses it
]


def test_panoptic_things_become_masks_and_stuff_a_label_map(tmp_path: Path) -> None:
    ids = np.zeros((30, 40), int)
    ids[:10], ids[10:20], ids[3:6, 5:9], ids[29, 39] = 70000, 2, 3, 4
    listed = [
        segment(70000, 7),
        segment(2, 6, score=0.25),
        segment(3, 5, iscrowd=1, occluded=1),
        segment(4, 5, score=0.5),
    ]
    source = panoptic(tmp_path / "s", ids, listed, PANOPTIC)
    done = import_coco(source, tmp_path / "set")
    assert done.written == (Written(shapes=2, stuff=True, present=False),)
    first, second = shapes_of(tmp_path / "set")
    assert first.points == ((5.0, 3.0), (8.0, 5.0))
    assert first.flags == {"crowd": True, "occluded": True}
    assert second.points == ((39.0, 29.0), (39.0, 29.0))
    assert second.extra["coco"]["score"] == 0.5
    stuff = cv2.imread(str(tmp_path / "set/stuff/a.png"), cv2.IMREAD_UNCHANGED)
    assert stuff.dtype == np.uint8
    want = np.where(ids == 70000, SKY, np.where(ids == 2, ROAD, 0))
    assert np.array_equal(stuff, want)
    config = open_dataset(tmp_path / "set").config
    assert (config.things, config.stuff) == (("box",), ("road", "sky-other-merged"))
    kept = read_annotation(tmp_path / "set/labelme/a.json").extra["coco"]
    assert kept["stuff"] == listed[:2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"listed": [segment(3, 5)]}, r"a\.png has ids without a segment: \[2\]"),
        ({"listed": [segment(2, 8), segment(3, 5)]}, "'moon-dust' is no COCO stuff"),
        ({"listed": [segment(2, 5), segment(3, 9)]}, r"segments_info\[1\]: category_id: .* got 9"),
        ({"listed": [segment(2, 5), segment(2, 5), segment(3, 5)]}, "id 2 appears twice"),
        ({"listed": [segment(0, 5), segment(2, 5), segment(3, 5)]}, "Expected `int` >= 1"),
        ({"shape": (10, 10)}, "expected 40x30 pixels, the size of its photo, found 10x10"),
    ],
)
def test_panoptic_problems(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    ids = np.full(change.get("shape", (30, 40)), 2)
    ids[3, 3] = 3
    listed = change.get("listed", [segment(2, 5), segment(3, 5)])
    source = panoptic(tmp_path / "s", ids, listed, PANOPTIC)
    with pytest.raises(InputError, match=message):
        import_coco(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_own_stuff_names_the_nearest_of_coco(tmp_path: Path) -> None:
    categories = [*PANOPTIC[:1], {"id": 6, "name": "sky-other", "isthing": 0}]
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], categories)
    assert "stuff 'sky-other' is no COCO stuff; did you mean 'sky-other-merged'?" in problem(
        source, tmp_path / "set"
    )


def test_a_missing_png_says_where_it_was_looked_for(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], PANOPTIC)
    (tmp_path / "s/annotations/panoptic_val/a.png").unlink()
    assert "PNG 'a.png' is missing; looked in" in problem(source, tmp_path / "set")


# --- what is wrong ---


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (instance(1, [TRIANGLE], image_id=2), "annotations[0]: image_id: expected the id of an"),
        (instance(1, [TRIANGLE], category_id=9), "category_id: expected the id of a category, got"),
        (instance(1, [[1, 2, 3, 4, 5]]), "segmentation[0]: expected x, y pairs, got 5 numbers"),
        (instance(1, [[1, 2, "3"]]), "Expected `float`, got `str`"),
        (instance(1, [[1, 2, 1e30, 4, 5, 6]]), "annotations[0]: Expected `float` <="),
        (instance(1, [1, 2, 3, 4, 5, 6]), "Expected `array`, got `int`"),
        (instance(1, [], bbox=[1, 2, 3]), "or a bbox of 4 numbers, got 3 numbers"),
        (instance(1, {"size": [40, 30], "counts": [1200]}), "an RLE of 40x30 pixels, found 30x40"),
        (
            instance(1, {"size": [30, 40], "counts": [9]}),
            "expected runs of 1,200 pixels, found 9 p",
        ),
        (instance(1, {"size": [30, 40], "counts": [-1, 1201]}), "Expected `int` >= 0"),
        (
            instance(1, {"size": [30, 40], "counts": "~~"}),
            "expected the counts of a compressed RLE",
        ),
        (instance(1, {"size": [30, 40], "counts": "é"}), "expected the counts of a compressed RLE"),
        (instance(1, {"size": [30, 40], "counts": "o" * 30 + "0"}), "longer than any photo"),
        (instance(1, {"size": [10**6] * 2, "counts": [0, 10**12]}), "found 1000000x1000000"),
    ],
)
def test_wrong_annotations(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    source = coco(tmp_path / "s", annotation)
    text = problem(source, tmp_path / "set")
    assert message in text
    assert str(source) in text
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([image(1, "../s/a.jpg")], "path must stay in"),
        ([image(1, "/etc/passwd")], "path must stay in"),
        ([image(1, "C:\\a.jpg")], "path must stay in"),
        ([image(1, "b.jpg")], "photo 'b.jpg' is missing; looked in"),
        ([image(1, "x" * 5000)], "name too long"),
        ([image(1, "coco.json")], "expected a photo's name that ends in .jpg"),
        ([image(1, "a.jpg", width=30, height=40)], "expected 40x30 pixels as"),
        ([image(1, "a.jpg", width=10**9, height=10**9)], "got 1000000000x1000000000"),
        ([image(1, "a.jpg"), image(1, "a.jpg")], "images[1]: id 1 appears twice"),
        ([image(1, "a.jpg"), image(2, "a.jpg")], "photo 'a.jpg' appears twice"),
        ([{"id": 1}], "images[0]: Object missing required field `file_name`"),
        ("no list", "images: Expected `array`, got `str`"),
        ([], "annotations[0]: image_id"),
    ],
)
def test_wrong_images(tmp_path: Path, images: Any, message: str) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), images=images)
    assert message.lower() in problem(source, tmp_path / "set").lower()
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([{"id": 1, "name": " "}], "expected a name of printable characters, got ''"),
        ([{"id": 1, "name": "a\nb"}], "expected a name of printable characters, got 'a\\nb'"),
        ([{"id": 1, "name": "__hole__"}], "'__hole__' means no thing"),
        ([{"id": 1, "name": "sky", "isthing": 0}], "'sky' is stuff"),
        ([CATEGORY, {**CATEGORY, "name": "c"}], "categories[1]: id 1 appears twice"),
        (
            [CATEGORY, {**CATEGORY, "id": 2, "supercategory": "toy"}],
            "'box' is two categories, id 1 of '' and id 2 of 'toy'; rename one of them",
        ),
    ],
)
def test_wrong_categories(tmp_path: Path, categories: Any, message: str) -> None:
    second = min(2, len(categories))
    annotations = [instance(1, [TRIANGLE]), instance(2, [TRIANGLE], category_id=second)]
    if categories[-1]["id"] == 1:
        annotations = annotations[:1]
    source = coco(tmp_path / "s", *annotations, categories=categories)
    assert message in problem(source, tmp_path / "set")


def test_all_problems_are_said_at_once_but_no_endless_list(tmp_path: Path) -> None:
    annotations = [instance(n, [[1]]) for n in range(30)]
    source = coco(tmp_path / "s", *annotations, images=[image(1, "a.jpg"), image(2, "missing.jpg")])
    lines = problem(source, tmp_path / "set").splitlines()
    assert len(lines) == 21
    assert "missing.jpg" in lines[0]
    assert "annotations[0]: segmentation[0]: expected x, y pairs" in lines[1]
    assert lines[-1] == "... and 11 more"


def test_photos_that_are_all_missing_are_one_problem(tmp_path: Path) -> None:
    images = [image(n, f"{n}.jpg") for n in range(1, 30)]
    source = coco(tmp_path / "s", images=images)
    first, second = problem(source, tmp_path / "set").splitlines()
    assert first.endswith("none of its 29 photos can be used")
    assert "photo '1.jpg' is missing" in second


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ('{"a":' + "[" * 100_000, "is no JSON"),
        ("[]", "expected a COCO file"),
        ('{"images": []}', "expected a COCO file: JSON with images, annotations, categories"),
    ],
)
def test_files_that_are_not_coco(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.json").write_text(content)
    assert message in problem(tmp_path / "x.json", tmp_path / "set")
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "x.json").rename(folder / "x.json")
    assert message.split(":")[0] in problem(folder, tmp_path / "set")
    assert "missing; expected a COCO file" in problem(tmp_path / "no", tmp_path / "set")


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert shapes_in(import_coco(source, tmp_path / "set")) == 1


def test_broken_files_are_the_users_mistakes(tmp_path: Path) -> None:
    """Whatever a value is replaced by, the answer is a set or an InputError."""
    rng = np.random.default_rng(0)
    values = [None, -1, 1e300, "", "\x00", [], {}, [[]], True, 2**70, "a" * 300, [[0.5, 2]]]
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), instance(2, rle(["#"], compressed=True)))
    text = source.read_text()
    for number in range(150):
        value = json.loads(text)
        places: list[tuple[Any, Any]] = []
        stack: list[Any] = [value]
        while stack:
            node = stack.pop()
            keys = node if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            stack += [node[key] for key in keys if isinstance(node[key], dict | list)]
        node, key = places[rng.integers(len(places))]
        node[key] = values[rng.integers(len(values))]
        source.write_text(json.dumps(value))
        try:
            import_coco(source, tmp_path / f"set{number}")
        except InputError:
            assert not (tmp_path / f"set{number}").exists()
        else:
            check_dataset(open_dataset(tmp_path / f"set{number}"))


# --- a set that is there ---


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    root = tmp_path / "set"
    for name in ("labelme/a.json", "images/a.json"):
        write_annotation(root / name, Annotation("a.jpg", 30, 40, (square("box", 1, 1, 5),)))
    photo(root / "images/a.jpg", grey=7)
    before = tree(root)
    text = problem(source, root)
    for name in ("labelme/a.json", "images/a.json", "images/a.jpg"):
        assert f"{root / name}: exists already" in text
    assert tree(root) == before


def test_a_stuff_map_is_not_overwritten(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], PANOPTIC)
    (tmp_path / "set/stuff").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set/stuff/a.png"), np.full((30, 40), SKY, np.uint8))
    assert "stuff/a.png: exists already" in problem(source, tmp_path / "set")


def test_a_stopped_run_is_completed_by_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_dataset(tmp_path / "set", {f"p{i}": [square("box", i, 3, 6)] for i in range(4)})
    build(dataset)
    import_coco(dataset.panoptic, tmp_path / "whole")
    real = conversion.importing.write.write_annotation
    written = []

    def stop(path: Path, annotation: Annotation) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        real(path, annotation)

    monkeypatch.setattr(conversion.importing.write, "write_annotation", stop)
    with pytest.raises(KeyboardInterrupt):
        import_coco(dataset.panoptic, tmp_path / "part")
    monkeypatch.undo()
    done = import_coco(dataset.panoptic, tmp_path / "part")
    assert (present_in(done), shapes_in(done)) == (2, 4)
    whole, part = tree(tmp_path / "whole"), tree(tmp_path / "part")
    name = "dataset.yaml"
    assert part.pop(name).replace(b"part", b"whole") == whole.pop(name)
    assert part == whole
    assert present_in(import_coco(dataset.panoptic, tmp_path / "part")) == 4  # nothing left to do


def test_photos_are_linked_or_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    import_coco(source, tmp_path / "links")
    assert (tmp_path / "links/images/a.jpg").samefile(tmp_path / "s/a.jpg")

    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    import_coco(source, tmp_path / "copies")
    copy = tmp_path / "copies/images/a.jpg"
    assert not copy.samefile(tmp_path / "s/a.jpg")
    assert copy.read_bytes() == (tmp_path / "s/a.jpg").read_bytes()


def test_a_dataset_yaml_that_is_there_must_know_the_labels(tmp_path: Path) -> None:
    ids = np.full((30, 40), 2)
    ids[0, 0] = 3
    source = panoptic(tmp_path / "s", ids, [segment(2, 6), segment(3, 5)], PANOPTIC)
    root = tmp_path / "set"
    root.mkdir()
    (root / "dataset.yaml").write_text("name: x\nthings: [boxes]\nstuff: [roof-merged]\n")
    text = problem(source, root)
    assert f"things: 'box' of {source} is missing; did you mean 'boxes'?" in text
    assert f"stuff: 'road' of {source} is missing; known: roof-merged" in text
    assert "stuff_sources: expected - label_maps: stuff" in text
    yaml = "name: x\nthings: [box, boxes]\nstuff: [road]\nstuff_sources: [{label_maps: stuff}]\n"
    (root / "dataset.yaml").write_text(yaml)
    import_coco(source, root)
    assert (root / "dataset.yaml").read_text() == yaml


def test_a_dataset_yaml_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", categories=[])
    assert "things: expected at least one label, found none" in problem(source, tmp_path / "set")
    categories = [{"id": 5, "name": "road", "isthing": 1}, PANOPTIC[1]]
    ids = np.full((30, 40), 2)
    ids[0, 0] = 3
    source = panoptic(tmp_path / "p", ids, [segment(2, 6), segment(3, 5)], categories)
    assert "'road' is two categories" in problem(source, tmp_path / "set")
    assert "'road' appears twice" in problem(source, tmp_path / "set")
    (tmp_path / "file").write_text("")
    assert "is a file; expected the folder" in problem(source, tmp_path / "file")
    assert not (tmp_path / "set").exists()


def test_the_record_has_an_entry_for_each_file(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("s", "s", "t"):
        source = coco(tmp_path / name, images=[image(1, f"{name}.jpg")], info={"name": name})
        photo(tmp_path / name / f"{name}.jpg")
        import_coco(source, root)
    sources = json.loads((root / "imported.json").read_text())["sources"]
    assert [one["info"] for one in sources] == [{"name": "s"}, {"name": "t"}]
    (root / "imported.json").write_text('{"sources": 1}')
    assert "imported.json: Expected `array`" in problem(source, root)


def test_a_photo_turned_by_its_exif(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "s/a.jpg", exif=exif)
    text = problem(source, tmp_path / "set")
    assert "expected 30x40 pixels as" in text
    assert "once turned as its EXIF says, got 40x30" in text


def test_the_data_set_may_lie_in_its_source(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    coco(tmp_path, instance(1, [TRIANGLE]), images=[image(1, "images/a.jpg")])
    import_coco(tmp_path, tmp_path)
    assert present_in(import_coco(tmp_path, tmp_path)) == 1
    assert present_in(import_coco(tmp_path, tmp_path / "inner")) == 0
    assert present_in(import_coco(tmp_path, tmp_path / "inner")) == 1


def test_keys_that_labelme_has_no_place_for_are_exported_again(tmp_path: Path) -> None:
    """Attributes of CVAT survive import, conversion, import and conversion."""
    attributes = {"colour": "red", "age": 3}
    polygon = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 20, 2, 9, 20]]}
    annotation = {**polygon, "bbox": [2, 2, 18, 18], "area": 9, "attributes": attributes}
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [annotation],
    }
    source = tmp_path / "coco.json"
    source.write_text(json.dumps(data))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((30, 40, 3), np.uint8))
    for name in ("first", "second"):
        import_coco(source, tmp_path / name)
        dataset = open_dataset(tmp_path / name)
        convert(dataset)
        source = dataset.panoptic
        for kind, key in (("panoptic", "segments_info"), ("instances", None)):
            found = []
            for path in sorted((source / "annotations").glob(f"{kind}_*.json")):
                for one in json.loads(path.read_text())["annotations"]:
                    found += one[key] if key else [one]
            assert [one["attributes"] for one in found] == [attributes]
            assert found[0]["area"] > 100
