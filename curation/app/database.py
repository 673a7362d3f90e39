"""FiftyOne's connection to its MongoDB: one server for a database folder, shared by processes."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.core.service as fos
import fiftyone.service.util as fosu
import msgspec
import pymongo
from pymongo.errors import PyMongoError

from base.errors import InputError
from base.files import digest
from curation.app.mongod import bundled_mongod, check_mongod

SERVICE = "db"  # FiftyOne's own name for its database service
_connected = False


def connect() -> None:
    """Join this user's database, starting it where need be; InputError where that fails.

    FiftyOne connects at its first query and waits a minute where the server cannot start; so what
    can be known before is looked at here, and processes that start together take turns.
    """
    global _connected
    if _connected:
        return
    _settle()
    if fo.config.database_uri:
        check_server(fo.config.database_uri)
        _establish()
    else:
        check_mongod(bundled_mongod())
        folder = Path(fo.config.database_dir)
        with _turn(folder):
            fos.DatabaseService.service_name = _choose_service(folder)
            _establish()
    _connected = True


def _settle() -> None:
    """Apply this room's settings where FiftyOne was imported before it, as in a notebook."""
    fo.config.do_not_track = os.environ["FIFTYONE_DO_NOT_TRACK"].lower() in ("1", "true")
    fo.config.default_app_address = os.environ["FIFTYONE_DEFAULT_APP_ADDRESS"]
    logging.getLogger("fiftyone").setLevel(os.environ["FIFTYONE_LOGGING_LEVEL"])


def check_server(uri: str) -> str:
    """Version of the MongoDB at `uri`; InputError where none answers within five seconds."""
    try:
        with pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=5000) as client:
            return str(client.server_info()["version"])
    except PyMongoError as error:
        reason = str(error).split(",")[0]
        raise InputError(f"FIFTYONE_DATABASE_URI: no MongoDB answers: {reason}") from None


def _establish() -> None:
    try:
        foo.get_db_conn()
    except Exception as error:  # FiftyOne raises many kinds here, bare ones among them
        log = Path(fo.config.database_dir) / "log" / "mongo.log"
        reason = " ".join(str(error).split())
        raise InputError(
            f"FiftyOne's database cannot be started: {reason}{_last_complaint(log)}"
        ) from None


def _last_complaint(log: Path) -> str:
    """What mongod last called an error, from its log of one JSON object a line."""
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()[-200:]
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if entry.get("s") in ("F", "E"):
            detail = entry.get("attr", {}).get("error", "")
            return f"; {log} says: {entry.get('msg')} {detail}".rstrip()
    return f"; its log is {log}"


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let one process at a time start the server of a database folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "curation.lock").open("w")
    except OSError as error:
        raise InputError(f"{folder}: FiftyOne's database needs it: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _choose_service(folder: Path) -> str:
    """Name of the service that serves `folder`.

    FiftyOne joins any service of its name that this user runs, whatever folder it serves: another
    HOME or FIFTYONE_DATABASE_DIR would silently write there. A second folder gets its own name.
    """
    taken = False
    for process in list(fosu.find_processes_by_args(["--51-service"])):
        name, served = _service_of(process)
        if served == folder.resolve() and _accepts(process):
            return name
        taken = taken or (name == SERVICE and served is not None and served != folder.resolve())
    return f"{SERVICE}-{digest(str(folder.resolve()))[:8]}" if taken else SERVICE


def _service_of(process: Any) -> tuple[str, Path | None]:
    """Name and database folder of a running service; no folder where it has ended or has none."""
    try:
        words = process.cmdline()
    except Exception:  # psutil's: the process ended meanwhile, or is not ours
        return "", None
    name = words[words.index("--51-service") + 1] if "--51-service" in words else ""
    served = words[words.index("--dbpath") + 1] if "--dbpath" in words else None
    return name, Path(served).resolve() if served else None


def _accepts(process: Any) -> bool:
    """Join a running service; where it is just ending, wait until it has let go of its folder."""
    for _ in range(2):
        try:
            if fosu.send_ipc_message(process, ("register", os.getpid())) is True:
                return True
        except Exception:  # it may not listen yet, or not any more
            time.sleep(1)
    try:
        process.wait(timeout=30)
    except Exception as error:
        raise InputError(f"process {process.pid}: FiftyOne's database hangs; end it") from error
    return False
