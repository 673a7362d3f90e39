"""A repeated check finds the same as a fresh one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import Annotation, write_annotation
from annotation.rules.checked import Checked, Pixels
from annotation.rules.validate import check_dataset
from tests.annotation.rules.mixed import BOX, TYPO, draw_mixed, edit, noise, settle
from tests.drawn import YAML, draw_photo


def rename(old: Path, new: Path) -> None:
    old.rename(new)


def check_like_fresh(dataset: Dataset, copy: Path, pixels: Pixels) -> None:
    """Assert that a check gives the same results as the check of a copy without a cache."""
    shutil.copytree(dataset.root, copy, ignore=shutil.ignore_patterns(".cache"))
    fresh = open_dataset(copy)
    one, two = (check_dataset(open_dataset(d.root), pixels=pixels) for d in (dataset, fresh))

    def relative(root: Path, path: Path | None) -> Path | None:
        return None if path is None else path.relative_to(root)

    places = [
        [
            replace(a, path=relative(root, a.path), photo=relative(root, a.photo))  # type: ignore[arg-type]
            for a in checked.annotations
        ]
        for root, checked in ((dataset.root, one), (copy, two))
    ]
    assert one.findings == two.findings
    assert places[0] == places[1]


Edit = Callable[[Dataset], object]
EDITS: dict[str, Edit] = {
    "nothing": lambda d: None,
    "edited": lambda d: draw_photo(d.root, "a", [TYPO]),
    "deleted": lambda d: (d.labelme / "b.json").unlink(),
    "new": lambda d: draw_photo(d.root, "new", [BOX, TYPO]),
    "renamed": lambda d: rename(d.labelme / "c.json", d.labelme / "x.json"),
    "photo renamed": lambda d: rename(d.images / "a.jpg", d.images / "x.jpg"),
    "photo moved": lambda d: rename(d.images / "a.jpg", d.images / "sub/a.jpg"),
    "photo deleted": lambda d: (d.images / "c.jpg").unlink(),
    "photo returns": lambda d: (d.images / "gone.jpg").write_bytes(noise(5)),
    "photo with the same name": lambda d: (d.images / "sub/elsewhere.jpg").write_bytes(noise(9)),
    "other photo": lambda d: (d.images / "c.jpg").write_bytes(noise(30)),
    "other size": lambda d: cv2.imwrite(str(d.images / "a.jpg"), np.zeros((40, 30, 3), np.uint8)),
    "incomplete photo": lambda d: (d.images / "a.jpg").write_bytes(noise(0)[: len(noise(0)) // 2]),
    "same photo": lambda d: (d.images / "undrawn.jpg").write_bytes(noise(0)),
    "similar photo": lambda d: (d.images / "undrawn.jpg").write_bytes(noise(0, quality=60)),
    "no photo": lambda d: (d.images / "a.jpg").write_text("none"),
    "groups": lambda d: (d.root / "photos.csv").write_text("image,g\na.jpg,1\nundrawn.jpg,1\n"),
    "second annotation": lambda d: shutil.copy(d.labelme / "d.json", d.labelme / "d2.json"),
    "first annotation": lambda d: shutil.copy(d.labelme / "d.json", d.labelme / "0.json"),
    "excluded": lambda d: edit(d, "d", flags={"exclude": True}),
    "repaired": lambda d: write_annotation(
        d.labelme / "broken.json", Annotation("../images/broken.jpg", 30, 40, (BOX,))
    ),
    "code page": lambda d: (d.labelme / "d.json").write_bytes(
        (d.labelme / "d.json").read_text().replace('"box"', '"b\u00f6x"').encode("cp1252")
    ),
    "severity": lambda d: (d.root / "dataset.yaml").write_text(
        YAML.replace("severity: {", "severity: {label-typo: warning, photo-orphan: error, ")
    ),
    "things": lambda d: (d.root / "dataset.yaml").write_text(YAML.replace("[box, ", "[bxo, ")),
    "limits": lambda d: (d.root / "dataset.yaml").write_text(YAML.replace("few: 0", "few: 9")),
}


@pytest.mark.parametrize("pixels", ["decode", "known"])
@pytest.mark.parametrize("name", EDITS)
def test_the_findings_are_those_of_a_fresh_check(tmp_path: Path, name: str, pixels: Pixels) -> None:
    dataset = draw_mixed(tmp_path / "set")
    check_dataset(dataset, pixels=pixels)
    EDITS[name](dataset)
    check_like_fresh(dataset, tmp_path / "fresh", pixels)


@pytest.mark.parametrize("decoding", [True, False])
def test_many_edits_with_and_without_pixels(tmp_path: Path, decoding: bool) -> None:
    dataset = draw_mixed(tmp_path / "set")
    for number, name in enumerate(EDITS):
        if number % 2:
            settle(dataset)
        try:
            EDITS[name](dataset)
        except FileNotFoundError:  # an earlier edit has moved it
            continue
        if not decoding:
            check_like_fresh(dataset, tmp_path / f"fresh{number}", "known")
        elif number % 3 < 2:  # a fresh check does not know the photos that were decoded before
            check_dataset(dataset, pixels="known")
        else:
            check_like_fresh(dataset, tmp_path / f"fresh{number}", "decode")


def rules(checked: Checked) -> set[str]:
    return {finding.rule for finding in checked.findings}


def test_known_pixels_are_those_that_were_decoded(tmp_path: Path) -> None:
    dataset = draw_mixed(tmp_path)
    EDITS["incomplete photo"](dataset)
    (dataset.images / "undrawn.jpg").write_bytes(noise(2, quality=80))  # like c.jpg
    pixel_rules = {"photo-truncated", "photo-near-duplicate"}
    assert not pixel_rules & rules(check_dataset(dataset, pixels="known"))
    decoded = check_dataset(dataset, pixels="decode")
    assert pixel_rules <= rules(decoded)
    assert check_dataset(dataset, pixels="known") == decoded
    (dataset.images / "a.jpg").write_bytes(noise(0))
    assert "photo-truncated" not in rules(check_dataset(dataset, pixels="known"))
