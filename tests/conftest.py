"""Settings and fixtures for the tests of several packages."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.drawn import free_port

# A process that a script starts in the background with `&` ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Provide a MongoDB for the tests and return its URI; the user's database is not touched."""
    import fiftyone as fo  # takes seconds, and most tests do not need it

    from curation.app.database import check_server
    from curation.app.fiftyone_private import bundled_mongod
    from curation.app.mongod import check_mongod

    check_mongod(bundled_mongod())
    folder, port = tmp_path_factory.mktemp("mongo"), free_port()
    command = [bundled_mongod(), "--dbpath", folder, "--port", str(port), "--nounixsocket"]
    server = subprocess.Popen([*map(str, command), "--quiet"], stdout=subprocess.DEVNULL)
    uri = f"mongodb://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_DATABASE_URI", uri)
        patch.setattr(fo.config, "database_uri", uri)
        try:
            check_server(uri)
            yield uri
        finally:
            server.terminate()
            server.wait()
