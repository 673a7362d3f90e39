"""Loads and reviews that are stopped at a write: the next one is complete, whatever it loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from curation.app.fields import PREDICTED_SCENE
from curation.review.review import review
from tests.curation.conftest import GOOD, Curate, predict, predict_truth, truth_of
from tests.drawn import draw_photo, square

OTHER = [*GOOD[:1], square("disc", 2, 20, 5)]
FIELDS = ("ground_truth", "ground_truth_stuff", "predictions", "predictions_stuff")
EVERY = 5  # writes between two stops


def stopped(call: Callable[[], object], write: int) -> bool:
    """Stop a load or a review before its `write`-th write, and return whether it has so many."""
    whole, done = fo.Dataset.set_values, 0

    def set_values(*arguments: Any, **options: Any) -> None:
        nonlocal done
        done += 1
        if done == write:
            raise KeyboardInterrupt
        whole(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fo.Dataset, "set_values", set_values)
        try:
            call()
        except KeyboardInterrupt:
            return True
    return False


def state(samples: fo.Dataset) -> dict[str, list[Any]]:
    """Return what a set shows of each photo, without ids and times."""
    samples.reload()
    shown = {}
    for sample in samples:
        fields = [sample[field] for field in FIELDS if sample.has_field(field)]
        labels = [
            [(d.label, d.bounding_box, d.mask_path, sorted(d.tags)) for d in found.detections]
            for found in fields
            if found
        ]
        pq = sample["pq"] if sample.has_field("pq") else None
        scene = sample["scene"] and sample["scene"].mask_path
        shown[sample["photo"]] = [sorted(sample.tags), sample["split"], scene, labels, pq]
    return shown


def test_a_load_that_was_stopped(drawn: Dataset, curate: Curate) -> None:
    def draw(shapes: Any) -> None:
        draw_photo(drawn.root, "a", shapes)
        draw_photo(drawn.root, "b", shapes)

    old = state(curate(drawn))
    draw(OTHER)
    new = state(curate(drawn))
    assert old != new
    draw(GOOD)
    assert state(curate(drawn)) == old
    write = 1
    while True:
        draw(OTHER)
        if not stopped(lambda: curate(drawn), write):
            break
        if write % 2:
            assert state(curate(drawn)) == new
        draw(GOOD)
        assert state(curate(drawn)) == old
        write += EVERY
    assert write > EVERY


def test_a_review_that_was_stopped(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    samples = curate(drawn)
    first, second = tmp_path / "first", tmp_path / "second"
    predict(drawn, first / "predictions")
    predict_truth(drawn, second / "predictions")

    def load(run: Path) -> None:
        review(drawn, truth_of(drawn).json_path, run / "predictions/panoptic.json", run=run)

    load(first)
    before = state(samples)
    write = 1
    while stopped(lambda: load(second), write):
        load(first)
        assert state(samples) == before
        write += EVERY
    assert write > EVERY
    assert state(samples) != before
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("curation.loading.masks.shutil.rmtree", half_remove)
        load(first)
    load(second)
    shown = [mask for sample in samples for mask in mask_paths(sample)]
    assert shown and all(cv2.imread(mask) is not None for mask in shown)


def half_remove(folder: Path, **_: object) -> None:
    """Remove one mask of a folder, as `rmtree` has done when it is killed."""
    if folder.is_dir():
        (folder / "scene.png").unlink()
        raise KeyboardInterrupt


def mask_paths(sample: fo.Sample) -> list[str]:
    scene = sample[PREDICTED_SCENE]
    return [] if scene is None else [scene.mask_path]
