"""Label maps and their tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.photos.files import MAX_BYTES
from base.errors import InputError
from tests.conversion.stuff.source_files import (
    RIVER,
    grey,
    halves,
    reader,
    rgb,
    stuff,
)
from tests.drawn import ROAD, SKY


def test_values_of_label_maps_are_coco_ids_and_other_stuff_is_void(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(SKY, ROAD, left=RIVER))
    assert stuff(tmp_path, "stuff_sources: [{label_maps: maps}]") == halves(SKY, ROAD, left=0)


def test_photos_that_differ_in_their_suffix_have_maps_of_their_own(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(SKY, SKY))
    grey(tmp_path / "maps/a.jpg.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{label_maps: maps}]"
    assert stuff(tmp_path, yaml, name="a.jpg") == halves(ROAD, ROAD)
    assert stuff(tmp_path, yaml, name="a.png") == halves(SKY, SKY)


def test_a_label_map_is_limited_in_size(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(SKY, SKY))
    with (tmp_path / "maps/a.png").open("r+b") as file:
        file.truncate(MAX_BYTES + (1 << 20))  # takes no space on the disk
    with pytest.raises(InputError, match=r"a.png: cannot be read: expected at most 512 MB"):
        stuff(tmp_path, "stuff_sources: [{label_maps: maps}]")


@pytest.mark.parametrize("mode", [None, "P"])
def test_a_table_explains_values_and_palette_indices(tmp_path: Path, mode: str | None) -> None:
    grey(tmp_path / "maps/a.png", halves(2, 1, left=3), mode)
    table = "table: {1: road, 2: sky-other-merged, 3: ~}"
    assert stuff(tmp_path, f"stuff_sources: [{{label_maps: maps, {table}}}]") == halves(
        SKY, ROAD, left=0
    )


def test_a_table_explains_colours_including_those_of_a_palette(tmp_path: Path) -> None:
    table = "table: {'#804080': road, '#4682b4': sky-other-merged, '#090909': person}"
    yaml = f"stuff_sources: [{{label_maps: maps, {table}}}]"
    colors = {1: (128, 64, 128), 2: (70, 130, 180), 3: (9, 9, 9)}
    rgb(tmp_path / "maps/a.png", halves(2, 1, left=3), colors)
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)
    grey(tmp_path / "maps/a.png", halves(2, 1, left=3), "P")
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)


@pytest.mark.parametrize(
    "text",
    ["value,name\n1,road\n2,sky-other\n", "red,green,blue,name\n0,0,1,road\n0,0,2,sky-other\n"],
)
def test_a_table_may_be_a_csv_with_names_of_coco_stuff(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    grey(tmp_path / "maps/a.png", halves(2, 1))
    if "red" in text:
        rgb(tmp_path / "maps/a.png", halves(2, 1), {1: (0, 0, 1), 2: (0, 0, 2)})
    yaml = "stuff_sources: [{label_maps: maps, table: table.csv}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD)


def test_many_colours_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.choice(1 << 24, 3000, replace=False)
    meant = rng.choice(["road", "sky-other-merged", ""], 3000)
    lines = [f"{c >> 16},{c >> 8 & 255},{c & 255},{m}" for c, m in zip(codes, meant, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["red,green,blue,name", *lines]))
    picture = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
    (tmp_path / "maps").mkdir()
    Image.fromarray(picture.reshape(50, 60, 3)).save(tmp_path / "maps/a.png")
    dataset, opened = reader(tmp_path, "stuff_sources: [{label_maps: maps, table: t.csv}]")
    found = opened.read(dataset.images / "a.jpg", (), height=50, width=60)
    expected = [{"road": ROAD, "sky-other-merged": SKY, "": 0}[m] for m in meant]
    assert found.ravel().tolist() == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{1: raod}", "table: expected the name of a category, found 'raod'; did you mean 'road'?"),
        ("{1: road, '#000002': road}", "expected a table of values or of colours, found both"),
        ("{}", "found none"),
        ("{1: road, '1': road}", "table: '1' appears twice"),
        ("{x: road}", "expected a value 0..65534 or a colour '#rrggbb', found 'x'"),
        ("t.csv", "t.csv: expected columns value,name or red,green,blue,name, found name, valu"),
        ("u.csv", "u.csv: line 2: expected a value 0..65534 or a colour"),
        ("{1: road}", "a.png: expected a value in .*table, found \\[2\\]"),
        ("{'#000001': road}", "a.png: expected an RGB or palette PNG of 6x4 pixels.*mode L"),
    ],
)
def test_wrong_tables(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("valu,name\n1,road\n")
    (tmp_path / "u.csv").write_text("red,green,blue,name\n1,2,300,road\n")
    grey(tmp_path / "maps/a.png", halves(2, 1))
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, f"stuff_sources: [{{label_maps: maps, table: {table}}}]")
