"""Open FiftyOne's App on this machine."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from urllib.parse import quote

import fiftyone as fo

from base.errors import InputError
from curation.app.database import connect, explained_database_errors
from curation.app.fiftyone_private import app_server

ADDRESS = "127.0.0.1"


@explained_database_errors()
def open_app(name: str, *, port: int = 5151) -> None:
    """Serve the App with data set `name`, print its address and wait until Ctrl-C.

    Opens a browser if there is a desktop. Raises InputError if the port is in use or the data set
    does not exist.
    """
    check_port(port)
    connect()
    if not fo.dataset_exists(name):
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    url = f"http://{ADDRESS}:{port}/datasets/{quote(name, safe='')}"
    try:
        with app_server(name, address=ADDRESS, port=port) as wait:
            print(f"FiftyOne's App: {url}   (press Ctrl-C to stop it)", flush=True)
            if has_desktop():
                webbrowser.open(url)
            wait()
    except KeyboardInterrupt:
        print("FiftyOne's App: stopped")


def check_port(port: int) -> None:
    """Raise InputError if `port` is in use; the message names a free one."""
    if not _is_free(port):
        other = next((p for p in range(port + 1, port + 100) if _is_free(p)), None)
        raise InputError(
            f"port {port}: in use, perhaps by another App" + (f"; try {other}" if other else "")
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def has_desktop() -> bool:
    """Whether a browser window can open: on macOS, or if X11 or Wayland has a display."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(d) for d in displays)
