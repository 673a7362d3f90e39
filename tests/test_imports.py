"""The rooms import in one direction only (docs: DESIGN, Layout)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "base": set(),
    "annotation": {"base"},
    "conversion": {"base", "annotation"},
    "evaluation": {"base", "conversion"},
    "curation": {"base", "annotation", "conversion", "evaluation"},
    "detr": {"base", "annotation", "conversion", "evaluation"},
    "samples": {"base", "annotation"},
}
ONLY_IN = {"fiftyone": "curation", "torch": "detr", "torchvision": "detr", "labelme": "annotation"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_in_one_direction(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        names = imported(path)
        strange = names & MAY_IMPORT.keys() - MAY_IMPORT[room] - {room} | names & {"pipeline"}
        assert not strange, f"{path} imports {strange}"
        for package, home in ONLY_IN.items():
            assert package not in names or room == home, f"{path} imports {package}"


def test_the_command_line_starts_without_the_heavy_rooms() -> None:
    tree = ast.parse((ROOT / "pipeline.py").read_text())
    top = {n.module for n in tree.body if isinstance(n, ast.ImportFrom) and n.module}
    assert not {m for m in top if m.split(".")[0] in ("curation", "detr", "evaluation")}


def test_datasets_is_no_package() -> None:
    assert not list((ROOT / "datasets").glob("*.py"))
