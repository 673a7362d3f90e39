"""The real Labelme on a virtual screen, from `make annotate` to a converted data set."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from annotation.dataset import Dataset
from annotation.labeling.launch import _run, annotate, labelme_settings
from annotation.labeling.session import Session
from annotation.labelme.annotation import read_annotation
from annotation.rules.validate import check_dataset
from base.errors import InputError
from tests.annotation.labeling.labelme_window import (
    PIPELINE,
    ROOT,
    Window,
    needs_screen,
    virtual_screen,
    wait_for,
)
from tests.drawn import draw_dataset, square

MAKE = ("make", "--no-print-directory", "--assume-old=.venv/ready", "annotate")
CORNERS = (
    (250, 220),
    (420, 230),
    (430, 330),
    (260, 340),
)  # in the middle of the photo


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[dict[str, str]]:
    with virtual_screen(tmp_path / "home") as env:
        yield env


def contents(root: Path) -> dict[str, bytes]:
    """All files except the cache of validation."""
    files = (path for path in root.rglob("*") if path.is_file())
    names = {path.relative_to(root): path for path in files}
    return {n.as_posix(): p.read_bytes() for n, p in names.items() if ".cache" not in n.parts}


def run(*command: object, env: dict[str, str] | None = None, status: int = 0) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def start(env: dict[str, str], *command: object) -> subprocess.Popen[str]:
    words = [str(word) for word in command]
    return subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def end(program: subprocess.Popen[str], window: Window) -> str:
    window.quit()
    output, _ = program.communicate(timeout=60)
    return output


def draw_mixed(root: Path) -> Dataset:
    """In the order of names: fine, new, with an error, new, with a warning."""
    dataset = draw_dataset(
        root,
        {
            "a": [square("box", 2, 3, 10)],
            "b": [],
            "c": [square("bxo", 2, 3, 10)],
            "sub/b": [],
            "sub/d": [square("box", 2, 3, 50)],  # extends outside the photo
        },
    )
    (dataset.labelme / "b.json").unlink()
    (dataset.labelme / "sub/b.json").unlink()
    return dataset


@needs_screen
def test_make_annotate_from_the_first_photo_to_a_converted_set(
    tmp_path: Path, screen: dict[str, str]
) -> None:
    dataset = draw_mixed(tmp_path / "set")
    before = contents(dataset.root)
    drawn = dataset.labelme / "sub/b.json"
    window = Window(screen)
    program = start(screen, *MAKE, f"DATASET={dataset.root}")
    try:
        window.wait_until_shown()
        titles = [window.title(), *(window.step(key) for key in ("d", "d", "d", "d", "a"))]
        assert titles == [
            "1-new/b.jpg [1/5]",
            "2-new/sub/b.jpg [2/5]",
            "3-error/c.jpg [3/5]",
            "4-warning/sub/d.jpg [4/5]",
            "5-fine/a.jpg [5/5]",
            "4-warning/sub/d.jpg [4/5]",
        ]
        assert window.step("a") and window.step("a") == "2-new/sub/b.jpg [2/5]"
        window.draw_polygon("disc", CORNERS)
        wait_for(drawn.exists, "the saved polygon, while Labelme is open")
        printed = run(*PIPELINE, "annotate", dataset.root, env=screen, status=2)
        assert "is open in Labelme" in printed
        output = end(program, window)
    finally:
        program.kill()
    left = "photos without annotation: 1 of 5; files with errors: 1, with warnings: 1"
    assert f"changed annotations: 1\nleft: {left}\n" in output
    assert program.returncode == 0

    after = contents(dataset.root)
    assert after.keys() - before.keys() == {"labelme/sub/b.json"}
    assert before.items() <= after.items()
    annotation = read_annotation(drawn)
    assert (annotation.image_path, annotation.image_data) == ("../../images/sub/b.jpg", None)
    assert annotation.flags == {"exclude": False}
    (shape,) = annotation.shapes
    assert (shape.label, shape.shape_type, len(shape.points)) == ("disc", "polygon", 4)
    assert set(shape.flags) == {"crowd", "occluded", "truncated", "checked"}

    found = tmp_path / "findings.json"
    run(*PIPELINE, "validate", dataset.root, "--json", found, status=1)
    files = {f["file"]: f["rule"] for f in json.loads(found.read_text())["findings"]}
    assert "labelme/sub/b.json" not in files
    assert files["labelme/c.json"].startswith("label-")
    printed = run(*PIPELINE, "convert", dataset.root, status=1)
    assert "left out: labelme/c.json" in printed
    assert "disc" in things(dataset, "sub/b.jpg")


def things(dataset: Dataset, photo: str) -> set[str]:
    """Names of the categories that a converted photo has."""
    names: set[str] = set()
    for path in dataset.panoptic.glob("annotations/panoptic_*.json"):
        coco = json.loads(path.read_text())
        by_id = {c["id"]: c["name"] for c in coco["categories"]}
        numbers = [image["id"] for image in coco["images"] if image["file_name"] == photo]
        for one in coco["annotations"]:
            if one["image_id"] in numbers:
                names |= {by_id[segment["category_id"]] for segment in one["segments_info"]}
    return names


@needs_screen
def test_only_the_listed_photos_are_opened_and_saved_beside_the_photos(
    tmp_path: Path, screen: dict[str, str]
) -> None:
    dataset = draw_dataset(tmp_path / "set", {n: [square("bxo", 2, 3, 10)] for n in "abcd"})
    for path in sorted(dataset.labelme.iterdir()):
        data = {**json.loads(path.read_text()), "imagePath": f"{path.stem}.jpg"}
        (dataset.images / path.name).write_text(json.dumps(data))
        path.unlink()
    (dataset.images / "d.json").unlink()
    dataset.labelme.rmdir()
    settings = Path(screen["HOME"]) / ".labelmerc"
    settings.write_text("auto_save: false\nstore_data: true\nwith_image_data: true\n")
    only = tmp_path / "only.txt"
    only.write_text("d.jpg\r\n\nb.jpg\n")
    before = contents(tmp_path)
    window = Window(screen)
    program = start(screen, *PIPELINE, "annotate", dataset.root, "--only", only)
    try:
        window.wait_until_shown()
        assert window.title() == "1-new/d.jpg [1/2]"
        window.draw_polygon("box", CORNERS)
        assert window.step("d") == "2-error/b.jpg [2/2]"
        window.draw_polygon("box", CORNERS)
        output = end(program, window)
    finally:
        program.kill()
    after = {k: v for k, v in contents(tmp_path).items() if not k.startswith("home/.c")}
    changed = {"set/images/b.json", "set/images/d.json"}
    assert {k for k in after if after[k] != before.get(k)} == changed
    for path in (dataset.images / "b.json", dataset.images / "d.json"):
        annotation = read_annotation(path)
        assert (annotation.image_path, annotation.image_data) == (f"{path.stem}.jpg", None)
    assert program.returncode == 1
    assert "error   images/b.json: shapes[0]: label 'bxo'" in output
    assert "images/a.json" not in output
    assert (
        "left: photos without annotation: 0 of 4; files with errors: 3, with warnings: 0" in output
    )


@needs_screen
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DISPLAY": ":54321"}, "no display: .*could not connect to display :54321"),
        ({"QT_QPA_PLATFORM": "nothing"}, "system libraries .* apt install libgl1"),
    ],
)
def test_the_reason_is_reported_if_the_window_cannot_open(
    tmp_path: Path, change: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_mixed(tmp_path / "set")
    before = contents(dataset.root)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=message):
        annotate(dataset, check=check_dataset)
    assert contents(dataset.root) == before
    assert not (dataset.root / ".annotate").exists()


def test_a_missing_display_photo_or_labelme_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_dataset(tmp_path, {"a": []})
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="no display"):
        annotate(dataset, check=check_dataset)
    monkeypatch.setenv("DISPLAY", ":1")
    (tmp_path / "images/a.jpg").unlink()
    with pytest.raises(InputError, match="no photos"):
        annotate(dataset, check=check_dataset)
    assert not (tmp_path / ".annotate").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="labelme is not installed; run `make setup`"):
        annotate(dataset, check=check_dataset)


def test_labelme_stays_open_if_a_drawing_cannot_be_stored_now(tmp_path: Path) -> None:
    """It is stored, or the error reported, when the window is closed."""
    calls: list[None] = []

    def store_changes() -> None:
        calls.append(None)
        raise InputError(f"{tmp_path}/.lock: cannot be written: Permission denied")

    session = cast(Session, SimpleNamespace(folder=tmp_path, store_changes=store_changes))
    program = "import pathlib, time; time.sleep(1.5); pathlib.Path('closed').touch()"
    _run([sys.executable, "-c", program], session, os.open(tmp_path, os.O_RDONLY))
    assert calls and (tmp_path / "closed").exists()


def test_user_settings_are_kept_if_this_version_of_labelme_knows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    own = "labels: [x]\nstore_data: true\nshortcuts: {open_next: N, add_point_to_edge: P}\n"
    (tmp_path / ".labelmerc").write_text(own)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/default_config.yaml").write_text(
        "labels:\nwith_image_data: false\nshortcuts: {open_next: D, quit: Q}\n"
    )
    config = draw_dataset(tmp_path / "set", {"a": []}).config
    settings = labelme_settings(config, tmp_path)
    assert settings["shortcuts"] == {"open_next": "N"}
    assert settings["labels"] == ["box", "disc", "__ignore__", "__hole__"]
    assert "store_data" not in settings
    capsys.readouterr()
    (tmp_path / ".labelmerc").write_text("display_label_popup: !!bool x")
    assert "shortcuts" not in labelme_settings(config, tmp_path)
    assert "labelmerc: is not valid YAML: line 1, column 22: " in capsys.readouterr().out
    (tmp_path / ".labelmerc").unlink()
    os.mkfifo(tmp_path / ".labelmerc")
    assert "shortcuts" not in labelme_settings(config, tmp_path)
    assert "labelmerc: cannot be read: is not a regular file" in capsys.readouterr().out
