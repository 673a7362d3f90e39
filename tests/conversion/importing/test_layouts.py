"""The layouts of real programs are supported."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from annotation.dataset import open_dataset
from annotation.rules.validate import check_dataset
from conversion.importing.importer import import_coco
from conversion.importing.options import ImportOptions
from tests.conversion.importing.coco_files import (
    TRIANGLE,
    coco,
    image,
    instance,
    photo,
    problem,
    rle,
    shapes_of,
    write,
)


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
    # without `windows`, which is only the group of the others
    assert open_dataset(tmp_path / "set").config.things == ("window", "door")
    assert shapes_of(tmp_path / "set", "valid/a_jpg.rf.0a1b")[0].label == "window"
    pixels = cv2.imread(str(tmp_path / "set/images/valid/a_jpg.rf.0a1b.jpg"))
    assert pixels[0, 0, 0] == 50
    alone = import_coco(tmp_path / "rf/train/_annotations.coco.json", tmp_path / "one")
    assert dict(alone.splits) == {"a_jpg.rf.0a1b.jpg": "train"}


def test_a_roboflow_group_named_like_its_only_class(tmp_path: Path) -> None:
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


def test_instances_are_preferred_to_keypoints_in_the_layout_of_coco(tmp_path: Path) -> None:
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
    # if no file has more information, a person has to choose
    other = tmp_path / "coco/val2017/instances_val2017.json"
    write(other, value)
    assert "import only one of the files" in problem(tmp_path / "coco", tmp_path / "other")


def test_a_folder_of_photos_can_be_given(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    (tmp_path / "s/a.jpg").rename(photo(tmp_path / "elsewhere/x/b.jpg").with_name("a.jpg"))
    assert "photo 'a.jpg' is missing; looked in" in problem(source, tmp_path / "set")
    import_coco(source, tmp_path / "set", ImportOptions(images=tmp_path / "elsewhere/x"))
    assert (tmp_path / "set/images/a.jpg").is_file()


def test_photos_that_differ_only_in_their_suffix_do_not_share_a_labelme_file(
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
