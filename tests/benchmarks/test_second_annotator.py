"""A second annotator agrees with the first almost, but not completely."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import InputError
from benchmarks.second_annotator import score_second_annotator
from labelme_panoptic_detr import convert, open_dataset, render_yard


def test_another_hand_is_close_but_not_the_same(tmp_path: Path) -> None:
    render_yard(tmp_path / "yard", images=4, seed=5)
    convert(open_dataset(tmp_path / "yard"))
    scores = score_second_annotator(tmp_path / "yard", seed=0)
    assert len(scores.matches) == 1  # a fifth of the photos
    assert 0.8 < scores.quality.all.pq < 1
    assert scores.mask_ap is not None and 0.3 < scores.mask_ap.ap < 1


def test_other_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sample\.json: missing; expected a set that"):
        score_second_annotator(tmp_path, seed=0)
