"""What the Python interface says about mistakes, and what it does in a script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import labelme_panoptic_detr as lpd
from tests.detr.random_weights import SMALL, save
from tests.drawn import draw_dataset, square

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> lpd.Model:
    path = save(tmp_path_factory.mktemp("weights") / "w.pth", SMALL, 250, masks=True)
    return lpd.load_model(path, threshold=0.9)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 5), np.uint8), r"\(4, 5\) of uint8"),
        (np.zeros((4, 5, 4), np.uint8), r"\(4, 5, 4\) of uint8"),
        (np.zeros((4, 5, 3)), r"\(4, 5, 3\) of float64"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\) of uint8"),
    ],
)
def test_arrays_that_are_no_photos_are_refused(
    model: lpd.Model, array: np.ndarray, found: str
) -> None:
    with pytest.raises(lpd.InputError, match=f"photo 2: expected .* RGB, found {found}"):
        list(model.predict_many([np.zeros((64, 64, 3), np.uint8), array]))


def test_a_photo_without_segments(model: lpd.Model) -> None:
    found = model.predict(np.zeros((64, 80, 3), np.uint8))
    assert found.segments == () and not found.ids.any()
    assert len(found.to_supervision()) == 0
    assert found.draw().shape == (64, 80, 3)


def test_settings_are_named_in_errors(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 9)]})
    with pytest.raises(lpd.InputError, match=r"settings: .*'epoch'.*did you mean 'epochs'"):
        lpd.train(dataset, tmp_path / "run", settings={"epoch": 3})
    with pytest.raises(lpd.InputError, match=r"panoptic: missing or incomplete"):
        lpd.train(dataset, tmp_path / "run")
    with pytest.raises(lpd.InputError, match=r"time: expected"):
        lpd.train(dataset, tmp_path / "run", time="10")


def test_a_script_without_a_main_guard_is_not_started_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('started')\n"
        "from base import workers\n"
        "workers.count_cores, workers.FEW = lambda: 2, 1\n"
        "print(sum(workers.in_processes(abs, range(-40, 0), at_once=2)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["started", "820"], done.stderr
