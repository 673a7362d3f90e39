"""After a power cut at any moment, nothing that a person made is lost, and a command completes."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import open_dataset
from annotation.fixing.backups import undo_fixes
from annotation.intake.collect import collect
from annotation.labelme.annotation import read_annotation, write_annotation
from base.files import write_bytes
from base.locks import working_on
from conversion.building.build import convert
from conversion.importing.importer import import_coco
from samples.yard.photo import RenderedPhoto, render_photo
from samples.yard.sample import render_yard
from tests.annotation.fixing.fixed import change, contents, drawn, fix
from tests.annotation.intake.collected import photo, write_files
from tests.conversion.building.builds import draw, tree
from tests.conversion.importing.coco_files import TRIANGLE, coco, instance
from tests.drawn import draw_photo, square
from tests.power import Loss, cut_at_every_step

LOSSES: tuple[Loss, ...] = ("data", "everything")


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> Loss:
    return request.param  # type: ignore[no-any-return]


class Folders:
    """New folders, each a copy of the folder `template` if it exists."""

    def __init__(self, place: Path) -> None:
        self._place, self._numbers = place, itertools.count()
        self.template = place / "template"

    def new(self) -> Path:
        folder = self._place / f"{next(self._numbers):03}" / "set"
        if self.template.exists():
            shutil.copytree(self.template, folder, symlinks=True)
        else:
            folder.mkdir(parents=True)
        return folder


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_the_simulation_loses_what_is_not_synchronised(folders: Folders, loss: Loss) -> None:
    """Otherwise, the other tests of this file would prove nothing."""
    left = []
    cut_at_every_step(
        folders.new,
        lambda root: write_bytes(root / "a.json", b"drawn for an hour"),
        lambda root: left.append([path.read_bytes() for path in root.iterdir()]),
        loss=loss,
    )
    assert left[-1] == ([b""] if loss == "data" else [])
    cut_at_every_step(
        folders.new,
        lambda root: write_bytes(root / "a.json", b"drawn for an hour", durable=True),
        lambda root: left.append([path.read_bytes() for path in root.iterdir()]),
        loss=loss,
    )
    assert left[-1] == [b"drawn for an hour"]


def test_no_drawing_is_lost_when_annotate_stores_it(folders: Folders, loss: Loss) -> None:
    root = draw(folders.template, 1).root
    drawing = root / "labelme/p000.json"
    old = drawing.read_bytes()
    more = read_annotation(drawing)
    kept = []

    def check(folder: Path) -> None:
        found = (folder / "labelme/p000.json").read_bytes()
        kept.append(found == old or read_annotation(folder / "labelme/p000.json") == more)

    steps = cut_at_every_step(
        folders.new,
        lambda folder: write_annotation(folder / "labelme/p000.json", more, durable=True),
        check,
        loss=loss,
    )
    assert all(kept)
    assert len(kept) == steps + 1


def test_fixes_can_be_undone(folders: Folders, loss: Loss) -> None:
    change(
        drawn(folders.template, square("bxo", 2, 2, 5)), imagePath="..\\images\\a.jpg", imageWidth=1
    )
    (folders.template / "labelme/a.json").write_bytes(
        (folders.template / "labelme/a.json").read_bytes().replace(b'"box"', b'"bpx"', 1)
    )
    original = contents(folders.template)

    def fix_locked(folder: Path) -> None:
        with working_on(folder, "validate --fix"):
            fix(open_dataset(folder))

    def check(folder: Path) -> None:
        dataset = open_dataset(folder)
        fix_locked(folder)
        assert {path for path in contents(folder) if path.endswith(".orig")}
        undo_fixes(dataset)
        assert contents(folder) == original

    steps = cut_at_every_step(folders.new, fix_locked, check, loss=loss)
    assert steps >= 4


def test_collect_completes(folders: Folders, loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_files(
        folders.template.parent / "in", {"a.jpg": photo(1), "b.jpg": photo(2, orientation=8)}
    )
    drawing = json.dumps({"shapes": [], "imagePath": "a.jpg", "flags": {"exclude": True}})
    (source / "a.json").write_text(drawing)
    monkeypatch.chdir(folders.template.parent)
    whole = folders.new()
    collect([Path("in")], whole)
    files = contents(whole)
    assert len(files) == 5

    def check(folder: Path) -> None:
        collect([Path("in")], folder)
        assert contents(folder) == files

    cut_at_every_step(
        folders.new, lambda folder: collect([Path("in")], folder), check, loss=loss, every=2
    )


def test_import_completes(folders: Folders, loss: Loss) -> None:
    source = coco(folders.template.parent / "coco", instance(1, [TRIANGLE]))
    whole = folders.new()
    import_coco(source, whole)
    files = contents(whole)

    def check(folder: Path) -> None:
        import_coco(source, folder)
        assert contents(folder) == files

    cut_at_every_step(folders.new, lambda folder: import_coco(source, folder), check, loss=loss)


def test_sample_completes(folders: Folders, loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[tuple[RenderedPhoto, object]] = []

    def render_once(rng: np.random.Generator) -> RenderedPhoto:
        """Render the only photo once, and later return it with the same random state."""
        if not rendered:
            rendered.append((render_photo(rng), rng.bit_generator.state))
        rng.bit_generator.state = rendered[0][1]
        return rendered[0][0]

    monkeypatch.setattr("samples.yard.sample.render_photo", render_once)
    whole = folders.new()
    render_yard(whole, images=1)
    files = contents(whole)

    def check(folder: Path) -> None:
        render_yard(folder, images=1)
        assert contents(folder) == files

    cut_at_every_step(
        folders.new, lambda folder: render_yard(folder, images=1), check, loss=loss, every=2
    )


def test_convert_completes(folders: Folders, loss: Loss) -> None:
    """From nothing, and after a change of a complete set whose splits must be remembered."""
    dataset = draw(folders.template, 3)

    def check(folder: Path) -> None:
        opened = open_dataset(folder)
        convert(opened)
        assert tree(opened) == whole
        assert not convert(opened).fresh

    whole = {}
    for change_of_set in ("first", "changed"):
        fresh = open_dataset(folders.new())
        convert(fresh)
        whole = tree(fresh)
        steps = cut_at_every_step(
            folders.new, lambda folder: convert(open_dataset(folder)), check, loss=loss, every=4
        )
        assert steps > 10
        if change_of_set == "first":
            convert(dataset)
            draw_photo(folders.template, "p001", [square("box", 1, 20, 5)])
            cv2.imwrite(str(dataset.root / "stuff/p002.png"), np.full((30, 40), 149, np.uint8))
