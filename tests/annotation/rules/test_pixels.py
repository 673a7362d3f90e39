from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from annotation.dataset import Dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.rules import pixels
from annotation.rules.alike import ComparedPhoto, alike_complaints
from annotation.rules.validate import check_dataset
from base import workers
from base.errors import InputError
from tests.annotation.rules.found import findings, places
from tests.drawn import YAML, draw_dataset, square

BOX = [square("box", 2, 2, 5)]
EVERY_ORIENTATION = range(1, 9)


def scene(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Coloured shapes on a gradient, which can be compared like photos."""
    rng = np.random.default_rng(seed)
    across, down = np.linspace(0, 200, width), np.linspace(0, 55, height)
    colours = rng.uniform(0.2, 1, 3)
    picture = ((across + down[:, None])[..., None] * colours).astype(np.uint8)
    for _ in range(12):
        x, y, size = rng.integers(0, width), rng.integers(0, height), int(rng.integers(15, 70))
        cv2.circle(picture, (int(x), int(y)), size, rng.integers(0, 255, 3).tolist(), -1)
    return Image.fromarray(picture)


def encoded(
    image: Image.Image, kind: str = "JPEG", *, orientation: int = 1, **options: int
) -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(out, kind, exif=exif, **options)
    return out.getvalue()


def drawn(root: Path, photo: bytes, embedded: bytes | None = None, suffix: str = "jpg") -> Dataset:
    """A set of one photo whose Labelme file has no size."""
    dataset = draw_dataset(root, {"a": BOX})
    (dataset.images / "a.jpg").unlink()
    (dataset.images / f"a.{suffix}").write_bytes(photo)
    path = dataset.labelme / "a.json"
    annotation = replace(read_annotation(path), image_path=f"../images/a.{suffix}")
    annotation = replace(annotation, width=None, height=None)
    if embedded is not None:
        annotation = replace(annotation, image_data=base64.b64encode(embedded).decode())
    write_annotation(path, annotation)
    return dataset


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": 1}),
        ("PNG", {}),
        ("WEBP", {}),
        ("BMP", {}),
        ("TIFF", {}),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.95, 1])
def test_truncated_photos(tmp_path: Path, kind: str, options: dict[str, int], share: float) -> None:
    data = encoded(scene(1), kind, **options)
    suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
    dataset = drawn(tmp_path, data[: int(len(data) * share)], suffix=suffix)
    checked = check_dataset(dataset, pixels="decode")
    found = {f.rule: f.file for f in checked.findings}
    whole = share == 1
    assert checked.annotations[0].usable == whole
    assert len(found) == (0 if whole else 1)
    # a TIFF has its directory at the end; a WebP cannot be opened without its last bytes
    assert set(found) <= {"photo-truncated", "photo-unreadable"}
    assert set(found.values()) <= {"labelme/a.json"}
    if kind in ("JPEG", "PNG", "BMP") and not whole:
        (finding,) = findings(dataset, "photo-truncated", pixels="decode")
        assert finding.severity == "error"
        assert f"a.{suffix}: only part of its pixels can be decoded" in finding.message
        assert check_dataset(dataset) == checked  # the result is known


def test_photos_without_annotation_are_decoded(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": BOX})
    (dataset.images / "cut.jpg").write_bytes(encoded(scene(1))[:5000])
    (dataset.images / "none.jpg").write_bytes(b"none")
    assert places(dataset, "photo-truncated", pixels="decode") == [("images/cut.jpg", None)]
    assert places(dataset, "photo-unreadable", pixels="decode") == [("images/none.jpg", None)]
    assert places(dataset, "photo-unreadable") == [("images/none.jpg", None)]  # now known


@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_the_copy_that_labelme_embeds_does_not_differ(tmp_path: Path, orientation: int) -> None:
    image = scene(1)
    stored = Image.open(io.BytesIO(encoded(image, orientation=orientation)))
    copy = encoded(ImageOps.exif_transpose(stored), quality=75)
    dataset = drawn(tmp_path, encoded(image, orientation=orientation), copy)
    assert places(dataset, "photo-embedded", pixels="decode") == []


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (lambda image: image, False),
        (lambda image: image.filter(ImageFilter.GaussianBlur(1)), False),
        (lambda image: image.convert("L"), False),
        (lambda image: image.point(lambda value: value * 0.8 + 20), False),
        (ImageOps.mirror, True),
        (ImageOps.flip, True),
        (lambda image: image.transform(image.size, 0, (1, 0, 30, 0, 1, 0)), True),
        (lambda image: scene(2), True),
        (lambda image: image.resize((420, 320)).crop((0, 0, 400, 300)), True),
        (ImageOps.invert, True),
    ],
    ids=["same", "blur", "grey", "dim", "mirror", "flip", "shift", "other", "zoom", "invert"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_embedded_copies_of_other_photos(
    tmp_path: Path, kind: str, change: Callable[[Image.Image], Image.Image], other: bool
) -> None:
    image = scene(1)
    options = {"quality": 40} if kind == "JPEG" else {}
    dataset = drawn(tmp_path, encoded(image), encoded(change(image), kind, **options))
    assert places(dataset, "photo-embedded") == []
    found = places(dataset, "photo-embedded", pixels="decode")
    assert found == ([("labelme/a.json", None)] if other else [])


def test_a_truncated_copy(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, encoded(scene(1)), encoded(scene(1))[:3000])
    (finding,) = findings(dataset, "photo-embedded", pixels="decode")
    assert "only part of the pixels" in finding.message


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_pictures_of_every_mode_are_decoded(tmp_path: Path, mode: str) -> None:
    image = scene(1).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) << 8)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    suffix = "tif" if mode == "CMYK" else "png"
    found = check_dataset(drawn(tmp_path, data, data, suffix), pixels="decode").findings
    assert [f.rule for f in found] == (["photo-depth"] if mode == "I;16" else [])


def several(root: Path, photos: dict[str, bytes], *, group_by: str = "") -> Dataset:
    yaml = YAML.replace("seed: 0", f"seed: 0, group_by: {group_by}") if group_by else YAML
    dataset = draw_dataset(root, dict.fromkeys(photos, BOX), yaml=yaml)
    for name, data in photos.items():
        (dataset.images / f"{name}.jpg").write_bytes(data)
    return dataset


def test_photos_with_the_same_bytes(tmp_path: Path) -> None:
    one, two = encoded(scene(1)), encoded(scene(2))
    dataset = several(tmp_path, {"a": one, "b": two, "c": one, "d": one})
    assert places(dataset, "photo-duplicate") == []
    found = findings(dataset, "photo-duplicate", pixels="decode")
    assert [(f.file, f.message, f.twin) for f in found] == [
        ("images/c.jpg", "has the same bytes as a.jpg", "a.jpg"),
        ("images/d.jpg", "has the same bytes as a.jpg", "a.jpg"),
    ]
    assert places(dataset, "photo-near-duplicate", pixels="decode") == []


def test_photos_that_look_alike(tmp_path: Path) -> None:
    one = scene(1)
    photos = {"a": encoded(one), "b": encoded(scene(2)), "c": encoded(one, quality=40)}
    dataset = several(tmp_path, {**photos, "d": encoded(one.resize((200, 150)))})
    found = findings(dataset, "photo-near-duplicate", pixels="decode")
    assert [(f.file, f.severity) for f in found] == [
        ("images/c.jpg", "note"),
        ("images/d.jpg", "note"),
    ]
    assert all("looks like a.jpg" in f.message and f.twin == "a.jpg" for f in found)


@pytest.mark.parametrize("group_by", ["", "photos.csv", "groups.csv"])
def test_photos_in_one_group_may_look_alike(tmp_path: Path, group_by: str) -> None:
    photos = {name: encoded(scene(1), quality=q) for name, q in (("a", 90), ("b", 60), ("c", 40))}
    dataset = several(tmp_path, photos, group_by=group_by)
    (tmp_path / (group_by or "photos.csv")).write_text("image,video\na.jpg,1\nb.jpg,1\nc.jpg,2\n")
    assert places(dataset, "photo-near-duplicate", pixels="decode") == [("images/c.jpg", None)]


def test_a_missing_group_file_is_an_error(tmp_path: Path) -> None:
    dataset = several(tmp_path, {"a": encoded(scene(1))}, group_by="gone.csv")
    with pytest.raises(InputError, match=r"gone\.csv"):
        check_dataset(dataset, pixels="decode")


def test_the_most_similar_photo_of_another_group_is_named() -> None:
    codes = {"a": 0b0, "b": 0b11, "c": 0b1, "d": 0b1, "e": 1 << 60 | 0xFFFF}
    photos = [ComparedPhoto(name, likeness=code) for name, code in codes.items()]
    found = alike_complaints(photos, {"c": "x", "d": "x"}, 2)
    assert [(index, c.message.split(":")[0]) for index, c in found] == [
        (1, "looks like a"),
        (2, "looks like a"),
        (3, "looks like a"),
    ]


def test_ten_thousand_equal_frames_are_compared_once() -> None:
    photos = [ComparedPhoto(f"{i}.jpg", likeness=7) for i in range(10_000)]
    assert len(list(alike_complaints(photos, {}, 4))) == 9_999


def test_huge_photos_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "MOST_MEMORY", 1000)
    dataset = drawn(tmp_path, encoded(scene(1))[:5000])
    assert check_dataset(dataset, pixels="decode").findings == ()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FEW", 0)
    monkeypatch.setattr(workers, "count_cores", lambda: 2)


@pytest.mark.usefixtures("processes")
def test_other_processes_find_the_same_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = {f"{i:02}": encoded(scene(i % 30)) for i in range(40)}
    dataset = several(tmp_path, {**photos, "cut": encoded(scene(1))[:4000]})
    many = check_dataset(dataset, pixels="decode")
    shutil.rmtree(tmp_path / ".cache")
    monkeypatch.setattr(workers, "FEW", 1000)
    assert check_dataset(dataset, pixels="decode") == many
    assert [f.file for f in many.findings if f.rule == "photo-truncated"] == ["labelme/cut.json"]
    assert len([f for f in many.findings if f.rule == "photo-duplicate"]) == 10
