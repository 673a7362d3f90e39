"""Check a MongoDB server program: whether it runs on this machine and is recent enough."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packaging.version import Version

from base.errors import InputError
from curation.app.fiftyone_private import oldest_mongodb

SETUP_COMMAND = "python -m curation.app.setup_database"
SYSTEM_PACKAGES = {  # shared library: the package that contains it on Debian and Ubuntu
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


def check_mongod(path: Path) -> Version:
    """Run `mongod --version` and return the version.

    Raises InputError if the program is missing, cannot be started or is too old for FiftyOne.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing; FiftyOne's database needs it: run {SETUP_COMMAND}")
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path}: cannot be started: {error}") from None
    if done.returncode != 0:
        raise InputError(f"{path}: cannot be started: {_explain_failure(done.stderr)}")
    found = re.search(r"db version v(\d+(?:\.\d+)+)", done.stdout)
    if found is None:
        raise InputError(f"{path}: expected a MongoDB server, found {done.stdout[:80]!r}")
    version = Version(found[1])
    if version < oldest_mongodb():
        raise InputError(f"{path}: expected MongoDB {oldest_mongodb()} or newer, found {version}")
    return version


def _explain_failure(stderr: str) -> str:
    """Name the missing system library and its package, or return the last line of `stderr`."""
    missing = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", stderr)
    if missing is None:
        lines = stderr.strip().splitlines()
        return lines[-1] if lines else "it ended without a message"
    package = SYSTEM_PACKAGES.get(missing[1])
    hint = f" (Debian, Ubuntu: apt-get install {package})" if package else ""
    return f"the system library {missing[1]} is missing{hint}"
