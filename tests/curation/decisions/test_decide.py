from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from annotation.decisions import Decisions, read_decisions, write_decisions
from annotation.fixing.backups import replace_with_backup, undo_fixes
from base.errors import InputError
from commands.curation import decide as decide_command
from conversion.building.check import check
from curation.decisions.decide import Decided
from curation.decisions.decide import decide as decide_by_tags
from curation.loading.tags import merge_decisions
from curation.panel import DELETE, CorrectLabel
from labelme_panoptic_detr.datasets import print_missing_decisions
from tests.curation.conftest import GOOD, Curate, truth_of
from tests.drawn import draw_photo


def decide(dataset: Dataset) -> Decided:
    return decide_by_tags(dataset, check(dataset))


def sample_of(samples: fo.Dataset, name: str) -> fo.Sample:
    return samples.one(fo.ViewField("photo") == name)


def tag(samples: fo.Dataset, name: str, *tags: str) -> None:
    sample = sample_of(samples, name)
    sample.tags = [*sample.tags, *tags]
    sample.save()


def labels_of(dataset: Dataset, name: str) -> list[str]:
    shapes = json.loads((dataset.labelme / f"{name}.json").read_text())["shapes"]
    return [shape["label"] for shape in shapes]


def correct(samples: fo.Dataset, sample: fo.Sample, label: fo.Detection, choice: str) -> None:
    """Correct a selected label with the button of the App."""
    selected = [{"sample_id": sample.id, "label_id": label.id, "field": "ground_truth"}]
    ctx = Mock(dataset=samples, selected_labels=selected, params={"label": choice})
    form = CorrectLabel().resolve_input(ctx).to_json()
    assert form["type"]["properties"]["label"]["type"]["values"] == ["box", "disc", DELETE]
    CorrectLabel().execute(ctx)


@pytest.mark.parametrize(
    ("tags", "decided", "known", "merged"),
    [
        ({"relabel"}, (), (), {"relabel"}),  # tagged in the App
        ((), {"relabel"}, (), {"relabel"}),  # new in the file
        ((), {"relabel"}, {"relabel"}, set()),  # the tag was removed in the App
        ({"relabel"}, (), {"relabel"}, set()),  # the line was removed in the file
        ({"exclude"}, {"relabel"}, {"relabel"}, {"exclude"}),
    ],
)
def test_what_changed_on_either_side_counts(
    tags: set[str], decided: set[str], known: set[str], merged: set[str]
) -> None:
    assert merge_decisions(tags, decided=decided, known=known) == merged


def test_tags_become_decisions_that_convert_obeys(drawn: Dataset, curate: Curate) -> None:
    draw_photo(drawn.root, "d", GOOD)
    samples = curate(drawn)
    (test,) = truth_of(drawn).photos
    first, second = sorted({"a.jpg", "b.jpg", "d.jpg"} - {test.file_name})
    tag(samples, first, "exclude", "relabel")
    tag(samples, second, "test")
    curate(drawn)  # loading before `decide` keeps the tags
    assert decide(drawn).now == Decisions((first,), (first,), {second: "test"})

    samples = curate(drawn)
    assert "excluded" in sample_of(samples, first).tags
    assert sample_of(samples, first)["ground_truth"] is None
    assert {"train", "test"} & set(sample_of(samples, second).tags) == {"test"}
    assert {photo.file_name for photo in truth_of(drawn).photos} == {test.file_name, second}
    decided = decide(drawn)
    assert (decided.before, decided.problems) == (decided.now, ())


def test_deleting_the_database_loses_nothing(
    drawn: Dataset, curate: Curate, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = curate(drawn)
    tag(samples, "a.jpg", "relabel")
    decide(drawn)
    fo.delete_dataset(samples.name)
    samples = curate(drawn)
    assert "relabel" in sample_of(samples, "a.jpg").tags
    assert decide(drawn).now.relabel == ("a.jpg",)
    samples.untag_samples("relabel")
    capsys.readouterr()
    decide_command(drawn.root)
    assert read_decisions(drawn).relabel == ()
    assert f"to apply the changes: pipeline.py convert {drawn.root}" in capsys.readouterr().out


def test_a_line_that_was_edited_after_loading_stays_so(drawn: Dataset, curate: Curate) -> None:
    tag(curate(drawn), "b.jpg", "relabel")
    decide(drawn)
    write_decisions(drawn, Decisions(relabel=("a.jpg",)))  # a is added, b is removed
    for _ in range(2):
        assert decide(drawn).now.relabel == ("a.jpg",)
    samples = curate(drawn)
    assert samples.match_tags("relabel").values("photo") == ["a.jpg"]
    assert decide(drawn).now.relabel == ("a.jpg",)


def test_decisions_about_photos_that_do_not_exist_are_kept_and_reported(
    drawn: Dataset, curate: Curate, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(drawn)
    write_decisions(drawn, Decisions(exclude=("gone.jpg",)))
    assert decide(drawn).now.exclude == ("gone.jpg",)
    assert read_decisions(drawn).exclude == ("gone.jpg",)
    print_missing_decisions(drawn)  # as `decide` and `convert` do
    assert (
        "curation.yaml: expected a photo below images/, found 'gone.jpg'" in capsys.readouterr().out
    )


def test_a_photo_cannot_move_to_two_splits(drawn: Dataset, curate: Curate) -> None:
    samples = curate(drawn)
    tag(samples, "c.jpg", "train", "test")
    decided = decide(drawn)
    assert decided.now.split == {}
    assert decided.problems == ("c.jpg: tags: expected one split to move to, found test and train",)


def test_an_unknown_split_in_the_file_is_an_error(drawn: Dataset, curate: Curate) -> None:
    write_decisions(drawn, Decisions(split={"a.jpg": "tset"}))
    with pytest.raises(
        InputError, match=r"curation\.yaml: split: a\.jpg: expected one of .*'tset'"
    ):
        curate(drawn)


def test_corrected_labels_are_carried_into_the_labelme_file(drawn: Dataset, curate: Curate) -> None:
    samples = curate(drawn)
    sample = sample_of(samples, "a.jpg")
    boxes = [d for d in sample["ground_truth"].detections if d.label == "box"]
    (disc,) = (d for d in sample["ground_truth"].detections if d.label == "disc")
    left = min(boxes, key=lambda d: d.bounding_box)
    left.tags = ["mine"]
    sample.save()
    correct(samples, sample, left, "disc")
    correct(samples, sample, disc, DELETE)
    decided = decide(drawn)
    assert sorted(str(one.label) for one in decided.corrections) == ["None", "disc"]
    assert labels_of(drawn, "a") == ["disc", "box"]
    assert labels_of(drawn, "b") == ["box", "box", "disc"]
    again = sample_of(curate(drawn), "a.jpg")
    shown = sorted((d.label, d.tags) for d in again["ground_truth"].detections)
    assert shown == [("box", []), ("disc", ["mine"])]
    assert decide(drawn).corrections == ()
    assert undo_fixes(drawn).restored == ("labelme/a.json",)
    assert labels_of(drawn, "a") == ["box", "box", "disc"]


def test_corrections_that_are_in_the_file_already_are_not_reported(
    drawn: Dataset, curate: Curate
) -> None:
    """`decide` was killed between two files; the second time, only the other one is corrected."""
    samples = curate(drawn)
    for name in ("a.jpg", "b.jpg"):
        sample = sample_of(samples, name)
        sample["ground_truth"].detections[0].label = "disc"
        del sample["ground_truth"].detections[1]
        sample.save()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("curation.decisions.corrections.replace_with_backup", once_then_stop())
        decide(drawn)
    decided = decide(drawn)
    assert decided.problems == ()
    assert {one.photo for one in decided.corrections} == {"b.jpg"}
    assert labels_of(drawn, "a") == labels_of(drawn, "b")


def once_then_stop() -> Callable[..., None]:
    done: list[Path] = []

    def replace_once(path: Path, data: bytes, write: Callable[[Path], None]) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(path)
        replace_with_backup(path, data, write)

    return replace_once


def test_corrections_that_will_not_last_are_reported(drawn: Dataset, curate: Curate) -> None:
    sample = sample_of(curate(drawn), "a.jpg")
    sample["ground_truth"].detections[0].label = "bxo"
    moved = sample["ground_truth"].detections[1]
    moved.bounding_box = [0.0, 0.0, 0.5, 0.5]
    sample["ground_truth"].detections.append(fo.Detection(label="box", bounding_box=[0, 0, 1, 1]))
    sample["ground_truth_stuff"].detections[0].label = "box"
    sample.save()
    decided = decide(drawn)
    problems = "\n".join(decided.problems)
    assert decided.corrections == ()
    assert "1 label added to " in problems
    assert "the outline of a 'box' was changed" in problems
    assert "is stuff" in problems
    assert "labelme/a.json: label: expected one of box, disc, found 'bxo'" in problems
    assert labels_of(drawn, "a") == ["box", "box", "disc"]


def test_a_file_that_changed_since_the_conversion_is_left_alone(
    drawn: Dataset, curate: Curate
) -> None:
    sample = sample_of(curate(drawn), "a.jpg")
    sample["ground_truth"].detections[0].label = "disc"
    sample.save()
    draw_photo(drawn.root, "a", GOOD[1:])
    (problem,) = decide(drawn).problems
    assert problem.startswith("labelme/a.json: has changed since it was converted")
    assert labels_of(drawn, "a") == ["box", "disc"]


def test_the_set_must_be_loaded(drawn: Dataset, mongo: str) -> None:
    with pytest.raises(InputError, match="run `curate` first"):
        decide(replace(drawn))
