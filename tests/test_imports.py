"""The layout: what each package may import, its purpose, and how long a file may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# For each package: the other packages, or parts of them, that it may import; then its subpackages
# and the modules beside them, each with the parts of the same package that it may import. A part
# may list only parts above it, and a package only packages above it, so there are no cycles.
LAYOUT: dict[str, tuple[str, dict[str, str]]] = {
    "base": ("", {}),
    "annotation": (
        "base",
        {
            "findings": "",
            "photos": "",
            "dataset": "findings photos",
            "decisions": "dataset",
            "labelme": "photos dataset",
            "rules": "findings photos dataset decisions labelme",
            "fixing": "findings photos dataset labelme rules",
            "intake": "findings photos dataset labelme rules fixing",
            "labeling": "findings photos dataset labelme rules",
            "report": "findings photos dataset labelme rules",
        },
    ),
    "conversion": (
        "base annotation",
        {
            "config": "",
            "coco": "config",
            "painting": "config coco",
            "stuff": "config coco painting",
            "building": "config coco painting stuff",
            "importing": "config coco painting",
            "proposing": "config coco painting",
            "folding": "config coco painting stuff building",
            "exporting": "config coco painting stuff building importing",
            "health": "config coco",
        },
    ),
    "evaluation": (
        "base annotation.photos conversion",
        {
            "scores": "",
            "errors": "scores",
            "report": "scores errors",
            "label_errors": "scores errors",
        },
    ),
    "curation": (
        "base annotation conversion evaluation",
        {
            "panel": "",  # FiftyOne's server imports it by its path
            "app": "",
            "__init__": "app",  # settings that must be applied before fiftyone is imported
            "loading": "app",
            "review": "app loading",
            "decisions": "app loading",
        },
    ),
    "detr": (
        "base annotation.photos conversion evaluation",
        {
            "limits": "",
            "config": "limits",
            "settings": "config",
            "kernels": "config",
            "__init__": "kernels",  # settings that must be applied before torch is imported
            "data": "config",
            "model": "config kernels data",
            "losses": "config kernels data model",
            "weights": "config kernels data model losses",
            "prediction": "config kernels data model weights",
            "training": "config kernels data model losses weights prediction",
            "planning": "config settings kernels data model losses weights prediction training",
        },
    ),
    "samples": ("base annotation.labelme", {"yard": ""}),
    "labelme_panoptic_detr": ("base annotation conversion evaluation detr samples", {}),
    "commands": (
        "base annotation conversion evaluation curation detr samples labelme_panoptic_detr",
        {},
    ),
    "pipeline": ("base commands", {}),
}
PACKAGES = sorted(LAYOUT.keys() - {"pipeline"})
FOREIGN_ONLY_IN = {"fiftyone": "curation", "torch": "detr", "torchvision": "detr", "labelme": None}
LONGEST_FILE = 300
# Files that may use private names of a package; each package has only one such file
PRIVATE_NAMES_IN = {
    "detr/kernels/torch_private.py": "torch",
    "curation/app/fiftyone_private.py": "fiftyone",
}


def files_of(*folders: str) -> list[Path]:
    """Every Python file of these folders, as a path in the repository."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found]


def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, including inside functions."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def split_name(dotted: str) -> tuple[str, str]:
    """The package, and the part of it that the table lists, or '' if it lists no such part."""
    package, _, rest = dotted.partition(".")
    part = rest.partition(".")[0]
    return package, part if part in LAYOUT[package][1] else ""


def is_allowed(target: str, *, package: str, part: str) -> bool:
    others, parts = LAYOUT[package]
    target_package, target_part = split_name(target)
    if target_package != package:
        return not {target_package, f"{target_package}.{target_part}"}.isdisjoint(others.split())
    return target_part == part or target_part in parts.get(part, "").split()


@pytest.mark.parametrize("path", [*files_of(*PACKAGES), Path("pipeline.py")], ids=str)
def test_imports_follow_the_table(path: Path) -> None:
    package, part = split_name(".".join(path.with_suffix("").parts))
    for name in imported(path):
        home = name.partition(".")[0]
        if home in LAYOUT:
            assert is_allowed(name, package=package, part=part), f"{path} may not import {name}"
        if home in FOREIGN_ONLY_IN:
            assert package == FOREIGN_ONLY_IN[home], f"{path} may not import {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_table_lists_the_subpackages_and_modules_of_a_package(package: str) -> None:
    parts = LAYOUT[package][1].keys() - {"__init__"}
    folders = {path.parts[1] for path in files_of(package) if len(path.parts) > 2}
    modules = {path.stem for path in files_of(package) if len(path.parts) == 2} - {"__init__"}
    assert parts == (folders | modules if folders else set())


def test_the_table_has_no_cycles() -> None:
    known: set[str] = set()
    for package, (others, parts) in LAYOUT.items():
        assert set(others.split()) <= known, package
        above: set[str] = set()
        for part, allowed in parts.items():
            assert set(allowed.split()) <= above, f"{package}.{part}"
            above.add(part)
        known |= {package, *(f"{package}.{part}" for part in parts)}


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = {"curation", "detr", "evaluation", "conversion", "samples", "labelme_panoptic_detr"}
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
    """Private names that a file uses but does not define: those of other files and packages."""
    tree = parse(path)
    own = {"_exit", "_asdict", "_replace"}  # public names of os and of named tuples
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
