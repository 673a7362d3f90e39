"""Predictions on disk are a valid panoptic set, for any folder of photos."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from base.errors import InputError
from conversion.coco.panoptic import measure
from conversion.coco.panoptic_file import read_panoptic
from detr.prediction.predict import predict
from detr.prediction.predictor import load_predictor
from detr.prediction.thresholds import Thresholds
from tests.annotation.mutate import bomb
from tests.detr.random_weights import SMALL, save
from tests.holding import hold


def test_ids_areas_and_boxes_are_those_of_the_pixels(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    predict(folder / "run", photos, tmp_path / "out")
    found = read_panoptic(tmp_path / "out" / "panoptic.json")
    names = ["a.b.jpg", "a.b.png", "yard/east/photo1.png", "yard/east/photo2.png"]
    assert [photo.file_name for photo in found.photos] == names
    assert [photo.png_name for photo in found.photos] == [
        "a.b.jpg.png",
        "a.b.png.png",
        "yard/east/photo1.png",
        "yard/east/photo2.png",
    ]
    assert sum(len(photo.segments) for photo in found.photos) > 0
    stuff = {c.id for c in found.categories if not c.isthing}
    for photo in found.photos:
        seen = measure(found.segment_ids(photo))
        assert seen == {s.id: (s.area, s.bbox) for s in photo.segments}
        assert all(s.area > 4 and s.score is not None and s.score > 0.25 for s in photo.segments)
        merged = [s.category_id for s in photo.segments if s.category_id in stuff]
        assert len(merged) == len(set(merged))


def test_pictures_and_a_summary_say_what_was_found(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for state in ("", "up to date: "):
        predict(folder / "run", photos, out, pictures=True)
        found = read_panoptic(out / "panoptic.json")
        names, counts = {c.id: c.name for c in found.categories}, Counter[str]()
        counts.update(names[s.category_id] for photo in found.photos for s in photo.segments)
        assert counts
        printed = capsys.readouterr().out
        line = f"{out}: {state}4 photos, {counts.total()} segments ("
        assert line in printed and f"; pictures in {out}/pictures\n" in printed
        assert all(f"{count} {name}" in printed for name, count in counts.items())
    drawn = {path.relative_to(out / "pictures").as_posix() for path in out.rglob("*.jpg")}
    assert drawn == {"a.b.jpg.jpg", "a.b.png.jpg", "yard/east/photo1.jpg", "yard/east/photo2.jpg"}
    picture = cv2.imread(str(out / "pictures/a.b.jpg.jpg"))
    photo = cv2.imread(str(photos / "a.b.jpg"))
    assert picture.shape == photo.shape
    assert np.abs(picture.astype(int) - photo).mean() > 10  # it is drawn over, dimmed and tinted
    (out / "pictures/mine.jpg").write_bytes(b"mine")
    predict(folder / "run", photos, out)  # without pictures: those of before would be outdated
    assert [path.name for path in out.rglob("*.jpg")] == ["mine.jpg"]


def test_instances_are_coco_results(folder: Path, photos: Path, tmp_path: Path) -> None:
    predict(folder / "run", photos, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "instances.json").read_text())
    sizes = {
        p.id: (p.height, p.width) for p in read_panoptic(tmp_path / "out/panoptic.json").photos
    }
    assert found
    for instance in found:
        height, width = sizes[instance["image_id"]]
        x, y, w, h = instance["bbox"]
        assert instance["category_id"] in (201, 202)
        assert 0.05 < instance["score"] <= 1
        assert 0 <= x <= x + w <= width + 0.01 and 0 <= y <= y + h <= height + 0.01
        assert coco_mask.decode(instance["segmentation"]).shape == (height, width)


def test_unreadable_photos_are_reported_after_predicting_the_others(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "a.b.jpg").write_bytes(b"no photo")
    for _ in range(2):  # an incomplete prediction is never up to date
        with pytest.raises(InputError, match=r"skipped 1 of 4 photos:\n.*a\.b\.jpg"):
            predict(folder / "run", photos, tmp_path / "out")
    assert len(read_panoptic(tmp_path / "out" / "panoptic.json").photos) == 3


def test_prediction_does_not_depend_on_other_photos(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    predict(folder / "run", photos, tmp_path / "all")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(photos / "yard/east/photo2.png", alone)
    predict(folder / "run", alone, tmp_path / "one")
    every = read_panoptic(tmp_path / "all" / "panoptic.json")
    one = read_panoptic(tmp_path / "one" / "panoptic.json")
    same = every.segment_ids(every.photos[3]) == one.segment_ids(one.photos[0])
    assert np.mean(same) > 0.99  # rounding may move a border


def test_a_run_without_masks_is_refused(folder: Path, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    (run / "checkpoints" / "masks.pt").unlink()
    with pytest.raises(InputError, match="train the masks stage"):
        predict(run, photos, tmp_path / "out")


def test_a_folder_without_photos_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos"):
        predict(folder / "run", tmp_path, tmp_path / "out")


def test_unusual_photos_are_predicted(folder: Path, tmp_path: Path) -> None:
    images, noise = tmp_path / "odd", np.random.default_rng(0)
    images.mkdir()
    cv2.imwrite(str(images / "grey.png"), noise.integers(0, 255, (50, 60), np.uint8))
    cv2.imwrite(str(images / "deep.png"), noise.integers(0, 65535, (50, 60, 3), np.uint16))
    cv2.imwrite(str(images / "alpha.png"), noise.integers(0, 255, (50, 60, 4), np.uint8))
    cv2.imwrite(str(images / "one.png"), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(images / "thin.png"), np.zeros((3, 900, 3), np.uint8))
    predict(folder / "run", images, tmp_path / "out")
    found = read_panoptic(tmp_path / "out" / "panoptic.json")
    assert {(p.file_name, p.width, p.height) for p in found.photos} == {
        *(("grey.png", 60, 50), ("deep.png", 60, 50), ("alpha.png", 60, 50)),
        *(("one.png", 1, 1), ("thin.png", 900, 3)),
    }
    for photo in found.photos:
        assert found.segment_ids(photo).shape == (photo.height, photo.width)


def test_a_folder_with_other_files_is_refused_and_not_changed(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    """For example, a data set given as --out, whose PNGs look like old predictions."""
    own = tmp_path / "set" / "panoptic" / "panoptic_train" / "a.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(InputError, match="did not write"):
        predict(folder / "run", photos, tmp_path / "set")
    (tmp_path / "set/panoptic/manifest.json").write_text('{"inputs": "x"}')
    with pytest.raises(InputError, match="did not write"):
        predict(folder / "run", photos, tmp_path / "set" / "panoptic")
    assert own.read_bytes() == b"mine"


def test_only_predictions_are_removed_with_their_photos(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict(folder / "run", photos, out)
    (out / "panoptic/mine.png").write_bytes(b"mine")
    (photos / "a.b.jpg").unlink()
    predict(folder / "run", photos, out)
    left = {path.relative_to(out / "panoptic").as_posix() for path in out.rglob("*.png")}
    assert left == {"a.b.png", "mine.png", "yard/east/photo1.png", "yard/east/photo2.png"}


def test_a_stopped_prediction_leaves_no_json_and_can_be_repeated(
    folder: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    predict(folder / "run", photos, out)
    whole = {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    shutil.copy(photos / "a.b.png", photos / "new.png")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("detr.prediction.predict.write_panoptic", interrupted)
        predict(folder / "run", photos, out)
    assert not (out / "panoptic.json").exists()
    assert not (out / "instances.json").exists()
    (photos / "new.png").unlink()
    predict(folder / "run", photos, out)
    assert {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()} == whole


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_two_predictions_into_one_folder_wait_for_each_other(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    holder = hold(out, "predict")
    release = threading.Timer(0.5, lambda: holder.communicate("\n"))
    release.start()
    predict(folder / "run", photos, out)
    release.join()
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out}: waiting for `predict` (process {holder.pid} on ")
    assert not (out / ".lock").exists()


def test_predictions_cannot_be_written_among_the_photos(folder: Path, photos: Path) -> None:
    with pytest.raises(InputError, match="would be read as photos"):
        predict(folder / "run", photos, photos / "predictions")


def test_a_photo_that_is_too_large_is_skipped_and_named(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "bomb.png").write_bytes(bomb(40_000, 40_000))
    with pytest.raises(InputError, match=r"skipped 1 of 5 photos:\n.*bomb\.png"):
        predict(folder / "run", photos, tmp_path / "out")
    assert len(read_panoptic(tmp_path / "out/panoptic.json").photos) == 4


def test_masks_are_computed_only_for_queries_above_a_threshold(
    folder: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    path = folder / "run/checkpoints/masks.pt"
    predictor = load_predictor(path, Thresholds(0.9, 0.9))
    head = predictor.model.bbox_attention
    head.register_forward_hook(lambda _, args, out: asked.append(len(args[0])))
    monkeypatch.setattr("detr.prediction.predict.load_predictor", lambda *_: predictor)
    predict(folder / "run", photos, tmp_path / "out", Thresholds(0.9, 0.9))
    found = read_panoptic(tmp_path / "out/panoptic.json").photos
    assert len(asked) == len(found) == 4
    assert sum(asked) < 4 * predictor.config.num_queries / 2


def test_published_panoptic_weights_predict_coco_categories(photos: Path, tmp_path: Path) -> None:
    config = replace(SMALL, num_queries=12)
    path = save(tmp_path / "own.pth", config, 250, masks=True)
    predict(path, photos, tmp_path / "out", Thresholds(0.0, 0.0))
    found = read_panoptic(tmp_path / "out/panoptic.json")
    assert len(found.categories) == 133 and len(found.photos) == 4
    boxes = save(tmp_path / "boxes.pth", config, 91, masks=False)
    with pytest.raises(InputError, match="has no mask head"):
        predict(boxes, photos, tmp_path / "none")
    with pytest.raises(InputError, match="neither a file nor the name of published weights"):
        predict(tmp_path / "nothing", photos, tmp_path / "none")
