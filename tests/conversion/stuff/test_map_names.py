"""Each label map belongs to one photo."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from base.errors import InputError
from conversion.building.check import check
from conversion.stuff.map_names import match_maps
from tests.conversion.stuff.source_files import NAME, grey, halves, panoptic, reader, stuff
from tests.drawn import ROAD, SKY, draw_dataset

MAPS = "stuff_sources: [{label_maps: maps}]"


def folder(root: Path, *names: str) -> Path:
    for name in names:
        grey(root / name, [[0]])
    return root


@pytest.mark.parametrize("name", ["a.PNG", "A.png", "a.JPG.png", "A.jpg.PNG"])
def test_the_case_of_a_map_does_not_matter(tmp_path: Path, name: str) -> None:
    grey(tmp_path / "made.png", halves(SKY, ROAD))
    (tmp_path / "maps").mkdir()
    (tmp_path / "made.png").rename(tmp_path / "maps" / name)
    assert stuff(tmp_path, MAPS) == halves(SKY, ROAD)


def test_the_unicode_form_of_a_map_does_not_matter(tmp_path: Path) -> None:
    maps = folder(tmp_path, "stra\u00dfe/cafe\u0301.png")
    matched = match_maps(maps, ["stra\u00dfe/caf\u00e9.jpg"])
    assert matched.find("stra\u00dfe/caf\u00e9.jpg") == maps / "stra\u00dfe/cafe\u0301.png"
    assert not matched.unmatched


def test_the_exact_spelling_takes_precedence(tmp_path: Path) -> None:
    maps = folder(tmp_path, "a.png", "A.png")
    matched = match_maps(maps, ["a.jpg", "A.jpg"])
    assert [matched.find(name) for name in ("a.jpg", "A.jpg")] == [maps / "a.png", maps / "A.png"]


def test_whole_names_give_photos_with_double_suffixes_their_own_maps(tmp_path: Path) -> None:
    maps = folder(tmp_path, "a.png", "a.jpg.jpg.png")
    matched = match_maps(maps, ["a.jpg", "a.jpg.jpg"])
    assert matched.find("a.jpg") == maps / "a.png"
    assert matched.find("a.jpg.jpg") == maps / "a.jpg.jpg.png"


@pytest.mark.parametrize(
    ("names", "photos"),
    [
        (["a.jpg.png"], ["a.jpg", "a.jpg.jpg"]),
        (["a.png"], ["a.jpg", "a.webp"]),
        (["a.PNG", "A.png"], ["a.jpg"]),
    ],
)
def test_a_map_that_could_belong_to_several_photos_is_an_error(
    tmp_path: Path, names: list[str], photos: list[str]
) -> None:
    matched = match_maps(folder(tmp_path, *names), photos)
    for photo in photos:
        with pytest.raises(InputError, match="could be the map of"):
            matched.find(photo)


def test_an_ambiguous_map_leaves_out_its_photos(tmp_path: Path) -> None:
    _, opened = reader(tmp_path, "", photos=("a", "b"))
    root = tmp_path / "two"
    grey(root / "maps/b.png", halves(SKY, SKY))
    dataset, opened = reader(root, MAPS, photos=("a", "b"))
    (dataset.images / "b.png").write_bytes((dataset.images / "b.jpg").read_bytes())
    found = {f.rule: f.message for f in check(dataset).findings}
    assert "b.png: could be the map of b.jpg or b.png" in found["map-ambiguous"]
    assert opened.inputs(dataset.images / "a.jpg") == (opened.digest,)


def test_maps_that_belong_to_no_photo_are_a_finding(tmp_path: Path) -> None:
    for name in ("a_labelIds.png", "b_mask.png", "a.tif"):
        grey(tmp_path / "maps" / name, halves(SKY, SKY))
    dataset = draw_dataset(tmp_path, {"a": []}, yaml=NAME + MAPS)
    (found,) = [f for f in check(dataset).findings if f.rule == "map-unmatched"]
    assert found.file == "dataset.yaml"
    expected = "maps: 3 label maps not used, because no photo matches: a.tif, a_la"
    assert found.message.startswith(expected)


def test_a_coco_file_without_any_photo_is_a_finding(tmp_path: Path) -> None:
    panoptic(tmp_path / "p.json", halves(1, 1), [{"id": 1, "category_id": ROAD}])
    for photos, expected in (({"A": []}, 0), ({"b": [], "c": []}, 1)):
        root = tmp_path / str(expected)
        dataset = draw_dataset(root, photos, yaml=NAME + "stuff_sources: [{coco: p.json}]")
        (tmp_path / "p.json").rename(root / "p.json")
        (tmp_path / "p").rename(root / "p")
        found = [f.message for f in check(dataset).findings if f.rule == "map-unmatched"]
        assert len(found) == expected
        (root / "p.json").rename(tmp_path / "p.json")
        (root / "p").rename(tmp_path / "p")
    assert found == ["p.json: contains none of the photos of the set"]


def test_a_source_that_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    yaml = "stuff_sources: [{label_maps: gone}, {coco: gone.json}]"
    dataset = draw_dataset(tmp_path, {"a": []}, yaml=NAME + yaml)
    found = [f.message for f in check(dataset).findings if f.rule == "stuff-source"]
    assert "expected a folder of label maps, found none" in found[0]
    assert "gone.json: missing" in found[1]


def low_depth_png(path: Path, depth: int, rows: list[list[int]]) -> None:
    """Write a greyscale PNG of 2 or 4 bits per pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), depth, 0, 0, 0, 0)
    lines = ["".join(f"{value:0{depth}b}" for value in row) for row in rows]
    packed = [int(line.ljust(-(-len(line) // 8) * 8, "0"), 2) for line in lines]
    size = -(-len(lines[0]) // 8)
    data = b"".join(b"\0" + one.to_bytes(size, "big") for one in packed)
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))


@pytest.mark.parametrize("depth", [2, 4])
def test_values_of_few_bits_are_read_as_stored(tmp_path: Path, depth: int) -> None:
    low_depth_png(tmp_path / "maps/a.png", depth, halves(2, 1, left=3))
    assert Image.open(tmp_path / "maps/a.png").getpixel((1, 0)) != 2  # Pillow scales it
    table = "table: {1: road, 2: sky-other-merged, 3: ~}"
    yaml = f"stuff_sources: [{{label_maps: maps, {table}}}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)


def test_16_bit_values_are_read_as_stored(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    cv2.imwrite(str(tmp_path / "maps/a.png"), np.array(halves(1002, 1001), np.uint16))
    yaml = "stuff_sources: [{label_maps: maps, table: {1001: road, 1002: sky-other-merged}}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD)
