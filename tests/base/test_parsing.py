from __future__ import annotations

import os
from pathlib import Path

import pytest

from base.errors import InputError
from base.parsing import MOST_JSON_BYTES, load_yaml, read_json

_BOMB = "a: &a [0, 0]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 20)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {'9' * 5000}", "line 1, column 4: .* a number of at most 1000 characters"),
        (f"a: 0x{'f' * 17}", "line 1, column 4: .* an integer of at most 64 bits"),
        (f"0x{'f' * 500}: a", "line 1, column 1: .* an integer of at most 64 bits"),
        (f"a: {'1:' * 180}1.0", "line 1, column 4: not a valid value of the type float"),
        ("a: !!bool maybe", "line 1, column 4: not a valid value of the type bool"),
        ('a: !!int ""', "line 1, column 4: not a valid value of the type int"),
        ("a: !!map [b]", "line 1, column 4: expected a mapping node, but found sequence"),
        ("a: 2024-99-99", "line 1, column 4: .*month must be in"),
        ("[" * 100_000, "nested too deeply"),
        ("a: !!timestamp x", "line 1, column 4: not a valid value of the type timestamp"),
        ("a: &a [*a]", "the value of &a contains itself"),
        (_BOMB, "more than 1,000,000 values"),
    ],
)
def test_hostile_yaml_is_an_error_with_the_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"dataset.yaml: is not valid YAML: .*{message}") as error:
        load_yaml(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: b\n\tc: d", "line 2, column 1: expected spaces, found a tab"),
        ("a: b: c", "line 1, column 5: expected no second ':'"),
        ("a: b\n c: d", "line 2, column 3: .* indented too far"),
        ("a:\n  - [b\nc: d", "line 3, column 2: expected ',' or ']' in .* line 2"),
        ("a: {b: c", "line 2, column 1: expected ',' or '}' in .* line 1"),
        ('a: "b', "line 1, column 6: expected a quote that ends the text from line 1"),
        ("a: @b", "line 1, column 4: expected quotes"),
        ("a: *b", "line 1, column 4: expected quotes"),
        ("a:\n  b: c\n d: e", "line 3, column 2: expected a key"),
        ("a:\n  - b\n  c: d", "line 3, column 3: expected '-', as in .* line 2"),
        ("a: !b c", "line 1, column 4: could not determine a constructor"),
    ],
)
def test_mistakes_in_yaml_are_explained_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"dataset.yaml: is not valid YAML: {reason}") as error:
        load_yaml(path)
    assert "\n" not in str(error.value)


def test_anchors_are_resolved(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text("a: &a [1, 2]\nb: *a\n")
    assert load_yaml(path) == {"a": [1, 2], "b": [1, 2]}


def test_deeply_nested_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep.json: is not valid JSON: nested too deeply"):
        read_json(path)


def test_a_json_file_is_limited_in_size(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(MOST_JSON_BYTES + (1 << 20))  # takes no space on the disk
    with pytest.raises(InputError, match="cannot be read: expected at most 4096 MB, found 4097 MB"):
        read_json(path)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for read in (load_yaml, read_json):
        with pytest.raises(InputError, match="pipe: cannot be read: is not a regular file"):
            read(path)
