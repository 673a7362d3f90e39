"""Choose FiftyOne's database service so that each database folder has a server of its own.

FiftyOne joins any running service of this user with the right name, whichever folder it serves:
with another HOME or FIFTYONE_DATABASE_DIR, it would silently write into the wrong database. So the
service of a second folder gets another name.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from base.errors import InputError
from base.files import digest
from curation.app.fiftyone_private import DEFAULT_SERVICE, database_services, register_with

END_SECONDS = 30  # for a server to write its data and end


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


def end_left_server(folder: Path) -> None:
    """End the server of a database folder whose service was killed; no other one could start.

    Raises InputError if programs still use it.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if not _is_left(process, folder.resolve()):
                continue
            if any(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections()):
                raise InputError(
                    f"{folder}: the service of this database was killed, and programs still use its"
                    f" server, process {process.pid}; end them, then run the same command again"
                )
            print(f"FiftyOne's database: ending process {process.pid}, left by a killed program")
            process.terminate()
            if psutil.wait_procs([process], timeout=END_SECONDS)[1]:
                process.kill()


def _is_left(process: psutil.Process, folder: Path) -> bool:
    """Return whether a process is a server that FiftyOne started, and whose service has ended."""
    words = process.cmdline()
    started = Path(words[0]).name == "mongod" and "--nounixsocket" in words if words else False
    if not started or Path(_word_after(words, "--dbpath")).resolve() != folder:
        return False
    parent = process.parent()
    return parent is None or "--51-service" not in parent.cmdline()


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
