"""The README speaks only of what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted({tuple(c.split()) for c in re.findall(r"pipeline\.py ([a-z]+[^`#\n]*)", README)})


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_subcommands_and_their_options_exist(command: tuple[str, ...]) -> None:
    name, *words = command
    arguments = [sys.executable, "pipeline.py", name, "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in done.stdout


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)]+)\)", README))
def test_linked_files_exist(path: str) -> None:
    assert (ROOT / path).is_file()
