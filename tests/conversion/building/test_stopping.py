"""Interrupting a build loses nothing, and the bytes are always the same."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from conversion.building import place
from conversion.building.build import convert
from tests.conversion.building.builds import draw, settle, shapes, tree, tree_of_fresh
from tests.drawn import YAML, draw_photo

FORK = multiprocessing.get_context("fork")


@pytest.mark.parametrize(
    "harm",
    ["panoptic_train/*.png", "annotations/instances_test.json", "train/*.jpg", "annotations/*"],
)
def test_damaged_files_are_rebuilt(tmp_path: Path, harm: str) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    whole = tree(dataset)
    for path in dataset.panoptic.glob(harm):
        path.unlink()
    (dataset.panoptic / "panoptic_test/strange.png").write_bytes(b"x")
    assert convert(dataset).fresh
    assert tree(dataset) == whole
    path = next(dataset.panoptic.glob("panoptic_train/*.png"))
    path.write_bytes(b"x" * len(whole[f"panoptic_train/{path.name}"]))
    assert convert(dataset).fresh
    assert tree(dataset) == whole


@pytest.mark.parametrize("step", ["_move_pngs", "_remove_leftovers", "_link_photos", "manifest"])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_splits_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Old splits are removed, whichever step was last, even if the next run knows the new ones."""
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.6, val: 0.4")
    fresh = draw(tmp_path / "fresh", 6, yaml)
    convert(fresh)
    convert(draw(tmp_path / "set", 6))
    (tmp_path / "set/dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path / "set")
    real = getattr(place, step)

    def stop(*given: object) -> None:
        if after:
            real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(place, step, stop)
        convert(dataset)
    convert(dataset)
    assert tree(dataset) == tree(fresh)
    folders = [{p.name for p in one.panoptic.rglob("*")} for one in (dataset, fresh)]
    assert folders[0] == folders[1]


def test_temporary_failures_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error or a lack of memory is not the fault of a photo."""
    dataset, fresh = draw(tmp_path / "set", 4), draw(tmp_path / "fresh", 4)
    convert(dataset)
    convert(fresh)
    for one in (dataset, fresh):
        cv2.imwrite(str(one.root / "stuff/p001.png"), np.full((30, 40), 149, np.uint8))
    convert(fresh)
    open_file = os.open

    def failing(error: Exception) -> Callable[..., int]:
        def open_or_fail(path: Any, *arguments: Any, **named: Any) -> int:
            if Path(path).name == "p001.png":
                raise error
            return open_file(path, *arguments, **named)

        return open_or_fail

    for error, message in [
        (OSError(errno.EIO, "Input/output error"), "p001.png: cannot be read: Input/output error"),
        (MemoryError(), "labelme/p001.json: not enough memory"),
    ]:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", failing(error))
            ((file, why),) = convert(dataset).left_out
        assert file == "labelme/p001.json"
        assert message in why
    whole = convert(dataset)
    assert (sum(whole.photos.values()), whole.left_out) == (4, ())
    assert tree(dataset) == tree(fresh)
    assert not convert(dataset).fresh


def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw(tmp_path / "one", 70)
    with monkeypatch.context() as patch:
        patch.setattr("base.workers.count_cores", lambda: 1)
        convert(dataset)
    monkeypatch.setattr("base.workers.count_cores", lambda: 3)
    assert tree_of_fresh(tmp_path / "three", 70) == tree(dataset)


def test_killed_at_fifty_moments(tmp_path: Path) -> None:
    """Kill a build, check its files and complete it, fifty times."""
    dataset = draw(tmp_path, 24)
    settle(dataset)
    convert(dataset)
    whole = tree(dataset)
    chance = random.Random(0)
    unfinished = 0
    for _ in range(50):
        shutil.rmtree(dataset.panoptic)
        if chance.random() < 0.7:  # otherwise the photos are already painted, and only moved
            shutil.rmtree(tmp_path / ".cache")
        moment = chance.randint(0, len(whole))  # this many files are there
        program = run(dataset)
        while program.is_alive() and sum(len(f) for _, _, f in os.walk(dataset.panoptic)) < moment:
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.005))
        program.kill()
        program.join()
        unfinished += not (dataset.panoptic / "manifest.json").exists()
        for path in dataset.panoptic.rglob("*"):
            name = path.relative_to(dataset.panoptic).as_posix()
            if path.is_file() and not path.name.startswith("."):
                known = whole.get(name.replace(".new/", "panoptic_train/"))
                known = known or whole.get(name.replace(".new/", "panoptic_test/"))
                assert path.read_bytes() == known, name  # no file is incomplete
        convert(dataset)
        assert tree(dataset) == whole
    assert unfinished >= 10


def run(dataset: Dataset) -> multiprocessing.process.BaseProcess:
    program = FORK.Process(target=convert, args=(dataset,))
    program.start()
    return program


def test_killed_while_changes_are_built(tmp_path: Path) -> None:
    """Kill builds that update a complete set."""
    dataset = draw(tmp_path, 12)
    convert(dataset)
    chance = random.Random(1)
    for turn in range(8):
        for number in range(12):
            draw_photo(tmp_path, f"p{number:03}", shapes(number + turn))
        draw_photo(tmp_path, f"q{turn}", shapes(turn))
        program = run(dataset)
        time.sleep(chance.uniform(0, 0.25))
        program.kill()
        program.join()
    convert(dataset)
    remembered = json.loads((dataset.panoptic / "split.json").read_text())
    fresh = draw(tmp_path / "fresh", 0)
    for number in range(12):
        draw_photo(fresh.root, f"p{number:03}", shapes(number + 7))
    for turn in range(8):
        draw_photo(fresh.root, f"q{turn}", shapes(turn))
    fresh.panoptic.mkdir()
    (fresh.panoptic / "split.json").write_text(json.dumps(remembered))
    convert(fresh)
    assert tree(fresh) == tree(dataset)


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 150)
    program = run(dataset)
    children: list[int] = []
    while not children and program.is_alive():
        time.sleep(0.05)
        children = [pid for pid in children_of(program.pid or 0) if is_python(pid)]
    os.kill(program.pid or 0, signal.SIGKILL)
    program.join()
    assert children
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in children):
            break
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    convert(dataset)
    assert tree(dataset) == tree_of_fresh(tmp_path / "fresh", 150)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_python(pid: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
