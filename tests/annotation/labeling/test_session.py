from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.dataset import Dataset
from annotation.labeling.items import FOLDER
from annotation.labeling.session import Session, lock_dataset, open_session, recover_session
from annotation.labeling.worklist import annotation_paths, read_status
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.proposals import proposed
from annotation.rules.validate import check_dataset
from base.errors import InputError
from tests.drawn import draw_dataset, draw_photo, square
from tests.holding import hold


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Photo a is annotated, sub/b is not."""
    dataset = draw_dataset(tmp_path / "set", {"a": [square("box", 2, 3, 10)], "sub/b": []})
    (dataset.labelme / "sub/b.json").unlink()
    return dataset


def shown(dataset: Dataset) -> list[tuple[Path, Path, str]]:
    work = read_status(dataset, check_dataset)
    place = annotation_paths(dataset, work)
    return [(photo, place[photo], work.state(photo)) for photo in work.in_order()]


def save(path: Path, image_path: str, label: str) -> None:
    """Save one polygon as Labelme does, with the photo's path relative to the file's folder."""
    shape = {"label": label, "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    keys = {"version": "6.3.1", "flags": {}, "shapes": [shape], "imagePath": image_path}
    size = {"imageData": None, "imageHeight": 30, "imageWidth": 40}
    path.write_text(json.dumps({**keys, **size}))


def files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir()}


def test_annotations_are_stored_and_the_folder_is_removed(dataset: Dataset) -> None:
    bytes_before = (dataset.labelme / "a.json").read_bytes()
    with open_session(dataset, shown(dataset)) as session:
        assert files(session.folder) == {
            *("1-new/sub/b.jpg", "2-fine/a.jpg", "2-fine/a.json", "session.json")
        }
        assert read_annotation(session.folder / "2-fine/a.json").image_path == "a.jpg"
        photo = session.folder / "1-new/sub/b.jpg"
        assert photo.samefile(dataset.images / "sub/b.jpg")
        session.store_changes()
        assert session.changed == set()
        half = session.folder / "1-new/sub/b.json"
        half.write_text('{"version": "6.3')  # Labelme is writing
        session.store_changes()
        assert not (dataset.labelme / "sub/b.json").exists()
        save(half, "b.jpg", "box")
        session.store_changes()
        assert session.changed == {dataset.labelme / "sub/b.json"}
    annotation = read_annotation(dataset.labelme / "sub/b.json")
    assert (annotation.image_path, annotation.shapes[0].label) == ("../../images/sub/b.jpg", "box")
    assert (dataset.labelme / "a.json").read_bytes() == bytes_before
    assert not (dataset.root / FOLDER).exists()


def test_an_annotation_with_a_future_time_is_stored_when_it_is_saved(dataset: Dataset) -> None:
    path = dataset.labelme / "a.json"
    os.utime(path, (4e9, 4e9))
    with open_session(dataset, shown(dataset)) as session:
        save(session.folder / "2-fine/a.json", "a.jpg", "disc")
    assert read_annotation(path).shapes[0].label == "disc"


def test_changes_by_others_are_copied_before_labelme_opens_the_photo(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        draw_photo(dataset.root, "a", [square("disc", 2, 3, 10)])
        draw_photo(dataset.root, "sub/b", [])
        session.store_changes()
        assert read_annotation(session.folder / "2-fine/a.json").shapes[0].label == "disc"
        assert read_annotation(session.folder / "1-new/sub/b.json").image_path == "b.jpg"
        (dataset.labelme / "a.json").unlink()
        session.store_changes()
        assert not (session.folder / "2-fine/a.json").exists()
    assert session.changed == set()


def test_annotations_deleted_in_labelme_are_deleted_at_the_end(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        (session.folder / "2-fine/a.json").unlink()
        session.store_changes()
        assert (dataset.labelme / "a.json").exists()
    assert not (dataset.labelme / "a.json").exists()
    assert session.changed == {dataset.labelme / "a.json"}


def test_nothing_is_deleted_if_the_folder_is_deleted(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        shutil.rmtree(session.folder)
    assert (dataset.labelme / "a.json").exists()


def interrupt(dataset: Dataset, session: Session) -> Callable[[], None]:
    """Copy the folder as it is now; return what puts it back, as if `annotate` had been killed."""
    left = dataset.root / "left"
    shutil.copytree(session.folder, left, symlinks=True)

    def restore() -> None:
        shutil.rmtree(session.folder, ignore_errors=True)
        left.rename(session.folder)

    return restore


def test_an_interrupted_session_is_recovered(dataset: Dataset) -> None:
    a, b = dataset.labelme / "a.json", dataset.labelme / "sub/b.json"
    with open_session(dataset, shown(dataset)) as session:
        save(session.folder / "2-fine/a.json", "a.jpg", "box")
        session.store_changes()
        first = a.read_bytes(), a.stat().st_mtime_ns
        save(session.folder / "1-new/sub/b.json", "b.jpg", "box")
        save(session.folder / "2-fine/a.json", "a.jpg", "disc")
        restore = interrupt(dataset, session)
    b.unlink()
    a.write_bytes(first[0])
    os.utime(a, ns=(first[1], first[1]))
    restore()
    assert recover_session(dataset) == {a, b}
    assert read_annotation(b).shapes[0].label == "box"
    assert read_annotation(a).shapes[0].label == "disc"
    with lock_dataset(dataset):
        assert recover_session(dataset) == set()
    assert not (dataset.root / FOLDER).exists()
    assert not list(dataset.root.rglob("*.drawn*"))


@pytest.mark.parametrize("seconds", [-9, 9])
def test_a_drawing_is_kept_if_its_file_was_changed_too(
    dataset: Dataset, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`validate --fix` or `decide` changed it after `annotate` was killed, Labelme drew on."""
    path = dataset.labelme / "a.json"
    for label in ("disc", "disc", "box"):  # the second time, the same drawing
        with open_session(dataset, shown(dataset)) as session:
            save(session.folder / "2-fine/a.json", "a.jpg", label)
            drawn = (session.folder / "2-fine/a.json").stat().st_mtime
            restore = interrupt(dataset, session)
        draw_photo(dataset.root, "a", [square("disc", 5, 5, 10)])
        os.utime(path, (drawn + seconds, drawn + seconds))
        fixed = path.read_bytes()
        restore()
        assert recover_session(dataset) == set()
        assert path.read_bytes() == fixed
        assert "labelme/a.json: the last drawing is kept in" in capsys.readouterr().out
    kept = sorted(path.parent.glob("a.json.drawn*"))
    assert [read_annotation(one).shapes[0].label for one in kept] == ["disc", "box"]
    assert list(dataset.annotations()) == [path]  # no command reads the others


def test_half_a_drawing_is_kept(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        (session.folder / "1-new/sub/b.json").write_text('{"version": "6.3')
    assert session.changed == set()
    assert (dataset.labelme / "sub/b.json.drawn").read_text() == '{"version": "6.3'


def test_proposals_are_not_stored_after_an_interruption(dataset: Dataset) -> None:
    photo = dataset.images / "sub/b.jpg"
    item = (photo, dataset.labelme / "sub/b.json", "new")
    with open_session(dataset, [item], {photo: [proposed(square("box", 2, 3, 10))]}) as session:
        restore = interrupt(dataset, session)
    restore()
    assert recover_session(dataset) == set()
    assert not (dataset.labelme / "sub/b.json").exists()


def test_other_files_in_the_folder_are_kept(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        save(session.folder / "2-fine/copy.json", "a.jpg", "box")
    assert files(session.folder) == {"2-fine/copy.json"}


def test_an_unreadable_annotation_cannot_be_overwritten(dataset: Dataset) -> None:
    path = dataset.labelme / "a.json"
    path.write_text('{"half')
    with open_session(dataset, shown(dataset)) as session:
        copy = json.loads((session.folder / "2-error/a.json").read_text())
        assert "a.json: is not valid JSON" in copy["shapes"][0]["cannot be read"]  # without a label
    assert path.read_text() == '{"half'


def test_the_folder_keeps_annotations_that_cannot_be_stored(dataset: Dataset) -> None:
    refused = pytest.raises(InputError, match="cannot be written")
    with refused, open_session(dataset, shown(dataset)) as session:
        save(session.folder / "1-new/sub/b.json", "b.jpg", "box")
        (dataset.labelme / "sub").rmdir()
        (dataset.labelme / "sub").write_text("in the way")
    (dataset.labelme / "sub").unlink()
    assert recover_session(dataset) == {dataset.labelme / "sub/b.json"}


def test_a_set_is_open_in_one_labelme_at_a_time(dataset: Dataset) -> None:
    refused = pytest.raises(InputError, match="is open in Labelme")
    with lock_dataset(dataset), refused, lock_dataset(dataset):
        pass
    assert not (dataset.root / FOLDER).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "session.json: is not valid JSON"),
        ('{"items": [{"link": "../../x"}]}', "session.json: "),
    ],
)
def test_a_damaged_list_is_reported(dataset: Dataset, text: str, message: str) -> None:
    (dataset.root / FOLDER).mkdir()
    (dataset.root / FOLDER / "session.json").write_text(text)
    with pytest.raises(InputError, match=f"{message}.*look for annotations in that folder"):
        recover_session(dataset)


def test_labelme_gets_photos_and_masks_that_it_can_show(dataset: Dataset) -> None:
    values = np.linspace(0, 4095, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(values).save(dataset.images / "c.png")
    colours = io.BytesIO()
    Image.new("RGBA", (5, 4), (255, 255, 255, 255)).save(colours, "PNG")
    mask = base64.b64encode(colours.getvalue()).decode()
    shape = Shape("box", ((2.0, 3.0), (6.0, 6.0)), "mask", mask=mask)
    write_annotation(dataset.labelme / "c.json", Annotation("../images/c.png", 30, 40, (shape,)))
    item = (dataset.images / "c.png", dataset.labelme / "c.json", "fine")
    with open_session(dataset, [item]) as session:
        shown_photo = Image.open(session.folder / "1-fine/c.png")
        assert (shown_photo.mode, shown_photo.size) == ("RGB", (40, 30))
        assert np.asarray(shown_photo).max() == 255
        (copy,) = read_annotation(session.folder / "1-fine/c.json").shapes
        grey = Image.open(io.BytesIO(base64.b64decode(copy.mask or "")))
        assert (grey.mode, grey.size) == ("L", (5, 4))
    assert read_annotation(dataset.labelme / "c.json").shapes == (shape,)
    assert Image.open(dataset.images / "c.png").mode == "I;16"


def test_a_drawing_is_stored_after_the_command_that_writes_to_the_set(dataset: Dataset) -> None:
    with open_session(dataset, shown(dataset)) as session:
        save(session.folder / "1-new/sub/b.json", "b.jpg", "box")
        holder = hold(dataset.root, "validate --fix")
        session.store_changes()
        assert not (dataset.labelme / "sub/b.json").exists()
        holder.communicate("\n")
        session.store_changes()
        assert read_annotation(dataset.labelme / "sub/b.json").shapes[0].label == "box"


def test_proposals_of_two_sessions_have_different_groups(dataset: Dataset) -> None:
    """Accepted in one session and the next, they would otherwise become one instance."""
    photo, path = dataset.images / "a.jpg", dataset.labelme / "a.json"
    parts = [square("? box", x, 3, 4, group_id=100_001) for x in (20, 30)]
    for _ in range(2):
        with open_session(dataset, [(photo, path, "fine")], {photo: parts}) as session:
            copy = session.folder / "1-fine/a.json"
            shown = read_annotation(copy)
            accepted = tuple(replace(s, label=s.label.removeprefix("? ")) for s in shown.shapes)
            write_annotation(copy, replace(shown, shapes=accepted))
    groups = [shape.group_id for shape in read_annotation(path).shapes]
    assert groups == [None, *[100_001] * 2, *[100_002] * 2]
