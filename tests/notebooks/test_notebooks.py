"""The notebooks run from top to bottom on a tiny set, and use only the Python interface."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from labelme_panoptic_detr import evaluate, read_log

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALLOWED = {"labelme_panoptic_detr", "IPython"}
STANDARD = {"collections", "io", "itertools", "json", "os", "pathlib"}
MOST_BYTES = 150_000


def code_of(path: Path) -> list[str]:
    notebook = nbformat.read(path, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


RESET = "%reset -f"  # names of one notebook do not exist in the next


def joined_notebooks() -> nbformat.NotebookNode:
    """Return one notebook with the cells of all: every kernel would import everything again."""
    first, *others = (nbformat.read(path, as_version=4) for path in NOTEBOOKS)
    for other in others:
        first.cells += [nbformat.v4.new_code_cell(RESET), *other.cells]
    return first


def test_the_notebooks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notebooks", "datasets", "runs"):
        (tmp_path / name).mkdir()
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / "notebooks/detr.yaml").symlink_to(ROOT / "notebooks/detr.yaml")
    for key, value in (("IMAGES", "12"), ("EPOCHS", "1"), ("PYTHONPATH", str(ROOT))):
        monkeypatch.setenv(key, value)
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(joined_notebooks(), timeout=600, resources=resources).execute()
    assert [line.stage for line in read_log(tmp_path / "runs/notebooks/log.jsonl")] == [
        "boxes",
        "masks",
    ]
    # the committed model finds most things in scenes that it has not seen
    found = evaluate(
        tmp_path / "datasets/notebooks/panoptic/annotations/panoptic_test.json",
        tmp_path / "runs/notebooks-predictions/panoptic.json",
    )
    assert found.scores.quality.all.pq > 0.6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_executed_and_small(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    pictures = {"image/jpeg", "image/png"}
    assert any(pictures & output.get("data", {}).keys() for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_only_the_python_interface(path: Path) -> None:
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= ALLOWED | STANDARD


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_notebooks_exist(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).is_file(), link


def test_there_are_five_notebooks() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == list("12345")
