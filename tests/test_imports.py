"""The layout: what each package is for, what it may import, and how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each package, subpackage and module beside the subpackages may import of this project: a row
# "conversion" allows all of conversion. A row may name rows above it only, so there are no cycles.
MAY_IMPORT = {
    "base": "",
    # annotation: Labelme files and photos
    "annotation.findings": "base",
    "annotation.photos": "base",
    "annotation.dataset": "base annotation.findings annotation.photos",
    "annotation.labelme": "base annotation.photos annotation.dataset",
    "annotation.rules": (
        "base annotation.findings annotation.photos annotation.dataset annotation.labelme"
    ),
    "annotation.fixing": (
        "base annotation.findings annotation.photos annotation.dataset annotation.labelme"
        " annotation.rules"
    ),
    "annotation.intake": (
        "base annotation.findings annotation.photos annotation.dataset annotation.labelme"
        " annotation.rules annotation.fixing"
    ),
    "annotation.labeling": (
        "base annotation.findings annotation.photos annotation.dataset annotation.labelme"
        " annotation.rules annotation.fixing"
    ),
    "annotation.report": (
        "base annotation.findings annotation.photos annotation.dataset annotation.labelme"
        " annotation.rules annotation.fixing"
    ),
    "annotation": "",
    # conversion: the panoptic data set
    "conversion.config": "base annotation",
    "conversion.coco": "base annotation conversion.config",
    "conversion.painting": "base annotation conversion.config conversion.coco",
    "conversion.stuff": "base annotation conversion.config conversion.coco conversion.painting",
    "conversion.building": (
        "base annotation conversion.config conversion.coco conversion.painting conversion.stuff"
    ),
    "conversion.importing": "base annotation conversion.config conversion.coco conversion.painting",
    "conversion.exporting": (
        "base annotation conversion.config conversion.coco conversion.painting conversion.stuff"
        " conversion.building"
    ),
    "conversion": "",
    # evaluation: scores and errors of a prediction; it knows no model and no Labelme
    "evaluation.scores": "base conversion",
    "evaluation.errors": "base conversion evaluation.scores",
    "evaluation.report": "base conversion evaluation.scores evaluation.errors",
    "evaluation": "",
    # curation: FiftyOne
    "curation.app": "base annotation conversion",
    "curation.loading": "base annotation conversion evaluation curation.app",
    "curation.review": "base annotation conversion evaluation curation.app curation.loading",
    "curation": "",
    # detr: the model
    "detr.config": "base",
    "detr.kernels": "base detr.config",
    "detr.data": "base conversion annotation.photos detr.config",
    "detr.model": "base detr.config detr.kernels detr.data",
    "detr.losses": "base detr.config detr.kernels detr.data detr.model",
    "detr.weights": ("base conversion detr.config detr.kernels detr.data detr.model detr.losses"),
    "detr.prediction": (
        "base conversion annotation.photos detr.config detr.kernels detr.data detr.model"
        " detr.weights"
    ),
    "detr.training": (
        "base conversion evaluation detr.config detr.kernels detr.data detr.model detr.losses"
        " detr.weights detr.prediction"
    ),
    "detr": "detr.kernels",  # settings that must be made before torch is imported
    # the sample set and the command line
    "samples.yard": "base annotation.labelme",
    "samples": "",
    "commands": "base annotation conversion evaluation curation detr samples",
    "pipeline": "base commands",
}
PACKAGES = sorted({row.partition(".")[0] for row in MAY_IMPORT} - {"pipeline"})
FOREIGN_ONLY_IN = {"fiftyone": "curation", "torch": "detr", "torchvision": "detr", "labelme": None}
LONGEST_FILE = 300
# Files that may use private names, each of one package that no other file in this list names
PRIVATE_NAMES_IN = {"detr/kernels/torch_private.py": "torch"}


def files_of(*folders: str) -> list[Path]:
    """Every Python file of these folders, as a path in the repository."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found]


def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def row_of(name: str) -> str | None:
    """The row of the table that a dotted name belongs to: the longest one that it begins with."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        row = ".".join(parts[:length])
        if row in MAY_IMPORT:
            return row
    return None


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_allowed(target: str, *, row: str) -> bool:
    allowed = {row, *MAY_IMPORT[row].split()}
    return target in allowed or target.partition(".")[0] in allowed


@pytest.mark.parametrize("path", [*files_of(*PACKAGES), Path("pipeline.py")], ids=str)
def test_imports_follow_the_table(path: Path) -> None:
    row = row_of(module_name(path))
    assert row is not None
    for name in imported(path):
        target = row_of(name)
        assert target is None or is_allowed(target, row=row), f"{row} may not import {name}"
        package = name.partition(".")[0]
        if package in FOREIGN_ONLY_IN:
            assert row.partition(".")[0] == FOREIGN_ONLY_IN[package], f"{path} imports {name}"


def test_the_table_has_a_row_for_every_folder_and_no_other() -> None:
    folders = {module_name(path.parent / "__init__.py") for path in files_of(*PACKAGES)}
    modules = {row for row in MAY_IMPORT if (ROOT / f"{row.replace('.', '/')}.py").is_file()}
    assert set(MAY_IMPORT) == folders | modules
    beside = {
        module_name(path)
        for path in files_of(*PACKAGES)
        if len(path.parts) == 2 and path.name != "__init__.py"
    }
    assert beside - modules == {n for n in beside if n.startswith(("base.", "commands."))}


def test_rows_of_the_table_name_rows_above_them() -> None:
    above: set[str] = set()
    for row, allowed in MAY_IMPORT.items():
        known = above | {name.partition(".")[0] for name in above}
        assert set(allowed.split()) <= known, row
        above.add(row)


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = {"curation", "detr", "evaluation", "conversion", "samples"}
    for path in [*files_of("commands"), Path("pipeline.py")]:
        tree = parse(path)
        top = {n.module for n in tree.body if isinstance(n, ast.ImportFrom) and n.module}
        assert not {m for m in top if m.partition(".")[0] in heavy}, path


def test_every_package_states_its_purpose_in_one_sentence() -> None:
    for path in (path for path in files_of(*PACKAGES) if path.name == "__init__.py"):
        purpose = ast.get_docstring(parse(path)) or ""
        assert re.fullmatch(r"[^\n]+(\n[^\n]+)?\.", purpose), path
        assert ". " not in purpose, path


def test_every_folder_of_a_package_has_an_init_file() -> None:
    folders = {path.parent for path in files_of(*PACKAGES)}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)


def test_files_are_short() -> None:
    files = [*files_of(*PACKAGES, "tests", "benchmarks"), Path("pipeline.py")]
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in files}
    assert {path: count for path, count in lines.items() if count > LONGEST_FILE} == {}


def test_the_tests_have_the_same_folders_as_the_code() -> None:
    folders = {path.parent for path in files_of("tests")} - {Path("tests")}
    assert [f for f in sorted(folders) if not (ROOT / f.relative_to("tests")).is_dir()] == []


def test_datasets_is_not_a_package() -> None:
    assert not list((ROOT / "datasets").glob("*.py"))


def private_names(path: Path) -> set[str]:
    """Private names that a file uses and does not define: of other files and other packages."""
    tree = parse(path)
    own = {"_exit"}  # os._exit is documented
    used = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                own.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                own.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                own.add(name)
            case ast.Attribute(attr=name):
                used.add(name)
            case ast.Call(func=ast.Name(id="getattr" | "hasattr" | "setattr" | "import_module")):
                words = [a.value for a in node.args if isinstance(a, ast.Constant)]
                used |= {part for word in words for part in str(word).split(".")}
            case ast.Import(names=names):
                used |= {part for alias in names for part in alias.name.split(".")}
            case ast.ImportFrom(module=module, names=names) if module != "__future__":
                used |= {*str(module).split("."), *(alias.name for alias in names)}
            case _:
                pass
    return {n for n in used - own if n.startswith("_") and not n.startswith("__")}


def test_private_names_of_a_package_are_used_in_one_file() -> None:
    found = {str(path): names for path in files_of(*PACKAGES) if (names := private_names(path))}
    assert {path: names for path, names in found.items() if path not in PRIVATE_NAMES_IN} == {}
    assert len(set(PRIVATE_NAMES_IN.values())) == len(PRIVATE_NAMES_IN)
    for path, package in PRIVATE_NAMES_IN.items():
        assert any(name.partition(".")[0] == package for name in imported(Path(path))), path
