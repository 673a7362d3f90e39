"""The real Labelme on a virtual screen: open a set, draw a box with the mouse, find it saved."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotation.files import InputError
from annotation.labelme import read_annotation
from annotation.launch import open_labelme
from tests.drawn import draw_dataset, square

MISSING = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a virtual screen of its own, with an empty home."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()  # Xvfb says it when it is ready
    yield {**os.environ, "DISPLAY": f":{number}", "HOME": str(tmp_path)}
    server.terminate()
    server.wait()


def wait_for(condition: Callable[[], bool], what: str, *, seconds: int = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.2)


@pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")
def test_annotate_opens_labelme_saves_what_is_drawn_and_validates(
    tmp_path: Path, screen: dict[str, str]
) -> None:
    dataset = draw_dataset(tmp_path / "set", {"a": [square("box", 2, 3, 10)]})
    path = dataset.labelme / "a.json"

    def xdotool(*arguments: object) -> str:
        command = ["xdotool", *map(str, arguments)]
        return subprocess.run(command, env=screen, capture_output=True, text=True).stdout

    def click(x: int, y: int) -> None:
        xdotool("mousemove", x, y)
        time.sleep(0.3)
        xdotool("click", 1)
        time.sleep(0.3)

    command = [sys.executable, str(ROOT / "pipeline.py"), "annotate", str(dataset.root)]
    program = subprocess.Popen(command, env=screen, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: "a.jpg" in titles(xdotool), "Labelme's window")
        time.sleep(2)  # Labelme shows the window before it is laid out
        for x, y in ((44, 180), (350, 250), (450, 350)):  # the rectangle tool, two corners
            click(x, y)
        time.sleep(1)  # the dialog that asks for the label opens
        xdotool("mousemove", 520, 373)  # keys go to the window under the mouse
        time.sleep(0.5)
        xdotool("type", "disc")
        xdotool("key", "Return")
        wait_for(lambda: len(read_annotation(path).shapes) == 2, "the saved rectangle")
        xdotool("search", "--name", "a.jpg", "windowfocus", "--sync")
        xdotool("key", "ctrl+q")
        output, _ = program.communicate(timeout=60)
    finally:
        program.kill()
    drawn = read_annotation(path).shapes[1]
    assert (drawn.label, drawn.shape_type, len(drawn.points)) == ("disc", "rectangle", 2)
    assert "no findings" in output
    assert program.returncode == 0


def titles(xdotool: Callable[..., str]) -> str:
    windows = xdotool("search", "--name", "Labelme").split()
    return " ".join(xdotool("getwindowname", window) for window in windows)


def test_without_a_screen_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    dataset = draw_dataset(tmp_path, {"a": []})
    with pytest.raises(InputError, match="no screen"):
        open_labelme(dataset)
    (tmp_path / "images/a.jpg").unlink()
    with pytest.raises(InputError, match="no photos"):
        open_labelme(dataset)
