"""The MongoDB server program: which one FiftyOne would start, and whether it runs here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from fiftyone.constants import FIFTYONE_DB_BIN_DIR, MONGODB_MIN_VERSION
from packaging.version import Version

from base.errors import InputError

SETUP_COMMAND = "python -m curation.setup_database"
SYSTEM_PACKAGES = {  # shared library: the package that has it on Debian and Ubuntu
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


def bundled_mongod() -> Path:
    """The only place where FiftyOne looks for the server program; it may be missing."""
    return Path(FIFTYONE_DB_BIN_DIR) / "mongod"


def check_mongod(path: Path) -> Version:
    """Run `mongod --version`; InputError says why the program cannot be FiftyOne's database."""
    if not path.is_file():
        raise InputError(f"{path}: missing; FiftyOne's database needs it: run {SETUP_COMMAND}")
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path}: cannot be started: {error}") from None
    if done.returncode != 0:
        raise InputError(f"{path}: cannot be started: {explain_failure(done.stderr)}")
    found = re.search(r"db version v(\d+(?:\.\d+)+)", done.stdout)
    if found is None:
        raise InputError(f"{path}: expected a MongoDB server, got {done.stdout[:80]!r}")
    version = Version(found[1])
    if version < MONGODB_MIN_VERSION:
        raise InputError(f"{path}: FiftyOne needs MongoDB {MONGODB_MIN_VERSION}, got {version}")
    return version


def explain_failure(stderr: str) -> str:
    """Name the missing system library and its package; else the last line of `stderr`."""
    missing = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", stderr)
    if missing is None:
        lines = stderr.strip().splitlines()
        return lines[-1] if lines else "it ended without a message"
    package = SYSTEM_PACKAGES.get(missing[1])
    hint = f" (Debian, Ubuntu: apt-get install {package})" if package else ""
    return f"the system library {missing[1]} is missing{hint}"
