"""Open the real Labelme on a data set, as a program of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from annotation.dataset import Dataset, DatasetConfig
from annotation.findings import Finding
from annotation.labeling.session import Session, only_one, pick_up, session_of
from annotation.labeling.worklist import places, read_list, recheck, survey
from base.errors import InputError
from base.naming import printable

SYSTEM_PACKAGES = "libgl1 libegl1 libdbus-1-3 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0"
SYSTEM_PACKAGES += " libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1"
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@dataclass(frozen=True)
class Annotated:
    """What a person did in Labelme: annotations changed, findings on them, what is left to do."""

    changed: tuple[Path, ...]
    findings: tuple[Finding, ...]
    left: str


def annotate(dataset: Dataset, only: Path | None = None) -> Annotated:
    """Open Labelme, wait until its window is closed, and check what was changed.

    Shown are the photos without annotation, then those with errors, with warnings, and the others;
    or the photos that the text file `only` names, in its order. Raises InputError where there is no
    photo, no screen, or where Labelme does not start.
    """
    labelme = _labelme_folder()
    if sys.platform == "linux" and not any(map(os.environ.get, SCREENS)):
        raise InputError("no screen: Labelme needs a desktop (DISPLAY is not set)")
    with only_one(dataset) as lock:
        changed = pick_up(dataset)
        for path in sorted(changed):
            print(f"{dataset.relative(path)}: picked up from a session that was cut off")
        work = survey(dataset)
        photos = work.in_order() if only is None else read_list(only, dataset, work.photos)
        place = places(dataset, work)
        shown = [(p, place[p], work.state(p)) for p in photos if _can_be_named(p)]
        with session_of(dataset, shown) as session:
            _run(labelme_command(dataset.config, labelme), session, lock)
    changed |= session.changed
    work, findings = recheck(dataset, work, changed)
    return Annotated(tuple(sorted(changed)), tuple(findings), work.left())


def _can_be_named(photo: Path) -> bool:
    """Whether Labelme can write the photo's name; says so where it cannot."""
    try:
        str(photo).encode()
    except UnicodeEncodeError:
        print(f"left out: {printable(str(photo))} (its name is no UTF-8, rename it)")
        return False
    return True


def _labelme_folder() -> Path:
    spec = importlib.util.find_spec("labelme")  # finds it without importing it
    if spec is None or spec.origin is None:
        raise InputError("labelme is not installed; run `make setup`")
    return Path(spec.origin).parent


def labelme_command(config: DatasetConfig, labelme: Path) -> list[str]:
    """Command that opens Labelme on the folder in which it is started.

    Names in the file list and the title are then short.
    """
    settings = yaml.safe_dump(
        labelme_settings(config, labelme), allow_unicode=True, default_flow_style=True, width=10**6
    )
    program = [sys.executable, "-P", "-m", "labelme", "."]
    return [*program, "--config", settings, "--logger-level", "warning"]


def labelme_settings(config: DatasetConfig, labelme: Path) -> dict[str, Any]:
    """Labelme's settings: the user's own ~/.labelmerc, over it what the data set needs.

    Labelme 6 drops all settings, the labels among them, where it does not know one; so those that
    older versions left in the file are left out here. The file itself stays as it is.
    """
    defaults = _read_settings(labelme / "config" / "default_config.yaml")
    return {
        **_known(_read_settings(Path.home() / ".labelmerc"), defaults),
        "labels": list(config.labels),
        "validate_label": "exact",
        "sort_labels": False,
        "flags": list(config.photo_flags),
        "label_flags": {".*": list(config.shape_flags)},
        "auto_save": True,
        "with_image_data": False,
        "file_search": None,
    }


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _known(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _known(value, defaults[key])
        if isinstance(value, dict) and isinstance(defaults[key], dict)
        else value
        for key, value in settings.items()
        if key in defaults
    }


def _run(command: Sequence[str], session: Session, lock: int) -> None:
    """Run Labelme to its end; every second, what it saved is carried to its place."""
    with tempfile.TemporaryFile() as said:
        program = subprocess.Popen(command, cwd=session.folder, stderr=said, pass_fds=[lock])
        try:
            while not _ended(program):
                with contextlib.suppress(OSError):  # a full disk: tried again, said at the end
                    session.carry()
        finally:
            program.terminate()  # after Ctrl-C; every change is saved when it is made
            program.wait()
        said.seek(0)
        if program.returncode:
            raise InputError(_why(program.returncode, said.read().decode(errors="replace")))


def _ended(program: subprocess.Popen[bytes]) -> bool:
    try:
        program.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return False
    return True


def _why(status: int, said: str) -> str:
    """Why Labelme ended with an error, from what it and Qt said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]

    def saying(*words: str) -> str | None:
        return next((line for line in lines if any(word in line for word in words)), None)

    if line := saying("could not connect to display", "Failed to create wl_display"):
        return f"no screen: Labelme needs a desktop ({line})"
    if line := saying("cannot open shared object file", "platform plugin"):
        packages = f"on Debian or Ubuntu: apt install {SYSTEM_PACKAGES}"
        return f"Labelme's window needs system libraries that are missing ({line}); {packages}"
    last = lines[-1] if lines else "it said nothing"
    return f"Labelme ended with status {status}: {last}; what was drawn is saved"
