"""Runs that hold out training photos: what they read, select and store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from base.errors import InputError
from conversion.building.group_file import GroupFile, group_file_path
from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment
from conversion.coco.panoptic_file import read_panoptic
from detr.prediction.predict import predict
from detr.prediction.predictor import find_model_file, load_predictor
from detr.prediction.thresholds import Thresholds
from detr.training.run_folder import Run
from detr.training.train import train
from detr.training.tuning import Curves, choose_thresholds
from detr.weights.checkpoint import load_checkpoint, save_checkpoint
from detr.weights.thresholds import SegmentThresholds
from evaluation.report.log import read_log as read_epochs
from evaluation.scores.matching import Overlaps, PhotoMatch, TruePositive
from evaluation.scores.quality import QualitySums
from tests.detr.data.test_splits import rename_split
from tests.detr.drawn import CATEGORIES, CIRCLE, GRASS, SKY, SQUARE, draw_set
from tests.detr.training.runs import CONFIG, FAST, TUNED, read_log, run_config

DEFAULT = SegmentThresholds(things=0.2, stuff=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set whose test photos cannot be read, with groups of two photos, and a run on it."""
    root = tmp_path_factory.mktemp("tuned")
    panoptic = draw_set(root / "panoptic", train=20, test=2)
    for path in (panoptic / "test").iterdir():
        path.write_bytes(b"no photo")
    pairs = tuple((f"photo{i}.png", f"photo{i + 1}.png") for i in range(1, 20, 2))
    group_file_path(panoptic).write_bytes(GroupFile("", pairs).encode())
    train(panoptic, root / "run", run_config(TUNED), "both")
    return root


def test_test_photos_are_not_read_and_tuning_photos_are_measured(folder: Path) -> None:
    lines = read_log(folder / "run")
    for line in lines:
        assert "test" not in line and line["train"].keys() == line["tune"].keys()
        assert 0 <= line["scores"]["pq"] <= 1
    assert [line.get("flat_epochs") for line in lines] == [None, None, 2]
    assert [epoch.tune["loss"] for epoch in read_epochs(folder / "run/log.jsonl")] == [
        line["tune"]["loss"] for line in lines
    ]
    events = EventAccumulator(str(folder / "run/tensorboard/joint"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert {"tune/loss", "train/loss"} <= names
    assert not any("test" in name or "flat" in name for name in names)


def test_photos_that_are_held_out_are_not_trained_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[str, set[str]] = {"train": set(), "tune": set()}
    examples = Run.examples

    def spied(self: Run, split: str, *args: object, **options: object) -> object:
        found = examples(self, split, *args, **options)  # type: ignore[arg-type]
        used[split] |= {photo.file_name for photo in found.panoptic.photos}
        return found

    monkeypatch.setattr(Run, "examples", spied)
    config = run_config(TUNED, epochs=1, schedule="cosine", score_every=0)
    train(folder / "panoptic", tmp_path / "run", config, "both")
    every = {f"photo{i}.png" for i in range(1, 21)}
    assert used["train"] | used["tune"] == every and not used["train"] & used["tune"]
    assert len(used["tune"]) == 4
    pairs = {(int(name[5:-4]) - 1) // 2 for name in used["tune"]}
    assert len(pairs) == 2  # whole groups


def test_an_interrupted_run_has_the_same_losses_and_thresholds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before every epoch, and before thresholds are chosen."""
    run = tmp_path / "run"
    for stop in (1, 2, 3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            _stop_after(patch, stop, len(read_log(run)) if run.exists() else 0)
            train(folder / "panoptic", run, run_config(TUNED), "both")
        assert len(read_log(run)) == stop
    best = run / "checkpoints/joint-best.pt"
    assert load_checkpoint(best).thresholds is None
    train(folder / "panoptic", run, run_config(TUNED), "both")
    assert read_log(run) == read_log(folder / "run")
    other = load_checkpoint(folder / "run/checkpoints/joint-best.pt")
    assert load_checkpoint(best).thresholds == other.thresholds


def _stop_after(patch: pytest.MonkeyPatch, epochs: int, done: int) -> None:
    """Interrupt training after some epochs, once the last one is stored."""
    from detr.training import train as module

    save, calls = module.save_epoch, iter(range(epochs - done - 1))

    def stopped(*arguments: object) -> None:
        save(*arguments)  # type: ignore[arg-type]
        if next(calls, None) is None:
            raise KeyboardInterrupt

    patch.setattr(module, "save_epoch", stopped)


def test_photos_of_val_select_the_epoch_without_tune(tmp_path: Path) -> None:
    """Test photos do not: with them, the last epoch predicts, although all were scored."""
    config, files = run_config(FAST, score_every=1), {}
    for split in ("test", "val"):
        panoptic = draw_set(tmp_path / split / "panoptic", train=2, test=2)
        rename_split(panoptic, "test", split)
        train(panoptic, tmp_path / split / "run", config, "joint")
        files[split] = find_model_file(tmp_path / split / "run").name
    assert files == {"test": "joint.pt", "val": "joint-best.pt"}


def test_the_best_checkpoint_predicts_with_its_thresholds(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    best = run / "checkpoints/joint-best.pt"
    assert find_model_file(run) == best
    checkpoint = load_checkpoint(best)
    scores = {line["epoch"]: line["scores"]["pq"] for line in read_log(run)}
    assert scores[checkpoint.epoch] == max(scores.values())
    assert checkpoint.thresholds is not None  # stored at the end of the stage
    assert load_checkpoint(run / "checkpoints/joint.pt").thresholds is None
    counts = []
    for thresholds, given in (
        (SegmentThresholds(0.99, 0.99), None),
        (SegmentThresholds(0.0, 0.0, {CIRCLE: 1.0}), None),
        (SegmentThresholds(0.99, 0.99), Thresholds(0.0)),
    ):
        save_checkpoint(best, replace(checkpoint, thresholds=thresholds))
        predict(run, folder / "panoptic/train", tmp_path / "out", given)
        found = read_panoptic(tmp_path / "out/panoptic.json")
        counts.append(sum(len(photo.segments) for photo in found.photos))
        if given is None:
            assert all(s.category_id != CIRCLE for photo in found.photos for s in photo.segments)
    assert counts[0] < counts[1] and counts[0] < counts[2]


def test_a_checkpoint_of_an_earlier_version_has_no_thresholds(folder: Path, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "joint.pt"
    values = torch.load(folder / "run/checkpoints/joint.pt", weights_only=True)
    del values["thresholds"], values["config"]["tune"]
    torch.save(values, path)
    assert load_checkpoint(path).thresholds is None
    assert load_predictor(path, Thresholds()).thresholds == DEFAULT


def test_a_small_set_has_no_tuning_photos(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(FAST, tune=0.1, epochs=1, score_every=1, schedule="plateau", patience=1)
    train(panoptic, tmp_path, config, "both")
    printed = capsys.readouterr().out
    assert "tune 0.1: none of 4 training photos are held out (fewer than 20)" in printed
    first, second = read_log(tmp_path)
    assert first["tune"] == {} and "scores" not in second and "test" not in second
    assert find_model_file(tmp_path) == tmp_path / "checkpoints/joint.pt"
    assert load_checkpoint(tmp_path / "checkpoints/joint.pt").thresholds is None


def test_missing_groups_are_said_and_other_groups_need_another_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=20, test=0)
    (panoptic / "panoptic_test").mkdir()
    config = run_config(FAST, tune=0.1, epochs=1)
    train(panoptic, tmp_path / "run", config, "both")
    printed = capsys.readouterr().out
    assert "2 of 20 training photos are held out" in printed
    assert f"{panoptic / 'groups.json'}: missing, so photos of one group" in printed
    assert "thresholds of epoch 1, from 2 photos: things 0.2" in printed
    group_file_path(panoptic).write_bytes(GroupFile("", (("photo1.png", "photo2.png"),)).encode())
    with pytest.raises(InputError, match=r"different build.*another --run"):
        train(panoptic, tmp_path / "run", config, "both")


def test_the_published_variant_selects_thresholds_too(folder: Path, tmp_path: Path) -> None:
    config = run_config(CONFIG, tune=0.2, epochs=1, mask_epochs=1, score_every=1)
    train(folder / "panoptic", tmp_path / "run", config, "both")
    assert [set(line) & {"tune", "test"} for line in read_log(tmp_path / "run")] == [{"tune"}] * 2
    path = find_model_file(tmp_path / "run")
    assert path.name == "masks-best.pt"
    assert load_checkpoint(path).thresholds is not None


Found = tuple[int, int]  # numbers of hits and of false alarms


def drawn_curves(found: Callable[[Category, float, int], Found], *, true: int = 20) -> Curves:
    """Return curves of what is found at each threshold in each half of the photos.

    Each half has `true` segments of each category.
    """

    def sums(threshold: float, half: int) -> QualitySums:
        total = QualitySums()
        for category in CATEGORIES:
            hits, false_alarms = found(category, threshold, half)
            segment = Segment(1, category.id, 9, (0, 0, 3, 3))
            photo = Photo(1, "photo.png", 4, 4, "photo.png", ())
            matched = (TruePositive(segment, segment, 1.0),) * hits
            missed, wrong = (segment,) * (true - hits), (segment,) * false_alarms
            total.add(PhotoMatch(photo, photo, matched, wrong, missed, Overlaps({})))
        return total

    both = {t: (sums(t, 0), sums(t, 1)) for t in (0.1, 0.2, 0.3, 0.5)}
    return Curves(CATEGORIES, DEFAULT, {"things": both, "stuff": both})


def test_kinds_and_categories_have_the_thresholds_with_the_best_quality() -> None:
    best = {CIRCLE: 0.3, SQUARE: 0.1, GRASS: 0.5, SKY: 0.5}

    def found(category: Category, threshold: float, half: int) -> Found:
        right = threshold == best[category.id]
        return (20 if right else 15 if threshold == 0.3 else 10), 0

    thresholds, choices = choose_thresholds(drawn_curves(found))
    assert thresholds == SegmentThresholds(0.3, 0.5, {SQUARE: 0.1})
    assert list(map(str, choices)) == [
        "things 0.3 (PQ 92.9 instead of 66.7)",
        "stuff 0.5 (PQ 100.0)",
        "square 0.1 (PQ 100.0 instead of 85.7)",
    ]


def test_thresholds_stay_if_the_halves_of_the_photos_disagree() -> None:
    best = (0.1, 0.3)  # of each half

    def found(category: Category, threshold: float, half: int) -> Found:
        return (20 if threshold == best[half] else 15 if threshold in (0.2, 0.5) else 5), 0

    assert choose_thresholds(drawn_curves(found))[0] == DEFAULT


def test_thresholds_stay_if_the_gain_is_small() -> None:
    def found(category: Category, threshold: float, half: int) -> Found:
        return 100, 0 if threshold == 0.3 else 1

    assert choose_thresholds(drawn_curves(found, true=100))[0] == DEFAULT


@pytest.mark.parametrize(("true", "expected"), [(4, 0.2), (5, 0.3)])
def test_thresholds_stay_if_there_are_few_segments(true: int, expected: float) -> None:
    """Of two categories in two halves; 20 are enough for all things, but not for each category."""

    def found(category: Category, threshold: float, half: int) -> Found:
        return (true if threshold == 0.3 else 1), 0

    thresholds, _ = choose_thresholds(drawn_curves(found, true=true))
    assert (thresholds.things, thresholds.by_category) == (expected, {})
