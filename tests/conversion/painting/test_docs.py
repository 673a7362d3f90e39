"""The code does what the examples in docs/conversion.md show."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from annotation.dataset import CONVERSION_KEYS, DatasetConfig, parse_config
from conversion.config import ConversionConfig, parse_conversion_config
from conversion.painting.merge import merge
from tests.conversion.painting.test_merge import CATEGORIES, LARGE, MIDDLE, SMALL

TEXT = (Path(__file__).parents[3] / "docs/conversion.md").read_text()
PICTURES = re.findall(r"```yaml\n(painting: .*?)\n```\n```\n([\d\n]+)\n```", TEXT)
LINES = [
    line.split("  #")[0].rstrip()
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]


def parse_line(line: str) -> tuple[DatasetConfig, ConversionConfig]:
    values = {"name": "x", "things": ["box", "disc", "person"], **yaml.safe_load(line)}
    shared = parse_config(values, where="docs/conversion.md")
    own = {key: value for key, value in values.items() if key in CONVERSION_KEYS}
    return shared, parse_conversion_config(own, shared, where="docs/conversion.md")


@pytest.mark.parametrize(("line", "picture"), PICTURES)
def test_the_pictures_of_painting(line: str, picture: str) -> None:
    stuff = np.zeros((6, 8), np.uint16)
    ids = merge((LARGE, SMALL, MIDDLE), stuff, CATEGORIES, parse_line(line)[0]).ids
    assert "\n".join("".join(map(str, row[:6])) for row in ids[:4].tolist()) == picture


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_yaml_is_valid(line: str) -> None:
    parse_line(line)


def test_all_examples_are_found() -> None:
    assert len(PICTURES) == 3
    assert len(LINES) >= 12
