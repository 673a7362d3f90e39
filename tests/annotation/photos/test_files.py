from __future__ import annotations

import base64
import io
import os
import struct
import time
import zlib
from pathlib import Path

import cv2
import pytest
from PIL import Image

from annotation.dataset import open_dataset
from annotation.photos.files import PhotoIndex, open_embedded, read_header
from base.errors import InputError
from tests.annotation.mutate import bomb
from tests.drawn import draw_dataset, square

ORIENTATION = 0x0112


def save(path: Path, *, orientation: int | None = None, xmp: bytes | None = None) -> Path:
    """40x30 pixels."""
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    options = {} if xmp is None else {"xmp": xmp}
    Image.new("RGB", (40, 30)).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("orientation", "turned"), [(1, False), (3, False), (6, True), (8, True)])
def test_size_is_that_after_the_exif_rotation_as_opencv_reads_it(
    tmp_path: Path, suffix: str, orientation: int, turned: bool
) -> None:
    path = save(tmp_path / f"a.{suffix}", orientation=orientation)
    header = read_header(path)
    assert header.size == ((40, 30) if turned else (30, 40))
    assert header.turned == turned
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[:2] == header.size


def test_a_tiff_keeps_the_size_that_labelme_shows(tmp_path: Path) -> None:
    header = read_header(save(tmp_path / "a.tif", orientation=6))
    assert (header.size, header.orientation, header.turned) == ((30, 40), 6, False)


def test_rotations_that_neither_labelme_nor_opencv_know_are_none(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    assert read_header(save(tmp_path / "a.jpg", xmp=xmp)).size == (30, 40)


def test_exif_data_behind_the_pixels_of_a_png_are_seen(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    body = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk + data[-12:])
    assert read_header(path).size == (40, 30)


def test_broken_exif_data_turn_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_header(tmp_path / "a.jpg").size == (30, 40)


def test_the_pixels_of_a_png_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bomb(12_000, 12_000))  # its pixels are missing
    assert read_header(path).size == (12_000, 12_000)


def tiff_header(width: int, height: int) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 9)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", bomb(60_000, 60_000), "60000x60000 pixels; at most 178,956,970"),
        ("a.tif", tiff_header(60_000, 60_000), "60000x60000 pixels; at most"),
        ("a.png", bomb(2**31 - 1, 2**31 - 1), "pixels; at most"),
        ("a.jpg", b"no photo", "is no JPEG, PNG, BMP, TIFF or WEBP picture"),
        ("a.jpg", b"", "is no JPEG"),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no JPEG"),
    ],
)
def test_what_can_not_be_a_photo(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_header(tmp_path / name)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(1 << 40)
    for name, message in [
        ("pipe.jpg", "no regular file"),
        ("zero.jpg", "no regular file"),
        ("loop.jpg", "symbolic links"),
        ("huge.jpg", "at most 512 MB"),
        ("gone.jpg", "No such file"),
    ]:
        with pytest.raises(InputError, match=message):
            read_header(tmp_path / name)


def test_an_embedded_picture_is_not_turned() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG", exif=exif)
    with open_embedded(base64.b64encode(out.getvalue()).decode()) as picture:
        assert picture.size == (40, 30)


@pytest.mark.parametrize(
    "image_path",
    [
        "a\0.jpg",
        "x" * 5000,
        pytest.param("x/" * 50_000_000, id="100 MB"),
        "",
        ".",
        "..",
        "/",
        "\\",
        "C:",
        "%",
        "a.jpg\ud800",
    ],
)
def test_strange_paths_raise_nothing(tmp_path: Path, image_path: str) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    index = PhotoIndex(dataset, dataset.photos())
    start = time.perf_counter()
    found = index.find(dataset.labelme / "a.json", image_path)
    assert found.how == "stem"  # the annotation's own name tells it
    assert time.perf_counter() - start < 1


def test_names_that_are_no_utf8_are_found(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    name = os.fsdecode(b"F\xe9.jpg")  # as an old Windows names its files
    (dataset.images / "a.jpg").rename(dataset.images / name)
    index = PhotoIndex(dataset, dataset.photos())
    found = index.find(dataset.labelme / "a.json", f"../images/{name}")
    assert found.photo == dataset.images / name
    assert found.how == "path"


def test_a_set_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path, {"a/b": [square("box", 2, 2, 5)]})
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset(Path())
    index = PhotoIndex(dataset, dataset.photos())
    found = index.find(Path("labelme/a/b.json"), "../../images/a/b.jpg")
    assert (found.how, found.photo) == ("path", Path("images/a/b.jpg"))


def test_of_several_photos_of_one_name_the_nearest_is_found(tmp_path: Path) -> None:
    box = [square("box", 2, 2, 5)]
    dataset = draw_dataset(tmp_path, {"x/a": box, "y/a": box})
    index = PhotoIndex(dataset, dataset.photos())
    json = dataset.labelme / "other.json"
    assert index.find(json, "old/y/a.jpg").photo == dataset.images / "y/a.jpg"
    assert index.find(json, "old/a.jpg").candidates == tuple(dataset.photos())


def test_names_of_one_hash_are_told_apart(tmp_path: Path) -> None:
    names = ("plumless", "buckeroo")  # the same to CRC-32
    dataset = draw_dataset(tmp_path, {name: [square("box", 2, 2, 5)] for name in names})
    index = PhotoIndex(dataset, dataset.photos())
    for name in names:
        wanted = dataset.images / f"{name}.jpg"
        json = dataset.labelme / f"{name}.json"
        assert index.find(json, f"../images/{name}.jpg").photo == wanted
        assert index.find(json, f"elsewhere/{name}.jpg").photo == wanted
        assert index.find(json, "elsewhere/other.jpg").photo == wanted
