"""Choose FiftyOne's database service so that each database folder has a server of its own.

FiftyOne joins any running service of this user with the right name, whichever folder it serves:
with another HOME or FIFTYONE_DATABASE_DIR, it would silently write into the wrong database. So the
service of a second folder gets another name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.files import digest
from curation.app.fiftyone_private import DEFAULT_SERVICE, database_services, register_with


@dataclass(frozen=True)
class Service:
    """A running service of FiftyOne; `folder` is None if it has ended or has no database."""

    process: Any  # psutil's Process
    name: str
    folder: Path | None


def choose_service(folder: Path) -> str:
    """Return the name of the service that serves the database folder, running or not.

    Raises InputError if the running service of that folder does not answer.
    """
    folder = folder.resolve()
    taken = False
    for process in database_services():
        service = _describe(process)
        if service.folder == folder and _accepts(service):
            return service.name
        if service.name == DEFAULT_SERVICE and service.folder not in (None, folder):
            taken = True
    return f"{DEFAULT_SERVICE}-{digest(str(folder))[:8]}" if taken else DEFAULT_SERVICE


def _describe(process: Any) -> Service:
    try:
        words = process.cmdline()
    except Exception:  # psutil's: the process has ended or belongs to another user
        return Service(process, "", None)
    folder = _word_after(words, "--dbpath")
    return Service(
        process, _word_after(words, "--51-service"), Path(folder).resolve() if folder else None
    )


def _word_after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words else ""


def _accepts(service: Service) -> bool:
    """Join a running service; if it is about to end, wait until it has released its folder."""
    for _ in range(2):
        try:
            if register_with(service.process):
                return True
        except Exception:  # FiftyOne's own: the service does not listen yet, or no longer
            time.sleep(1)
    try:
        service.process.wait(timeout=30)
    except Exception as error:
        pid = service.process.pid
        raise InputError(
            f"process {pid}: FiftyOne's database does not answer; end the process"
        ) from error
    return False
