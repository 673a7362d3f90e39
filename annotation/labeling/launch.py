"""Open Labelme on a data set in a separate process, and check what was drawn."""

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
from annotation.labeling.session import (
    Added,
    Session,
    lock_dataset,
    open_session,
    recover_session,
)
from annotation.labeling.worklist import (
    Check,
    annotation_paths,
    read_photo_list,
    read_status,
)
from base.errors import InputError
from base.naming import printable
from base.parsing import load_yaml

SYSTEM_PACKAGES = "libgl1 libegl1 libdbus-1-3 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0"
SYSTEM_PACKAGES += " libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1"
DISPLAY_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


@dataclass(frozen=True)
class Annotated:
    """The annotations that a person changed, their photos and findings, and what is left to do.

    `faultless` are the photos whose changed annotations have no error.
    """

    changed: tuple[Path, ...]
    photos: tuple[Path, ...]
    faultless: tuple[Path, ...]
    findings: tuple[Finding, ...]
    left: str


def annotate(
    dataset: Dataset,
    only: Path | None = None,
    *,
    check: Check,
    added: Added | None = None,
) -> Annotated:
    """Open Labelme, wait until its window is closed, and check the changed annotations.

    Labelme shows photos without annotation, then those with errors, with warnings, and the rest, or
    the photos listed in the text file `only`, in its order, or those with proposals in `added`, in
    its order. `check` validates the set. Raises InputError if there are no photos or no display, or
    if Labelme does not start.
    """
    labelme = _labelme_folder()
    if sys.platform == "linux" and not any(map(os.environ.get, DISPLAY_VARIABLES)):
        raise InputError(
            "no display: Labelme needs a desktop (DISPLAY is not set); run this command on a"
            " computer with a screen, or connect with `ssh -X`"
        )
    with lock_dataset(dataset) as lock:
        changed = recover_session(dataset)
        for path in sorted(changed):
            print(f"{dataset.relative(path)}: recovered from an interrupted session")
        status = read_status(dataset, check)
        photos = status.in_order()
        if only is not None:
            photos = read_photo_list(only, dataset, status.photos)
        elif added is not None:
            photos = list(added)
        paths = annotation_paths(dataset, status)
        shown = [(p, paths[p], status.state(p)) for p in photos if _has_valid_name(p)]
        with open_session(dataset, shown, added) as session:
            _run(labelme_command(dataset.config, labelme), session, lock)
    changed |= session.changed
    status = read_status(dataset, check) if changed else status
    drawn = tuple(photo for photo, path in paths.items() if path in changed)
    faultless = tuple(photo for photo in drawn if status.state(photo) not in ("new", "error"))
    findings = status.findings_on(changed)
    return Annotated(tuple(sorted(changed)), drawn, faultless, findings, status.left())


def _has_valid_name(photo: Path) -> bool:
    """Return whether Labelme can write the name of the photo; print a message if it cannot."""
    try:
        str(photo).encode()
    except UnicodeEncodeError:
        print(f"skipped: {printable(str(photo))} (its name is not valid UTF-8; rename it)")
        return False
    return True


def _labelme_folder() -> Path:
    spec = importlib.util.find_spec("labelme")  # does not import it
    if spec is None or spec.origin is None:
        raise InputError("labelme is not installed; run `make setup`")
    return Path(spec.origin).parent


def labelme_command(config: DatasetConfig, labelme: Path) -> list[str]:
    """Return the command that opens Labelme on the current folder.

    This keeps the names in the file list and in the title short.
    """
    settings = yaml.safe_dump(
        labelme_settings(config, labelme), allow_unicode=True, default_flow_style=True, width=10**6
    )
    program = [sys.executable, "-P", "-m", "labelme", "."]
    return [*program, "--config", settings, "--logger-level", "warning"]


def labelme_settings(config: DatasetConfig, labelme: Path) -> dict[str, Any]:
    """Return the user's settings from ~/.labelmerc, overridden by those that the data set needs.

    Labelme 6 ignores all settings, including the labels, if it does not know one of them.
    Therefore settings of older versions in the file are skipped. The file is not changed.
    """
    defaults = _read_settings(labelme / "config" / "default_config.yaml")
    return {
        **_known_settings(_read_settings(Path.home() / ".labelmerc"), defaults),
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
    """Read settings of Labelme; if the file is not valid, it has none, and a message says so."""
    if not path.exists():
        return {}
    try:
        settings = load_yaml(path)
    except InputError as error:
        print(f"{error}; Labelme's default settings are used")
        return {}
    return settings if isinstance(settings, dict) else {}


def _known_settings(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _known_settings(value, defaults[key])
        if isinstance(value, dict) and isinstance(defaults[key], dict)
        else value
        for key, value in settings.items()
        if key in defaults
    }


def _run(command: Sequence[str], session: Session, lock: int) -> None:
    """Run Labelme until it is closed; every second, store the annotations that it has saved.

    Raises InputError if Labelme ends with an error.
    """
    with tempfile.TemporaryFile() as errors:
        program = subprocess.Popen(command, cwd=session.folder, stderr=errors, pass_fds=[lock])
        try:
            while not _has_ended(program):
                # a full disk, or a lock file that cannot be created: reported at the end
                with contextlib.suppress(OSError, InputError):
                    session.store_changes()
        finally:
            program.terminate()  # after Ctrl-C; Labelme saves every change immediately
            program.wait()
        errors.seek(0)
        if program.returncode:
            output = errors.read().decode(errors="replace")
            raise InputError(_failure(program.returncode, output))


def _has_ended(program: subprocess.Popen[bytes]) -> bool:
    try:
        program.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return False
    return True


def _failure(status: int, output: str) -> str:
    """Explain why Labelme ended with an error, from what it and Qt printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]

    def line_with(*words: str) -> str | None:
        return next((line for line in lines if any(word in line for word in words)), None)

    if line := line_with("could not connect to display", "Failed to create wl_display"):
        return f"no display: Labelme needs a desktop ({line})"
    if line := line_with("cannot open shared object file", "platform plugin"):
        packages = f"on Debian or Ubuntu: apt install {SYSTEM_PACKAGES}"
        return f"Labelme's window needs system libraries that are missing ({line}); {packages}"
    last = lines[-1] if lines else "no message"
    return f"Labelme ended with status {status}: {last}; your annotations are saved"
