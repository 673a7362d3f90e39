"""Settings and fixtures for the tests of several packages."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.drawn import free_port

ROOT = Path(__file__).parents[1]
# Files and folders with the longest tests. With several processes, these run first, because a long
# test at the end would leave the other processes without work.
LONGEST = (
    "tests/test_pipeline.py",
    "tests/notebooks",
    "tests/detr/training",
    "tests/detr/prediction",
    "tests/curation",
    "tests/detr/kernels/test_compiling.py",
    "tests/detr/planning",
    "tests/conversion/building",
    "tests/labelme_panoptic_detr",
    "tests/annotation/labeling",
)

# A process that a script starts in the background with `&` ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the longest tests first if several processes share the tests."""

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT).as_posix()
        return next((n for n, long in enumerate(LONGEST) if path.startswith(long)), len(LONGEST))

    if hasattr(config, "workerinput"):  # in a process of pytest-xdist
        items.sort(key=rank)


Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run subcommands of pipeline.py in this process, and return what they print."""
    import pipeline  # takes a second, and most tests do not need it

    def run(*words: object, status: int) -> str:
        monkeypatch.setattr(sys, "argv", ["pipeline.py", *map(str, words)])
        capsys.readouterr()
        try:
            pipeline.main()
            code = 0
        except SystemExit as end:
            assert isinstance(end.code, int)
            code = end.code
        printed = "".join(capsys.readouterr())
        assert code == status, printed
        return printed

    return run


@pytest.fixture(autouse=True)
def same_signal_handlers() -> Iterator[None]:
    """Restore what the main function sets: otherwise, a Ctrl-C in a later test would end pytest."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    hooks = sys.excepthook, sys.unraisablehook
    yield
    sys.excepthook, sys.unraisablehook = hooks
    for number, handler in signals.items():
        signal.signal(number, handler)


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
            check_server(uri, seconds=60)  # it starts slowly on a busy machine
            yield uri
        finally:
            server.terminate()
            server.wait()
