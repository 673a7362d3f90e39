"""Files of an existing data set are kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

import conversion.importing.write
from annotation.dataset import open_dataset
from annotation.labelme.annotation import Annotation, write_annotation
from conversion.building.build import convert
from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import (
    PANOPTIC,
    TRIANGLE,
    coco,
    image,
    instance,
    panoptic,
    photo,
    present_in,
    problem,
    segment,
    shapes_in,
    tree,
)
from tests.drawn import SKY, draw_dataset, square


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    root = tmp_path / "set"
    for name in ("labelme/a.json", "images/a.json"):
        write_annotation(root / name, Annotation("a.jpg", 30, 40, (square("box", 1, 1, 5),)))
    photo(root / "images/a.jpg", grey=7)
    before = tree(root)
    text = problem(source, root)
    for name in ("labelme/a.json", "images/a.json", "images/a.jpg"):
        assert f"{root / name}: exists and differs" in text
    assert tree(root) == before


def test_a_stuff_map_is_not_overwritten(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], PANOPTIC)
    (tmp_path / "set/stuff").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set/stuff/a.png"), np.full((30, 40), SKY, np.uint8))
    assert "stuff/a.png: exists and differs" in problem(source, tmp_path / "set")


def test_an_interrupted_run_is_completed_by_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_dataset(tmp_path / "set", {f"p{i}": [square("box", i, 3, 6)] for i in range(4)})
    convert(dataset)
    import_coco(dataset.panoptic, tmp_path / "whole")
    real = conversion.importing.write.write_bytes
    written = []

    def stop(path: Path, data: bytes) -> None:
        if path.suffix == ".json" and len(written) == 2:
            raise KeyboardInterrupt
        written.extend([path] if path.suffix == ".json" else [])
        real(path, data)

    monkeypatch.setattr(conversion.importing.write, "write_bytes", stop)
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


def test_an_existing_dataset_yaml_must_list_the_labels(tmp_path: Path) -> None:
    ids = np.full((30, 40), 2)
    ids[0, 0] = 3
    source = panoptic(tmp_path / "s", ids, [segment(2, 6), segment(3, 5)], PANOPTIC)
    root = tmp_path / "set"
    root.mkdir()
    (root / "dataset.yaml").write_text("name: x\nthings: [boxs]\nstuff: [roof-merged]\n")
    text = problem(source, root)
    assert f"things: 'box' of {source} is missing; did you mean 'boxs'?" in text
    assert f"stuff: 'road' of {source} is missing; known: roof-merged" in text
    assert "stuff_sources: expected `- label_maps: stuff`" in text
    yaml = "name: x\nthings: [box, boxes]\nstuff: [road]\nstuff_sources: [{label_maps: stuff}]\n"
    (root / "dataset.yaml").write_text(yaml)
    import_coco(source, root)
    assert (root / "dataset.yaml").read_text() == yaml


def test_an_invalid_dataset_yaml_is_not_written(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", categories=[])
    assert "things: expected at least one label, found none" in problem(source, tmp_path / "set")
    categories = [{"id": 5, "name": "road", "isthing": 1}, PANOPTIC[1]]
    ids = np.full((30, 40), 2)
    ids[0, 0] = 3
    source = panoptic(tmp_path / "p", ids, [segment(2, 6), segment(3, 5)], categories)
    assert "'road' is the name of two categories" in problem(source, tmp_path / "set")
    (tmp_path / "file").write_text("")
    assert "expected the folder of a data set or a run, found a file" in problem(
        source, tmp_path / "file"
    )
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
    assert "imported.json: sources: expected a list, found 1" in problem(source, root)


def test_a_photo_with_an_exif_rotation(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "s/a.jpg", exif=exif)
    text = problem(source, tmp_path / "set")
    assert "expected 30x40 pixels, the size of" in text
    assert "after its EXIF rotation, found 40x30" in text


def test_the_data_set_may_be_inside_its_source(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    coco(tmp_path, instance(1, [TRIANGLE]), images=[image(1, "images/a.jpg")])
    import_coco(tmp_path, tmp_path)
    assert present_in(import_coco(tmp_path, tmp_path)) == 1
    assert present_in(import_coco(tmp_path, tmp_path / "inner")) == 0
    assert present_in(import_coco(tmp_path, tmp_path / "inner")) == 1


def test_keys_that_labelme_lacks_are_exported_again(tmp_path: Path) -> None:
    """Attributes from CVAT are kept by import, conversion, import and conversion."""
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
