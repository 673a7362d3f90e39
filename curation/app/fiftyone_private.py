"""All undocumented names of FiftyOne that this project uses, one function for each use.

If a release of FiftyOne lacks such a name, the function falls back to public names, which do less;
its docstring says what is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import psutil
from packaging.version import Version

from base.ctrl_c import ctrl_c_blocked
from base.errors import InputError
from base.waiting import wait_for

LISTEN_SECONDS, LISTEN_ATTEMPTS = 60, 10  # for a service to listen
STOP_SECONDS = 3  # for the App's server to end by itself
DEFAULT_SERVICE = "db"  # FiftyOne's name for its database service


@contextmanager
def app_server(name: str, *, address: str, port: int) -> Iterator[Callable[[], object]]:
    """Serve the App; yield a function that waits until the server ends or Ctrl-C is pressed.

    The public `launch_app` also opens a session, which pushes its own state, data set `name`, to
    every window of the App. Raises InputError if the server does not start.
    """
    try:
        from fiftyone.core.service import ServerService, ServiceListenTimeout
    except ImportError:
        session = fo.launch_app(fo.load_dataset(name), address=address, port=port, remote=True)
        try:
            yield partial(session.wait, -1)
        finally:
            fo.close_app()
        return

    class AppService(ServerService):  # type: ignore[misc]
        """The server, with errors that say what to do."""

        def _wait_for_child_port(self, port: int | None = None) -> object:
            try:
                return super()._wait_for_child_port(port)
            except ServiceListenTimeout:
                self.stop()
                raise InputError(
                    f"port {port}: FiftyOne's App did not start; run the same command again, with"
                    " another --port or when the machine is less busy"
                ) from None

        def stop(self) -> None:
            """Stop the server, by force if it still answers a window of the App."""
            if self.child is None:  # Ctrl-C was pressed before it was started
                return
            with suppress(psutil.NoSuchProcess):
                processes = [self.child, *self.child.children(recursive=True)]
                self.child.stdin.close()  # upon which its parent process asks it to end
                for process in psutil.wait_procs(processes, timeout=STOP_SECONDS)[1]:
                    process.kill()
            super().stop()

    server = AppService(port, address=address, do_not_track=True)
    try:
        # `server.wait` waits for the same process without a limit
        yield partial(wait_for, server.child) if hasattr(server, "child") else server.wait
    finally:
        server.stop()


@cache
def prepare_services() -> None:
    """Wait longer for FiftyOne's services to start, and keep Ctrl-C from them.

    On a busy machine, they may take longer than the minute that FiftyOne waits. They ignore Ctrl-C
    only once they have started, and print a traceback before; they end when this process ends.
    Stopping a service that Ctrl-C has kept from starting does nothing, instead of printing another
    traceback. Without the private names, nothing is changed.
    """
    try:
        from fiftyone.core.service import Service, ServiceListenTimeout
    except ImportError:
        return
    start, stop, wait = Service.start, Service.stop, Service._wait_for_child_port

    def start_blocked(self: Any) -> None:
        with ctrl_c_blocked():
            start(self)

    def stop_started(self: Any) -> None:
        if self.child is not None:
            stop(self)

    def wait_longer(self: Any, port: int | None = None) -> object:
        for _ in range(LISTEN_ATTEMPTS - 1):
            try:
                return wait(self, port, timeout=LISTEN_SECONDS)
            except ServiceListenTimeout:
                if psutil.wait_procs([self.child], timeout=0)[0]:  # it has ended
                    raise
            print("FiftyOne: still starting", flush=True)
        return wait(self, port, timeout=LISTEN_SECONDS)

    Service.child, Service._disabled = None, True  # until a service has set its own
    Service.start, Service.stop = start_blocked, stop_started
    Service._wait_for_child_port = wait_longer


def database_services() -> list[Any]:
    """This user's processes (psutil's) that run a FiftyOne service.

    Empty without the private name: FiftyOne then joins any running database service, even one that
    serves another folder.
    """
    try:
        from fiftyone.service.util import find_processes_by_args
    except ImportError:
        return []
    return list(find_processes_by_args(["--51-service"]))


def register_with(service: Any) -> bool:
    """Whether a running service accepts this process as a client; it ends with its last client.

    Raises various errors if the service does not answer. False without the private name.
    """
    try:
        from fiftyone.service.util import send_ipc_message
    except ImportError:
        return False
    return send_ipc_message(service, ("register", os.getpid())) is True


def name_database_service(name: str) -> None:
    """Name the service that FiftyOne joins or starts; without the private name, keep FiftyOne's."""
    try:
        from fiftyone.core.service import DatabaseService
    except ImportError:
        return
    DatabaseService.service_name = name


def stored_values(samples: Any, fields: Sequence[str]) -> list[list[Any]]:
    """Return the values of fields as the database has them, labels as dicts.

    Without the private option, FiftyOne makes an object of each value first, which takes most of
    the time of a second review.
    """
    try:
        return list(samples.values(list(fields), _raw=True))
    except TypeError:
        values = samples.values(list(fields))
        return [[v.to_dict() if isinstance(v, fo.Label) else v for v in one] for one in values]


def bundled_mongod() -> Path:
    """The only path where FiftyOne looks for the server program; the file may be missing."""
    try:
        from fiftyone.constants import FIFTYONE_DB_BIN_DIR
    except ImportError:
        return Path(fo.__file__).parent / "db" / "bin" / "mongod"
    return Path(FIFTYONE_DB_BIN_DIR) / "mongod"


def oldest_mongodb() -> Version:
    """The oldest MongoDB that FiftyOne accepts; without the private name, as documented in 2026."""
    try:
        from fiftyone.constants import MONGODB_MIN_VERSION
    except ImportError:
        return Version("6.0")
    return Version(str(MONGODB_MIN_VERSION))
