"""Connect FiftyOne to its MongoDB: one server per database folder, shared by all processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fiftyone as fo
import msgspec
import pymongo
from mongoengine.errors import MongoEngineException
from pymongo.errors import PyMongoError

from base.errors import InputError
from base.locks import locked
from curation.app.fiftyone_private import (
    bundled_mongod,
    name_database_service,
    prepare_services,
)
from curation.app.mongod import check_mongod
from curation.app.service import choose_service, end_left_server
from curation.app.settings import apply_settings

LEAST_FREE = 20 << 20  # bytes on the disk of the database
_connected = False


def connect() -> None:
    """Connect to this user's database and start its server if necessary.

    FiftyOne itself connects at its first query and waits a minute if the server cannot start. This
    function therefore checks the server first, and processes that start together take turns.
    Raises InputError if there is no connection.
    """
    global _connected
    if _connected:
        return
    apply_settings()
    prepare_services()
    if fo.config.database_uri:
        check_server(fo.config.database_uri)
        _query()
    else:
        check_mongod(bundled_mongod())
        folder = Path(fo.config.database_dir)
        with locked(folder / "curation.lock"):
            _check_space(folder)
            name_database_service(choose_service(folder))
            end_left_server(folder)
            _query()
    _connected = True


@contextmanager
def explained_database_errors() -> Iterator[None]:
    """Raise InputError if the database fails in the block: it is killed, or its disk is full.

    What was being written is incomplete then; the caller writes it again in its next run.
    """
    try:
        yield
    except (PyMongoError, MongoEngineException) as error:
        uri = fo.config.database_uri
        place = "FIFTYONE_DATABASE_URI" if uri else str(fo.config.database_dir)
        reason = str(error).split(", Timeout:")[0].split(", full error:")[0]
        log = "" if uri else _last_error(Path(fo.config.database_dir) / "log" / "mongo.log")
        raise InputError(
            f"{place}: FiftyOne's database failed: {' '.join(reason.split())[:300]}{log};"
            " check that the server is running and has disk space, then run the same command again"
        ) from None


def forget(samples: fo.Dataset, key: str) -> None:
    """Remove the digest of a complete load or review before the first change to the data set."""
    samples.info = {name: value for name, value in samples.info.items() if name != key}
    samples.save()


def _check_space(folder: Path) -> None:
    """Raise InputError if the disk is so full that the server may end while it starts."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise InputError(
            f"{folder}: FiftyOne's database needs {LEAST_FREE:,} bytes of disk space, found"
            f" {free:,}; free some space, then run the same command again"
        )


def check_server(uri: str, *, seconds: float = 5) -> str:
    """Return the version of the MongoDB at `uri`.

    Raises InputError if no server answers within `seconds`.
    """
    wait = int(1000 * seconds)
    try:
        with pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=wait) as client:
            return str(client.server_info()["version"])
    except PyMongoError as error:
        reason = str(error).split(",")[0]
        raise InputError(f"FIFTYONE_DATABASE_URI: no MongoDB server answers: {reason}") from None


def _query() -> None:
    """Let FiftyOne connect, as it does at its first query."""
    try:
        fo.list_datasets()
    except Exception as error:  # FiftyOne raises many types here, even plain Exception
        log = Path(fo.config.database_dir) / "log" / "mongo.log"
        reason = " ".join(str(error).split())
        raise InputError(
            f"FiftyOne's database cannot be started: {reason}{_last_error(log)}"
        ) from None


def _last_error(log: Path) -> str:
    """The last error in mongod's log, which has one JSON object per line."""
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
            return f"; last error in {log}: {entry.get('msg')} {detail}".rstrip()
    return f"; see its log: {log}"
