from __future__ import annotations

import base64
import io
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation.dataset import Dataset
from annotation.findings import RULES
from annotation.labelme.annotation import MOST_BYTES, read_annotation, write_annotation
from annotation.rules.checked import Pixels
from annotation.rules.validate import check_dataset
from tests.annotation.mutate import bomb
from tests.annotation.rules.found import findings, places
from tests.drawn import YAML, draw_dataset, square

BOX = [square("box", 2, 2, 5)]
FILE_RULES = [r for r in RULES if r.split("-")[0] in ("file", "annotation", "photo")]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return draw_dataset(tmp_path, {"a": BOX})


def edit(dataset: Dataset, **values: Any) -> None:
    path = dataset.labelme / "a.json"
    write_annotation(path, replace(read_annotation(path), **values))


def picture(width: int = 40, height: int = 30, orientation: int = 1) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), "grey").save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_a_clean_file_has_no_finding(dataset: Dataset) -> None:
    edit(dataset, image_data=base64.b64encode(picture()).decode())
    assert [
        f for f in check_dataset(dataset, pixels="decode").findings if f.rule in FILE_RULES
    ] == []


@pytest.mark.parametrize(
    ("rule", "data", "message"),
    [
        ("file-not-json", b'{"shapes": [', "truncated"),
        ("file-not-json", b"", "truncated"),
        ("file-not-json", b"[" * 60_000, "nested too deeply"),
        ("file-not-labelme", b"[]", "is not a Labelme file"),
        ("file-not-labelme", b'{"imagePath": "a.jpg"}', "expected the key 'shapes'"),
        (
            "file-not-labelme",
            b'{"imagePath": "a.jpg", "shapes": {}}',
            "shapes: expected a list, found a mapping",
        ),
        (
            "file-not-labelme",
            b'{"imagePath": "a.jpg", "shapes": [' + b"1," * 100_000 + b"1]}",
            "length",
        ),
    ],
)
def test_files_that_are_not_labelme_files(
    dataset: Dataset, rule: str, data: bytes, message: str
) -> None:
    (dataset.labelme / "a.json").write_bytes(data)
    checked = check_dataset(dataset)
    (finding,) = checked.findings
    assert (finding.rule, finding.severity, finding.file) == (rule, "error", "labelme/a.json")
    assert message in finding.message
    assert "labelme/" not in finding.message
    assert not checked.annotations[0].usable


def test_files_that_cannot_be_read(dataset: Dataset) -> None:
    os.mkfifo(dataset.labelme / "pipe.json")
    (dataset.labelme / "zero.json").symlink_to("/dev/zero")
    (dataset.labelme / "loop.json").symlink_to(dataset.labelme / "loop.json")
    (dataset.labelme / "folder.json").mkdir()
    with (dataset.labelme / "huge.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    found = {f.file: f.message for f in findings(dataset, "file-unreadable")}
    assert found == {
        "labelme/huge.json": "cannot be read: expected at most 128 MB, found 128 MB",
        "labelme/loop.json": "cannot be read: Too many levels of symbolic links",
        "labelme/pipe.json": "cannot be read: is not a regular file",
        "labelme/zero.json": "cannot be read: is not a regular file",
    }


def test_files_without_permission() -> None:
    """Run as a user who may not read everything, and who cannot enter pytest's own folders."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        dataset = draw_dataset(Path(folder), {"a": BOX})
        (dataset.labelme / "a.json").chmod(0)
        if user == 0:
            os.seteuid(65534)
        try:
            found = places(dataset, "file-unreadable")
        finally:
            os.seteuid(user)
    assert found == [("labelme/a.json", None)]


def test_names_that_are_not_utf8(dataset: Dataset) -> None:
    """A photo and its Labelme file with names as old Windows systems wrote them."""
    name = os.fsdecode(b"F\xe9")
    for path in (dataset.images / "a.jpg", dataset.labelme / "a.json"):
        path.rename(path.with_stem(name))
    path = dataset.labelme / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b"a.jpg", b"F\xe9.jpg"))
    checked = check_dataset(dataset, pixels="decode")
    assert [r.photo for r in checked.annotations] == [dataset.images / f"{name}.jpg"]
    for finding in checked.findings:
        assert f"{finding.file}{finding.message}".encode()


def test_other_encodings_are_read(tmp_path: Path) -> None:
    yaml = YAML.replace("[box, disc]", "[box, Gerüst]")
    dataset = draw_dataset(tmp_path, {"a": [square("Gerüst", 2, 2, 5)], "b": BOX}, yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    (finding,) = findings(dataset, "file-encoding")
    assert (finding.file, finding.severity) == ("labelme/a.json", "warning")
    assert "cp1252" in finding.message
    assert not findings(dataset, "label-unknown")


def test_keys_that_appear_twice(dataset: Dataset) -> None:
    path = dataset.labelme / "a.json"
    path.write_text(path.read_text().replace('"label"', '"label": "disc", "label"'))
    (finding,) = findings(dataset, "file-duplicate-keys")
    assert "'label'" in finding.message


def test_files_without_photos_and_photos_without_files(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": BOX, "b": BOX, "c": []})
    (dataset.images / "a.jpg").unlink()
    (dataset.labelme / "b.json").unlink()
    assert places(dataset, "annotation-orphan") == [("labelme/a.json", None)]
    assert places(dataset, "photo-orphan") == [("images/b.jpg", None)]
    assert places(dataset, "annotation-empty") == [("labelme/c.json", None)]


def test_two_files_for_one_photo(dataset: Dataset) -> None:
    (dataset.images / "a.json").write_text(
        (dataset.labelme / "a.json").read_text().replace("../images/", "")
    )
    checked = check_dataset(dataset)
    assert [r.usable for r in checked.annotations] == [True, False]
    assert places(dataset, "annotation-duplicate") == [("labelme/a.json", None)]


def test_a_missing_photo_that_the_file_embeds(dataset: Dataset) -> None:
    edit(dataset, image_data=base64.b64encode(picture()).decode())
    (dataset.images / "a.jpg").unlink()
    assert places(dataset, "photo-missing") == [("labelme/a.json", None)]
    assert places(dataset, "photo-embedded") == []


def test_several_photos_with_the_name(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"x/a": BOX, "y/a": BOX})
    path = dataset.labelme / "x/a.json"
    write_annotation(path, replace(read_annotation(path), image_path="a.jpg"))
    (finding,) = findings(dataset, "photo-missing")
    assert finding.message.endswith("found several: x/a.jpg, y/a.jpg")


def test_an_image_bomb_is_not_opened(dataset: Dataset) -> None:
    (dataset.images / "a.jpg").write_bytes(bomb(60_000, 60_000))
    modes: list[Pixels] = ["known", "decode"]
    for pixels in modes:
        (finding,) = findings(dataset, "photo-unreadable", pixels=pixels)
        assert (finding.file, finding.severity) == ("labelme/a.json", "error")
        assert "a.jpg: expected at most 178,956,970 pixels" in finding.message


def test_an_unreadable_photo_is_never_usable(tmp_path: Path) -> None:
    yaml = YAML.replace("severity: {", "severity: {photo-unreadable: ignore, ")
    dataset = draw_dataset(tmp_path, {"a": BOX}, yaml=yaml)
    (dataset.images / "a.jpg").write_bytes(b"no photo")
    checked = check_dataset(dataset)
    assert checked.findings == ()
    assert not checked.annotations[0].usable


@pytest.mark.parametrize(
    ("size", "orientation", "rule"),
    [
        ((40, 30), 1, None),
        ((30, 40), 1, "photo-size"),
        ((80, 60), 1, "photo-size"),
        ((30, 40), 6, None),
        ((40, 30), 6, "photo-rotation"),
        ((40, 30), 5, "photo-rotation"),
        ((40, 30), 3, None),  # upside down: the size does not show the rotation
        ((40, 30), 2, None),
        ((60, 80), 6, "photo-size"),
    ],
)
def test_size_and_rotation(
    dataset: Dataset, size: tuple[int, int], orientation: int, rule: str | None
) -> None:
    (dataset.images / "a.jpg").write_bytes(picture(40, 30, orientation))
    edit(dataset, width=size[0], height=size[1])
    found = {f.rule: f.severity for f in check_dataset(dataset).findings if f.rule in FILE_RULES}
    assert found == ({} if rule is None else {rule: "error"})


def test_a_missing_size_is_not_wrong(dataset: Dataset) -> None:
    edit(dataset, width=None, height=None)
    assert places(dataset, "photo-size") == []


def test_the_size_of_a_square_photo_does_not_show_a_rotation(dataset: Dataset) -> None:
    (dataset.images / "a.jpg").write_bytes(picture(40, 40, 6))
    edit(dataset, width=40, height=40)
    assert places(dataset, "photo-rotation") == []


@pytest.mark.parametrize(("kind", "rules"), [(np.uint8, []), (np.uint16, ["photo-rotation"])])
def test_labelme_ignores_the_rotation_of_a_deep_tiff(
    dataset: Dataset, kind: type, rules: list[str]
) -> None:
    (dataset.images / "a.jpg").unlink()
    values = np.zeros((30, 40), kind)
    Image.fromarray(values).save(dataset.images / "a.tif", tiffinfo={0x0112: 3})
    edit(dataset, image_path="../images/a.tif")
    found = [f.rule for f in check_dataset(dataset).findings]
    assert [rule for rule in found if rule == "photo-rotation"] == rules


def test_a_photo_of_16_bits_is_scaled_and_a_finding_says_so(dataset: Dataset) -> None:
    (dataset.images / "a.jpg").unlink()
    values = np.linspace(0, 4095, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(values).save(dataset.images / "a.png")
    edit(dataset, image_path="../images/a.png")
    (finding,) = findings(dataset, "photo-depth")
    assert (finding.severity, "16 bits per channel" in finding.message) == ("note", True)


def test_a_photo_of_floating_point_values_is_refused(dataset: Dataset) -> None:
    (dataset.images / "a.jpg").unlink()
    Image.fromarray(np.zeros((30, 40), np.float32)).save(dataset.images / "a.tif")
    edit(dataset, image_path="../images/a.tif")
    (finding,) = findings(dataset, "photo-unreadable")
    assert "expected 8 or 16 bits per channel, found floating-point values" in finding.message


@pytest.mark.parametrize(
    ("image_data", "message"),
    [
        ("", "not a JPEG"),
        ("no base64!", "not a"),
        ("grün", "not valid base64"),
        (base64.b64encode(b"no picture").decode(), "not a JPEG"),
        (base64.b64encode(picture(80, 60)).decode(), "80x60 pixels, the photo has 40x30"),
        (base64.b64encode(bomb(60_000, 60_000)).decode(), "pixels, found 60000x60000"),
    ],
)
def test_embedded_photos(dataset: Dataset, image_data: str, message: str) -> None:
    edit(dataset, image_data=image_data)
    (finding,) = findings(dataset, "photo-embedded")
    assert (finding.severity, finding.shape) == ("warning", None)
    assert message in finding.message


def test_an_embedded_photo_has_the_size_that_labelme_shows(dataset: Dataset) -> None:
    (dataset.images / "a.jpg").write_bytes(picture(40, 30, 6))
    edit(dataset, width=30, height=40, image_data=base64.b64encode(picture(30, 40)).decode())
    assert places(dataset, "photo-embedded") == []
    edit(dataset, image_data=base64.b64encode(picture(40, 30, 6)).decode())  # Labelme 3 and older
    assert places(dataset, "photo-embedded") == [("labelme/a.json", None)]


def test_messages_are_short_and_printable(dataset: Dataset) -> None:
    path = dataset.labelme / "a.json"
    values = {**json.loads(path.read_text()), "imagePath": "\x1b[2J" + "x" * 1_000_000}
    path.write_text(json.dumps(values))
    (finding,) = findings(dataset, "photo-path")
    assert len(finding.message) < 600
    assert finding.message.isprintable()
