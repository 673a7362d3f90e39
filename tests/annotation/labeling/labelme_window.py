"""The real Labelme on a virtual screen, controlled by mouse and keyboard events."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import ImageGrab

MISSING = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
needs_screen = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")
ROOT = Path(__file__).parents[3]
PIPELINE = (sys.executable, str(ROOT / "pipeline.py"))


@contextmanager
def virtual_screen(home: Path) -> Iterator[dict[str, str]]:
    """Provide the environment of a virtual screen with a home folder of its own."""
    read, write = os.pipe()
    # without -noreset, it restarts when no window is open, and refuses new windows meanwhile
    command = ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", "1280x900x24"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()  # Xvfb prints it when it is ready
        home.mkdir(exist_ok=True)
        languages = {"LC_ALL": "C.UTF-8", "LANGUAGE": "en"}
        yield {**os.environ, **languages, "DISPLAY": f":{number}", "HOME": str(home)}
    finally:
        server.terminate()
        server.wait()


def wait_for(condition: Callable[[], object], what: str, *, seconds: int = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)


class Window:
    """The window of Labelme; without a window manager, the focus must be set explicitly."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env

    def _xdotool(self, *arguments: object) -> str:
        command = ["xdotool", *map(str, arguments)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True)
        return done.stdout.strip()

    def _windows(self) -> list[str]:
        return self._xdotool("search", "--onlyvisible", "--class", "labelme").split()

    def _main(self) -> str:
        return next((w for w in self._windows() if " - " in self._name(w)), "")

    def _name(self, window: str) -> str:
        return self._xdotool("getwindowname", window)

    def title(self) -> str:
        """Return the photo and its position in the title, such as `1-new/a.jpg [1/3]`."""
        found = re.fullmatch(r"Labelme - (.*)", self._name(self._main()))
        return found[1] if found else ""

    def wait_until_shown(self) -> None:
        """Wait until the screen no longer changes: the window opens before its layout is done."""
        wait_for(self.title, "Labelme's window")
        seen = [b"", b""]

        def is_still() -> bool:
            time.sleep(0.4)
            seen[:] = seen[1], ImageGrab.grab(xdisplay=self._env["DISPLAY"]).tobytes()
            return seen[0] == seen[1]

        wait_for(is_still, "the window to stop changing")

    def press(self, *keys: str) -> None:
        self._xdotool("windowfocus", "--sync", self._main())
        self._xdotool("key", *keys)

    def step(self, key: str) -> str:
        """Go to the next (d) or previous (a) photo; return the title."""
        before = self.title()
        self.press(key)
        wait_for(lambda: self.title() != before, f"another photo than {before}")
        return self.title()

    def draw_polygon(self, label: str, corners: Sequence[tuple[int, int]]) -> None:
        """Click the corners, (x, y) on the screen, and the first one again; type the label."""
        self.press("ctrl+n")
        for x, y in (*corners, corners[0]):
            self._xdotool("mousemove", x, y)
            time.sleep(0.2)  # Labelme uses the last position that it has processed
            self._xdotool("click", 1)
            time.sleep(0.2)
        wait_for(self._dialog, "the dialog that asks for the label")
        self._xdotool("windowfocus", "--sync", self._dialog())
        self._xdotool("type", label)
        self._xdotool("key", "Return")
        wait_for(lambda: not self._dialog(), "the dialog to close")

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move what is at `start`, (x, y) on the screen, such as a corner of a shape, to `end`."""
        self._xdotool("windowfocus", "--sync", self._main())
        self._xdotool("mousemove", *start)
        time.sleep(0.2)  # Labelme uses the last position that it has processed
        self._xdotool("mousedown", 1)
        time.sleep(0.2)
        self._xdotool("mousemove", *end)
        time.sleep(0.2)
        self._xdotool("mouseup", 1)

    def rename_shape(self, label: str, row: tuple[int, int]) -> None:
        """Select a shape by its row in the list of shapes, (x, y) on the screen, and rename it."""
        self._xdotool("mousemove", *row)
        time.sleep(0.2)
        self._xdotool("click", 1)
        time.sleep(0.2)
        self.press("ctrl+e")
        wait_for(self._dialog, "the dialog that asks for the label")
        self._xdotool("windowfocus", "--sync", self._dialog())
        self._xdotool("key", "ctrl+a")
        self._xdotool("type", label)
        self._xdotool("key", "Return")
        wait_for(lambda: not self._dialog(), "the dialog to close")

    def _dialog(self) -> str:
        return next((w for w in self._windows() if " - " not in self._name(w)), "")

    def quit(self) -> None:
        self.press("ctrl+q")
