"""The plugin of the App is linked, or copied where links are not supported."""

from __future__ import annotations

import getpass
from pathlib import Path

import fiftyone as fo
import pytest

from curation.app import plugin
from curation.app.app import tunnel


def test_a_copy_of_the_plugin_is_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "panel", tmp_path / "plugins" / plugin.NAME
    source.mkdir()
    (source / "__init__.py").write_text("old")
    monkeypatch.setattr(plugin, "SOURCE", source)
    monkeypatch.setattr(fo.config, "plugins_dir", str(target.parent))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    plugin.install_plugin()
    (source / "__init__.py").write_text("new")
    plugin.install_plugin()
    assert (target / "__init__.py").read_text() == "new"
    (target / plugin.COPY).unlink()  # of someone else
    (source / "__init__.py").write_text("newest")
    plugin.install_plugin()
    assert (target / "__init__.py").read_text() == "new"


def test_the_tunnel_of_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", fail)
    assert tunnel(5151).startswith("ssh -N -L 5151:127.0.0.1:5151 USER@")
