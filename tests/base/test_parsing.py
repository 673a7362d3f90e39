from __future__ import annotations

import os
from pathlib import Path

import pytest

from base.errors import InputError
from base.parsing import load_yaml, read_json

_BOMB = "a: &a [0, 0]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 20)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {'9' * 5000}", "Exceeds the limit"),
        ("a: 2024-99-99", "month must be in"),
        ("[" * 100_000, "nested too deeply"),
        ("a: !!timestamp x", "no attribute"),
        ("a: &a [*a]", "the value of &a contains itself"),
        (_BOMB, "more than 1,000,000 values"),
    ],
)
def test_hostile_yaml_is_an_error_with_the_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"dataset.yaml: is not valid YAML: .*{message}"):
        load_yaml(path)


def test_anchors_are_resolved(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\n")
    assert load_yaml(path) == {"a": [1, 2], "b": [1, 2]}


def test_deeply_nested_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep.json: is not valid JSON: nested too deeply"):
        read_json(path)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for read in (load_yaml, read_json):
        with pytest.raises(InputError, match="pipe: cannot be read: is not a regular file"):
            read(path)
