from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from annotation.dataset import Dataset
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from base.errors import InputError
from conversion.building.build import convert
from conversion.coco.panoptic_file import read_panoptic
from conversion.exporting.export import export
from conversion.exporting.instances import export_instances
from conversion.exporting.outline import outline_of_mask
from tests.drawn import YAML, draw_dataset, draw_photo, square

H, W = 240, 320
ROOT = Path(__file__).parents[3]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two photos of 320x240: a disc, a frame, a thing in two parts, a crowd; sky over road."""
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False).tolist()
    disc = tuple((80 + 50 * math.cos(t), 90 + 40 * math.sin(t)) for t in turns)
    crowd = Shape("box", ((250, 180), (300, 180), (300, 220)), flags={"crowd": True})
    shapes = (
        Shape("disc", disc),
        square("box", 160, 20, 100, group_id=1),
        square("__hole__", 190, 50, 40, group_id=1),
        square("disc", 20, 150, 45, group_id=2),
        square("disc", 120, 170, 40, group_id=2),
        crowd,
    )
    dataset = draw_dataset(tmp_path / "set", {"sub/a": [], "b": []}, yaml=YAML)
    for name in ("sub/a", "b"):
        stuff = np.full((H, W), 187, np.uint8)
        stuff[100:] = 149
        stuff[230:] = 0
        photo = dataset.images / f"{name}.jpg"
        cv2.imwrite(str(photo), np.full((H, W, 3), 128, np.uint8))
        cv2.imwrite(str(dataset.root / f"stuff/{name}.png"), stuff)
        up = "../" * (name.count("/") + 1)
        annotation = Annotation(f"{up}images/{name}.jpg", H, W, shapes)
        write_annotation(dataset.labelme / f"{name}.json", annotation)
    convert(dataset)
    return dataset


def masks(dataset: Dataset) -> dict[str, list[tuple[str, NDArray[np.bool_]]]]:
    """Names and visible masks of each photo's things except crowds, by split and stem."""
    found = {}
    for split in ("train", "test"):
        panoptic = read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        names = {c.id: c.name for c in panoptic.categories if c.isthing}
        for photo in panoptic.photos:
            ids = panoptic.segment_ids(photo)
            found[f"{split}/{photo.file_name[:-4]}"] = [
                (names[s.category_id], ids == s.id)
                for s in photo.segments
                if s.category_id in names and not s.iscrowd
            ]
    return found


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_yolo_lines_decode_to_the_masks(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "yolo"
    assert export(dataset, "yolo-seg", out) == 2
    names = yaml.safe_load((out / "data.yaml").read_text())["names"]
    for key, expected in masks(dataset).items():
        assert (out / f"images/{key}.jpg").read_bytes()  # the link is valid
        lines = (out / f"labels/{key}.txt").read_text().splitlines()
        assert len(lines) == len(expected) == 3
        for line, (name, mask) in zip(lines, expected, strict=True):
            number, *values = line.split()
            assert names[int(number)] == name
            points = np.array(values, float).reshape(-1, 2)
            assert points.min() >= 0 and points.max() <= 1
            points *= (W, H)
            rle = coco_mask.merge(coco_mask.frPyObjects([points.ravel().tolist()], H, W))
            assert iou(coco_mask.decode(rle) == 1, mask) >= 0.999
            # like YOLO's trainers; this adds a border of one pixel, also in holes, and the bridges
            filled = np.zeros((H, W), np.uint8)
            cv2.fillPoly(filled, [points.astype(np.int32)], 1)
            assert iou(filled == 1, mask) >= 0.93


def test_yolo_data_has_the_splits_that_trainers_need(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "yolo-seg", tmp_path / "yolo")
    assert yaml.safe_load((tmp_path / "yolo/data.yaml").read_text()) == {
        "test": "images/test",
        "train": "images/train",
        "val": "images/test",
        "names": {0: "box", 1: "disc"},
    }


def test_semantic_pngs_are_exact(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "semantic"
    export(dataset, "semantic", out)
    classes = json.loads((out / "classes.json").read_text())
    assert classes["void"] == 255
    assert [(c["id"], c["name"], c["category_id"]) for c in classes["classes"]] == [
        (0, "road", 149),
        (1, "sky-other-merged", 187),
        (2, "box", 201),
        (3, "disc", 202),
    ]
    category_of = {c["id"]: c["category_id"] for c in classes["classes"]}
    for split in ("train", "test"):
        panoptic = read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        for photo in panoptic.photos:
            ids = panoptic.segment_ids(photo)
            pixels = cv2.imread(str(out / split / photo.png_name), cv2.IMREAD_UNCHANGED)
            assert pixels.dtype == np.uint8 and pixels.shape == (H, W)
            assert np.array_equal(pixels == 255, ids == 0)
            for segment in photo.segments:
                found = {category_of[c] for c in np.unique(pixels[ids == segment.id]).tolist()}
                assert found == {segment.category_id}


@pytest.mark.parametrize(
    "rows",
    [
        ["#"],
        ["####", "#..#", "####"],
        ["#.#", ".#.", "#.#"],
        ["#####", "#.#.#", "#####", ".....", "##.##"],
        ["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
    ],
)
def test_one_outline_holds_parts_and_holes(rows: list[str]) -> None:
    mask = np.array([[c == "#" for c in row] for row in rows])
    points = outline_of_mask(mask) * 8  # eight pixels each, so that rounding does not matter
    large = np.kron(mask, np.ones((8, 8), bool))
    rle = coco_mask.frPyObjects([points.ravel().tolist()], *large.shape)
    assert np.array_equal(coco_mask.decode(coco_mask.merge(rle)) == 1, large)


def test_nothing_is_overwritten_and_no_incomplete_export_remains(
    dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    with pytest.raises(InputError, match="out: already exists; expected a new or empty folder"):
        export(dataset, "semantic", tmp_path / "out")
    next(dataset.panoptic.rglob("panoptic_test/**/*.png")).write_bytes(b"x")
    (tmp_path / ".new.unfinished/old").mkdir(parents=True)  # as a killed export leaves it
    (tmp_path / ".new.export").mkdir()
    (tmp_path / ".new.export/.lock").touch()
    with pytest.raises(InputError, match="cannot be read as a PNG"):
        export(dataset, "semantic", tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "set"]


def test_a_png_that_cannot_be_written_is_an_error(dataset: Dataset, tmp_path: Path) -> None:
    """A file size limit of 0 bytes simulates a full disk."""
    words = [sys.executable, str(ROOT / "pipeline.py"), "export", str(dataset.root)]
    words += ["--format", "semantic", "--out", str(tmp_path / "new")]
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode not in (0, 1), done.stdout
    assert "too large" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_current_folder_is_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        export(dataset, "semantic", Path())


def test_links_to_photos_work_in_a_linked_folder(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "deep/er")
    export(dataset, "yolo-seg", tmp_path / "short/out")
    photos = [*(tmp_path / "deep/er/out/images").rglob("*.jpg")]
    assert len(photos) == 2
    assert all(path.is_file() for path in photos)


def test_a_set_that_is_not_built_is_reported(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path / "set", {"a": []})
    with pytest.raises(InputError, match=r"not built; run `pipeline\.py convert"):
        export(dataset, "semantic", tmp_path / "new")


def test_coco_instances_directly_from_labelme(tmp_path: Path) -> None:
    """Whole outlines, joined groups and cut holes; damaged files are left out and listed."""
    crowd = replace(square("disc", 20, 10, 4), flags={"crowd": True, "occluded": True})
    shapes = [
        *(square("box", 1, 1, 6), square("disc", 3, 3, 6)),
        *(square("box", 10, 1, 4, group_id=1), square("box", 16, 1, 3, group_id=1)),
        *(square("box", 30, 10, 8, group_id=2), square("__hole__", 32, 12, 2, group_id=2)),
        *(crowd, Shape("box", ((3.0, 20.0), (9.0, 20.0)), "line"), square("__ignore__", 0, 0, 3)),
        square("box", 100, 100, 5),
    ]
    dataset = draw_dataset(tmp_path / "set", {"a": shapes, "b/c": shapes[:1]})
    draw_photo(dataset.root, "d", [Shape("box", ((0.0, 0.0), (1.0, 1.0)))])
    (dataset.labelme / "e.json").write_text("{")
    exported = export_instances(dataset, tmp_path / "out.json")
    assert (exported.photos, exported.instances) == (2, 6)
    assert [line.split(": ")[0].rpartition("/")[2] for line in exported.left_out] == [
        *("d.json", "e.json")
    ]
    coco = COCO(tmp_path / "out.json")
    names = {image["id"]: image["file_name"] for image in coco.dataset["images"]}
    assert sorted(names.values()) == ["a.jpg", "b/c.jpg"]
    (first,) = (number for number, name in names.items() if name == "a.jpg")
    found = coco.loadAnns(coco.getAnnIds(imgIds=[first]))
    assert [one["area"] for one in found] == [36, 36, 25, 60, 16]
    assert found[1]["bbox"] == [3, 3, 6, 6]
    assert len(found[2]["segmentation"]) == 2
    assert [one["iscrowd"] for one in found] == [0, 0, 0, 0, 1]
    assert found[4]["occluded"] == 1
    for one in found:
        assert coco.annToMask(one).sum() == one["area"]
