from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.coco.panoptic import Photo, Segment
from curation.loading.load import load_dataset
from curation.loading.masks import scene_map
from curation.review.review import review
from tests.curation.conftest import GOOD, Curate, predict, truth_of
from tests.drawn import BOX, DISC, ROAD, SKY, draw_photo, square


def by_photo(samples: fo.Dataset) -> dict[str, fo.Sample]:
    return {sample["photo"]: sample for sample in samples}


def test_each_photo_is_a_sample_with_its_split_and_findings(drawn: Dataset, curate: Curate) -> None:
    samples = by_photo(curate(drawn))
    assert sorted(samples) == ["a.jpg", "b.jpg", "c.jpg"]
    assert sorted([samples["a.jpg"].tags[0], samples["b.jpg"].tags[0]]) == ["test", "train"]
    assert samples["a.jpg"].filepath == str(drawn.images / "a.jpg")
    assert samples["a.jpg"].metadata.width == 40
    assert samples["c.jpg"].tags[:2] == ["excluded", "finding:label-unknown"]
    assert samples["c.jpg"]["findings"][0].startswith("error label-unknown: shapes[0]: label 'bxo'")
    assert samples["c.jpg"]["ground_truth"] is None


def test_things_and_stuff_are_detections_with_cropped_masks(drawn: Dataset, curate: Curate) -> None:
    samples = by_photo(curate(drawn))
    truth = truth_of(drawn)
    (photo,) = truth.photos
    ids, sample = truth.segment_ids(photo), samples[photo.file_name]
    things, stuff = sample["ground_truth"].detections, sample["ground_truth_stuff"].detections
    assert [d.label for d in things].count("box") == 2
    assert sorted(d.label for d in stuff) == ["road", "sky-other-merged"]
    assert len(things) + len(stuff) == len(photo.segments)
    for label in [*things, *stuff]:
        x, y, w, h = (
            round(v * s) for v, s in zip(label.bounding_box, (40, 30, 40, 30), strict=True)
        )
        mask = cv2.imread(label.mask_path, cv2.IMREAD_UNCHANGED)
        assert mask.shape == (h, w)
        whole = np.zeros((30, 40), bool)
        whole[y : y + h, x : x + w] = mask == 255
        assert (whole == (ids == label["segment_id"])).all()
        assert label["area"] == whole.sum()
        assert label.mask is None  # no pixels in the database


def test_the_scene_holds_category_ids(drawn: Dataset, curate: Curate) -> None:
    loaded = curate(drawn)
    scene = cv2.imread(by_photo(loaded)["a.jpg"]["scene"].mask_path, cv2.IMREAD_UNCHANGED)
    assert [scene[0, 0], scene[5, 5], scene[25, 0], scene[22, 32], scene[29, 0]] == [
        SKY,
        BOX,
        ROAD,
        DISC,
        0,
    ]
    assert loaded.default_mask_targets[BOX] == "box"
    assert loaded.info["labels"] == ["box", "disc"]  # for the plugin's *Correct label*
    assert loaded.persistent


@pytest.mark.parametrize("field", ["ground_truth", "scene", "findings"])
def test_a_deleted_field_is_loaded_again(drawn: Dataset, curate: Curate, field: str) -> None:
    curate(drawn).delete_sample_field(field)
    samples = by_photo(curate(drawn))
    assert [len(samples[name]["ground_truth"].detections) for name in ("a.jpg", "b.jpg")] == [3, 3]
    assert samples["a.jpg"]["scene"] is not None
    assert samples["c.jpg"]["findings"]


def test_large_category_ids_need_a_16_bit_scene() -> None:
    ids = np.array([[1, 1, 2]], np.uint32)
    segments = (Segment(1, 300, 2, (0, 0, 2, 1)), Segment(2, 7, 1, (2, 0, 1, 1)))
    scene = scene_map(ids, Photo(1, "a.jpg", 3, 1, "a.png", segments))
    assert scene.tolist() == [[300, 300, 7]]
    assert scene.dtype == np.uint16


def test_loading_again_changes_nothing(
    drawn: Dataset, curate: Curate, capsys: pytest.CaptureFixture[str]
) -> None:
    first = curate(drawn).values("id")
    capsys.readouterr()
    second = curate(drawn).values("id")
    assert first == second
    assert "up to date, 3 photos" in capsys.readouterr().out


def test_a_change_keeps_what_the_user_added(drawn: Dataset, curate: Curate) -> None:
    samples = curate(drawn)
    samples.add_sample_field("mine", fo.StringField)
    sample = by_photo(samples)["a.jpg"]
    sample.tags.append("look again")
    sample["mine"] = "hello"
    kept = sample["ground_truth"].detections[0]
    kept.tags.append("redraw")
    sample.save()

    draw_photo(drawn.root, "c", GOOD)  # the label is corrected
    draw_photo(drawn.root, "a", [*GOOD, square("disc", 2, 20, 5)])
    draw_photo(drawn.root, "d", GOOD)
    (drawn.labelme / "b.json").unlink()
    again = by_photo(curate(drawn))

    assert sorted(again) == ["a.jpg", "c.jpg", "d.jpg"]
    assert again["a.jpg"].id == sample.id
    assert again["a.jpg"]["mine"] == "hello"
    assert "look again" in again["a.jpg"].tags
    assert len(again["a.jpg"].tags) == 2  # and one split
    assert len(again["a.jpg"]["ground_truth"].detections) == 4
    tagged = [d for d in again["a.jpg"]["ground_truth"].detections if d.tags]
    assert [(d.id, d.label, d.tags) for d in tagged] == [(kept.id, kept.label, ["redraw"])]
    assert "excluded" not in again["c.jpg"].tags
    folders = [path.parent.name for path in (drawn.root / "fiftyone" / "truth").glob("*/*")]
    assert sorted(folders) == ["a.jpg", "c.jpg", "d.jpg"]  # old masks are removed


def test_only_what_changed_is_written(
    drawn: Dataset, curate: Curate, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {s["photo"]: s.last_modified_at for s in curate(drawn)}
    draw_photo(drawn.root, "a", GOOD[:2])
    capsys.readouterr()
    samples = curate(drawn)
    assert "3 photos, 1 new or changed" in capsys.readouterr().out
    after = {sample["photo"]: sample.last_modified_at for sample in samples}
    assert [name for name in before if before[name] != after[name]] == ["a.jpg"]


def test_what_the_user_draws_in_the_app_is_kept(drawn: Dataset, curate: Curate) -> None:
    sample = by_photo(curate(drawn))["a.jpg"]
    own = fo.Detection(label="box", bounding_box=[0.1, 0.1, 0.2, 0.2])
    sample["ground_truth"].detections.append(own)
    sample.save()
    draw_photo(drawn.root, "a", GOOD[:2])
    labels = by_photo(curate(drawn))["a.jpg"]["ground_truth"].detections
    assert len(labels) == 3
    assert own.id in {label.id for label in labels}


def test_corrections_in_the_app_survive_a_load(
    drawn: Dataset, curate: Curate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disc is deleted, and both boxes are corrected; then one box is drawn again."""
    samples = curate(drawn)
    schema = {"type": "detections", "component": "dropdown", "classes": ["box"], "attributes": []}
    samples.update_label_schema("ground_truth", schema)
    samples.activate_label_schemas("ground_truth")  # as earlier versions did
    sample = by_photo(samples)["a.jpg"]
    things = sample["ground_truth"]
    things.detections = [d for d in things.detections if d.label == "box"]
    for box in things.detections:
        box.label = "bin"
    sample.tags = [*sample.tags[::-1], "mine"]
    sample.save()
    (drawn.root / "curation.yaml").write_text("relabel: [a.jpg]")
    labels = by_photo(curate(drawn))["a.jpg"]["ground_truth"].detections
    assert [d.label for d in labels] == ["bin", "bin"]
    samples.reload()
    assert (samples.active_label_schemas, samples.label_schemas) == ([], {})
    draw_photo(drawn.root, "a", [GOOD[0], square("box", 20, 5, 8), GOOD[2]])
    capsys.readouterr()
    labels = by_photo(curate(drawn))["a.jpg"]["ground_truth"].detections
    assert sorted(d.label for d in labels) == ["bin", "box"]  # the disc is still deleted
    assert "a.jpg: 1 corrected label in ground_truth lost" in capsys.readouterr().out


def test_copies_across_splits_and_within_one_are_views(drawn: Dataset, curate: Curate) -> None:
    across, within = "near-duplicates across splits", "near-duplicates within a split"
    samples = curate(drawn)
    assert sorted(samples.load_saved_view(across).values("photo")) == ["a.jpg", "b.jpg"]
    assert not samples.has_saved_view(within)
    for name in "de":
        draw_photo(drawn.root, name, GOOD)
    names, splits = curate(drawn).load_saved_view(within).values(["photo", "split"])
    copies = [name for name in by_photo(samples) if name != "c.jpg"]  # it is excluded
    assert sorted(names) == copies
    assert len(set(splits)) == 2 == splits.count(splits[0])
    assert splits == sorted(splits, key=splits.index)  # the copies of one split are together
    for name in "de":
        (drawn.images / f"{name}.jpg").unlink()
    assert not curate(drawn).has_saved_view(within)


def test_lost_masks_are_written_again(drawn: Dataset, curate: Curate) -> None:
    scene = Path(by_photo(curate(drawn))["a.jpg"]["scene"].mask_path)
    (folder,) = (drawn.root / "fiftyone").iterdir()
    folder.rename(drawn.root / "elsewhere")
    curate(drawn)
    assert scene.is_file()


def test_an_unrelated_data_set_of_that_name_is_left_alone(drawn: Dataset, curate: Curate) -> None:
    unrelated = fo.Dataset(drawn.config.name)
    unrelated.add_sample(fo.Sample("/somewhere/else.jpg"))
    with pytest.raises(InputError, match=r"name: FiftyOne already has a data set 'drawn "):
        curate(drawn)
    assert len(unrelated) == 1


def test_a_set_that_was_not_converted_is_an_error(drawn: Dataset) -> None:
    with pytest.raises(InputError, match="no panoptic set; run `convert` first"):
        load_dataset(drawn, [])


def test_two_folders_with_the_same_name_do_not_share_a_set(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    """A shared data set would lose the other folder's photos and the user's tags."""
    samples = curate(drawn)
    samples.tag_samples("mine")
    other = replace(drawn, root=tmp_path / "other")
    shutil.copytree(drawn.root, other.root)
    beside = curate(other)
    try:
        assert beside.name.startswith(f"{samples.name}-")
        assert curate(other).name == beside.name
        assert curate(drawn).name == samples.name
        assert samples.count_sample_tags()["mine"] == 3
        assert "mine" not in beside.count_sample_tags()
        prediction = predict(other, tmp_path / "run")
        truth = truth_of(other).json_path
        assert review(other, truth, prediction, run=tmp_path / "run") == beside.name
    finally:
        fo.delete_dataset(beside.name)


def test_a_moved_folder_keeps_its_set(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    curate(drawn).tag_samples("mine")
    moved = replace(drawn, root=drawn.root.rename(tmp_path / "moved"))
    samples = curate(moved)
    assert (samples.name, samples.info["root"]) == (drawn.config.name, str(moved.root))
    assert samples.count_sample_tags()["mine"] == 3


def test_a_name_that_fiftyone_rejects(drawn: Dataset, curate: Curate) -> None:
    named = replace(drawn, config=replace(drawn.config, name="***"))
    with pytest.raises(InputError, match=r"dataset\.yaml: name: FiftyOne rejects '\*\*\*'"):
        curate(named)
