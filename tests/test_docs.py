"""The README and the docs name only things that exist, and list all rules and packages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from annotation.findings import RULES
from pipeline import app
from tests.test_imports import PACKAGES, files_of, parse

ROOT = Path(__file__).parents[1]
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEXT = "\n".join(path.read_text() for path in FILES)
MAKE = (ROOT / "README.md").read_text() + (ROOT / "docs/commands.md").read_text()
COMMANDS = sorted({tuple(c.split()) for c in re.findall(r"pipeline\.py ([a-z]+[^`#\n]*)", TEXT)})
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PURPOSE = re.compile(r"^\| `([\w/]+)/` \| (.*?) \|$", re.MULTILINE)
PLACES = re.findall(r"`([\w./-]+\.\w+|[\w./-]+/)(?::([\w.]+))?`", PURPOSE.sub("", ARCHITECTURE))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", MAKE))))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_subcommands_and_their_options_exist(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    name, *words = command
    with pytest.raises(SystemExit) as ended:
        app.cli(prog="pipeline.py", args=[name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_linked_files_and_headings_exist(path: Path) -> None:
    missing = []
    for link in re.findall(r"\]\(([^):\s]+)\)", path.read_text()):
        name, _, anchor = link.partition("#")
        page = path.parent / name if name else path
        if not page.is_file() or (page.suffix == ".md" and {anchor} - {""} - anchors(page)):
            missing.append(link)
    assert missing == []


def test_every_rule_is_documented() -> None:
    text = (ROOT / "docs/annotation.md").read_text().partition("## Findings")[2]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    documented = [rule for line in lines for rule in re.findall(r"`([a-z-]+)`", line.split("|")[1])]
    assert sorted(documented) == sorted(RULES)


def test_every_package_is_in_the_table_with_its_purpose() -> None:
    rows = dict(PURPOSE.findall(ARCHITECTURE))
    inits = [path for path in files_of(*PACKAGES) if path.name == "__init__.py"]
    purposes = {str(p.parent): " ".join(ast.get_docstring(parse(p)).split()) for p in inits}
    assert rows == purposes


@pytest.mark.parametrize(("path", "name"), PLACES, ids=map(":".join, PLACES))
def test_places_in_the_architecture_exist(path: str, name: str) -> None:
    assert (ROOT / path).exists()
    node: ast.AST | None = parse(Path(path)) if name else None
    for part in name.split(".") if name else []:
        node = next(child for child in ast.iter_child_nodes(node) if part in defined_names(child))


def defined_names(node: ast.AST) -> list[str]:
    """The names of the functions, classes and variables that a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def test_the_architecture_names_places_in_the_code() -> None:
    assert sum(bool(name) for _, name in PLACES) > 10
