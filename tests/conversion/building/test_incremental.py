"""Stopping, repeating, growing: what is built again, and that the bytes are always the same."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import Shape
from base.errors import InputError
from conversion.building import place
from conversion.building.build import convert
from conversion.building.store import open_store
from conversion.coco.panoptic import read_panoptic
from tests.drawn import YAML, draw_dataset, draw_photo, square

FORK = multiprocessing.get_context("fork")


def shapes(number: int) -> list[Shape]:
    return [square("box", number % 30, 3, 6), square("disc", 20, number % 20, 8)]


def draw(root: Path, count: int, yaml: str = YAML) -> Dataset:
    return draw_dataset(root, {f"p{n:03}": shapes(n) for n in range(count)}, yaml=yaml)


def tree(dataset: Dataset) -> dict[str, bytes]:
    files = (path for path in dataset.panoptic.rglob("*") if path.is_file())
    return {path.relative_to(dataset.panoptic).as_posix(): path.read_bytes() for path in files}


def pngs(dataset: Dataset) -> dict[str, int]:
    """Time at which each PNG was written."""
    return {p.name: p.stat().st_mtime_ns for p in dataset.panoptic.glob("panoptic_*/*.png")}


def settle(dataset: Dataset) -> None:
    """Let all files look old: those written a moment ago are read again, whatever their stamp."""
    old = time.time() - 100
    for path in dataset.root.rglob("*"):
        if path.is_file() and dataset.panoptic not in path.parents:
            os.utime(path, (old, old))


def test_one_changed_annotation_is_one_new_png(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 8)
    convert(dataset)
    before = pngs(dataset)
    draw_photo(tmp_path, "p003", [*shapes(3), square("box", 1, 20, 5)])
    built = convert(dataset)
    assert built.fresh
    assert built.segments == 8 * 4 + 1
    after = pngs(dataset)
    assert {name for name in after if after[name] != before[name]} == {"p003.png"}
    fresh = draw(tmp_path / "fresh", 8)
    draw_photo(fresh.root, "p003", [*shapes(3), square("box", 1, 20, 5)])
    convert(fresh)
    assert tree(fresh) == tree(dataset)


def test_other_stuff_is_seen_and_a_new_date_alone_is_not(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    before = pngs(dataset)
    for folder in ("images", "labelme", "stuff"):
        for path in (tmp_path / folder).iterdir():
            path.touch()
    assert not convert(dataset).fresh
    labels = cv2.imread(str(tmp_path / "stuff/p001.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "stuff/p001.png"), np.flipud(labels))
    assert convert(dataset).fresh
    after = pngs(dataset)
    assert {name for name in after if after[name] != before[name]} == {"p001.png"}


def test_an_edit_of_the_same_size_within_the_clocks_tick_is_seen(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 2)
    convert(dataset)
    path = tmp_path / "labelme/p000.json"
    stamp = path.stat()
    path.write_text(path.read_text().replace('"box"', '"xob"').replace('"xob"', '"box"', 0))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert convert(dataset).left_out[0][0] == "labelme/p000.json"


def test_new_photos_move_no_old_one_and_change_no_id(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 10, YAML.replace("train: 0.5, test: 0.5", "train: 0.8, test: 0.2"))
    convert(dataset)
    old = {photo: set(photos) for photo, photos in photos_of(dataset).items()}
    before, kept = pngs(dataset), ids_of(dataset)
    for number in range(10, 40):
        draw_photo(tmp_path, f"a{number}", shapes(number))
    assert convert(dataset).photos == {"train": 32, "test": 8}
    assert all(old[split] <= photos for split, photos in photos_of(dataset).items())
    assert {name: pngs(dataset)[name] for name in before} == before
    assert kept.items() <= ids_of(dataset).items()


def photos_of(dataset: Dataset) -> dict[str, set[str]]:
    read = {s: read_panoptic(dataset.panoptic / f"annotations/panoptic_{s}.json") for s in SPLITS}
    return {split: {photo.file_name for photo in one.photos} for split, one in read.items()}


def ids_of(dataset: Dataset) -> dict[int, str]:
    """The photo of every image id and segment id; no id stands twice."""
    found: dict[int, str] = {}
    images = set()
    for split in SPLITS:
        for photo in read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json").photos:
            assert photo.id not in images
            images.add(photo.id)
            for segment in photo.segments:
                assert found.setdefault(segment.id, photo.file_name) == photo.file_name
    assert 0 not in found
    return found


SPLITS = ("train", "test")


def test_photos_that_go_leave_nothing_and_come_back_to_their_split(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 6)
    convert(dataset)
    whole = tree(dataset)
    for folder, end in (("images", "jpg"), ("labelme", "json")):
        (tmp_path / folder / f"p002.{end}").rename(tmp_path / f"away.{end}")
    convert(dataset)
    assert not [name for name in tree(dataset) if "p002" in name]
    (tmp_path / "away.jpg").rename(tmp_path / "images/p002.jpg")
    (tmp_path / "away.json").rename(tmp_path / "labelme/p002.json")
    convert(dataset)
    assert tree(dataset) == whole


@pytest.mark.parametrize(
    "harm",
    ["panoptic_train/*.png", "annotations/instances_test.json", "train/*.jpg", "annotations/*"],
)
def test_what_is_damaged_is_mended(tmp_path: Path, harm: str) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    whole = tree(dataset)
    for path in dataset.panoptic.glob(harm):
        path.unlink()
    (dataset.panoptic / "panoptic_test/strange.png").write_bytes(b"x")
    assert convert(dataset).fresh
    assert tree(dataset) == whole
    path = next(dataset.panoptic.glob("panoptic_train/*.png"))
    path.write_bytes(b"x" * len(whole[f"panoptic_train/{path.name}"]))
    assert convert(dataset).fresh
    assert tree(dataset) == whole


def test_another_split_moves_pngs_and_leaves_no_old_files(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 10)
    convert(dataset)
    before = pngs(dataset)
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.6, val: 0.4")
    (tmp_path / "dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path)
    assert convert(dataset).photos == {"train": 6, "val": 4}
    assert pngs(dataset) == before  # moved, not painted again
    assert {path.name for path in dataset.panoptic.iterdir()} == {
        *("annotations", "manifest.json", "panoptic_train", "panoptic_val", "split.json"),
        *("train", "val"),
    }
    assert len(list((dataset.panoptic / "annotations").iterdir())) == 4


@pytest.mark.parametrize("step", ["_move_pngs", "_remove_strange", "_link_photos", "_built"])
@pytest.mark.parametrize("after", [False, True])
def test_stopped_while_splits_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Old splits go, whichever step came last, and though the next run may know the new ones."""
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.6, val: 0.4")
    fresh = draw(tmp_path / "fresh", 6, yaml)
    convert(fresh)
    convert(draw(tmp_path / "set", 6))
    (tmp_path / "set/dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path / "set")
    real = getattr(place, step)

    def stop(*given: object) -> None:
        if after:
            real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(place, step, stop)
        convert(dataset)
    convert(dataset)
    assert tree(dataset) == tree(fresh)
    folders = [{p.name for p in one.panoptic.rglob("*")} for one in (dataset, fresh)]
    assert folders[0] == folders[1]


def test_a_photo_that_cannot_be_painted_stops_no_other(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    cv2.imwrite(str(tmp_path / "stuff/p001.png"), np.zeros((5, 5), np.uint8))
    built = convert(dataset)
    assert sum(built.photos.values()) == 3
    ((file, why),) = built.left_out
    assert file == "labelme/p001.json"
    assert "p001.png" in why
    assert "40x30" in why
    kept = (dataset.panoptic / "manifest.json").stat().st_mtime_ns
    again = convert(dataset)
    assert (again.fresh, again.left_out) == (False, built.left_out)
    assert (dataset.panoptic / "manifest.json").stat().st_mtime_ns == kept
    draw_photo(tmp_path, "p001", shapes(1))
    mended = convert(dataset)
    assert (sum(mended.photos.values()), mended.segments, mended.left_out) == (4, 16, ())


def test_what_fails_for_a_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer, memory that does not suffice: no photo is to blame."""
    dataset, fresh = draw(tmp_path / "set", 4), draw(tmp_path / "fresh", 4)
    convert(dataset)
    convert(fresh)
    for one in (dataset, fresh):
        cv2.imwrite(str(one.root / "stuff/p001.png"), np.full((30, 40), 149, np.uint8))
    convert(fresh)
    read_bytes = Path.read_bytes

    def failing(error: Exception) -> Callable[[Path], bytes]:
        def read(path: Path) -> bytes:
            if path.name == "p001.png":
                raise error
            return read_bytes(path)

        return read

    for error, said in [
        (OSError(errno.EIO, "Input/output error"), "p001.png: cannot be read: Input/output error"),
        (MemoryError(), "labelme/p001.json: memory does not suffice"),
    ]:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", failing(error))
            ((file, why),) = convert(dataset).left_out
        assert file == "labelme/p001.json"
        assert said in why
    whole = convert(dataset)
    assert (sum(whole.photos.values()), whole.left_out) == (4, ())
    assert tree(dataset) == tree(fresh)
    assert not convert(dataset).fresh


@pytest.mark.skipif(os.sep == "\\", reason="there a backslash parts folders")
@pytest.mark.parametrize(
    ("name", "said"),
    [("a\\b.jpg", "has a backslash in its name"), (f"{'n' * 249}.jpeg", "too long a name")],
)
def test_names_that_no_png_can_have(tmp_path: Path, name: str, said: str) -> None:
    dataset = draw(tmp_path, 2)
    photo = (dataset.images / "p000.jpg").read_bytes()
    (dataset.images / name).write_bytes(photo)
    text = (dataset.labelme / "p000.json").read_text()
    strange = json.dumps(f"../images/{name}")
    (dataset.labelme / "strange.json").write_text(text.replace('"../images/p000.jpg"', strange))
    if said.startswith("too long"):  # its PNG would have the same name as this one's
        (dataset.images / f"{'n' * 249}.jpg").write_bytes(photo)
        other = text.replace("p000.jpg", f"{'n' * 249}.jpg")
        (dataset.labelme / "other.json").write_text(other)
    built = convert(dataset)
    assert sum(built.photos.values()) == 2
    assert all(said in why for _, why in built.left_out)
    assert "labelme/strange.json" in dict(built.left_out)
    assert not convert(dataset).fresh


def test_a_set_that_lies_behind_a_link(tmp_path: Path) -> None:
    """`..` in a link leads up from where it really lies."""
    dataset = draw(tmp_path / "set", 4)
    elsewhere = tmp_path / "large/disk/here"
    elsewhere.mkdir(parents=True)
    dataset.panoptic.symlink_to(elsewhere)
    convert(dataset)
    photos = [*elsewhere.glob("train/*.jpg"), *elsewhere.glob("test/*.jpg")]
    assert len(photos) == 4
    assert all(path.is_file() for path in photos)
    (tmp_path / "other").symlink_to(tmp_path / "set")
    assert not convert(open_dataset(tmp_path / "other")).fresh


def tree_of_fresh(root: Path, count: int) -> dict[str, bytes]:
    dataset = draw(root, count)
    convert(dataset)
    return tree(dataset)


def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw(tmp_path / "one", 70)
    with monkeypatch.context() as patch:
        patch.setattr("base.workers._cores", lambda: 1)
        convert(dataset)
    monkeypatch.setattr("base.workers._cores", lambda: 3)
    assert tree_of_fresh(tmp_path / "three", 70) == tree(dataset)


def test_killed_at_fifty_moments(tmp_path: Path) -> None:
    """Each time a new set, killed, looked at, and brought to its end."""
    dataset = draw(tmp_path, 24)
    settle(dataset)
    convert(dataset)
    whole = tree(dataset)
    chance = random.Random(0)
    unfinished = 0
    for _ in range(50):
        shutil.rmtree(dataset.panoptic)
        if chance.random() < 0.7:  # else the photos are painted already, and only moved
            shutil.rmtree(tmp_path / ".cache")
        moment = chance.randint(0, len(whole))  # this many files are there
        program = run(dataset)
        while program.is_alive() and sum(len(f) for _, _, f in os.walk(dataset.panoptic)) < moment:
            pass
        time.sleep(chance.uniform(0, 0.005))
        program.kill()
        program.join()
        unfinished += not (dataset.panoptic / "manifest.json").exists()
        for path in dataset.panoptic.rglob("*"):
            name = path.relative_to(dataset.panoptic).as_posix()
            if path.is_file() and not path.name.startswith("."):
                known = whole.get(name.replace(".new/", "panoptic_train/"))
                known = known or whole.get(name.replace(".new/", "panoptic_test/"))
                assert path.read_bytes() == known, name  # whole, whatever is there
        convert(dataset)
        assert tree(dataset) == whole
    assert unfinished >= 10


def run(dataset: Dataset) -> multiprocessing.process.BaseProcess:
    program = FORK.Process(target=convert, args=(dataset,))
    program.start()
    return program


def test_killed_while_changes_are_built(tmp_path: Path) -> None:
    """A set that was whole before: kills on the way to the next state."""
    dataset = draw(tmp_path, 12)
    convert(dataset)
    chance = random.Random(1)
    for turn in range(8):
        for number in range(12):
            draw_photo(tmp_path, f"p{number:03}", shapes(number + turn))
        draw_photo(tmp_path, f"q{turn}", shapes(turn))
        program = run(dataset)
        time.sleep(chance.uniform(0, 0.25))
        program.kill()
        program.join()
    convert(dataset)
    remembered = json.loads((dataset.panoptic / "split.json").read_text())
    fresh = draw(tmp_path / "fresh", 0)
    for number in range(12):
        draw_photo(fresh.root, f"p{number:03}", shapes(number + 7))
    for turn in range(8):
        draw_photo(fresh.root, f"q{turn}", shapes(turn))
    fresh.panoptic.mkdir()
    (fresh.panoptic / "split.json").write_text(json.dumps(remembered))
    convert(fresh)
    assert tree(fresh) == tree(dataset)


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 150)
    program = run(dataset)
    children: list[int] = []
    while not children and program.is_alive():
        time.sleep(0.05)
        children = [pid for pid in children_of(program.pid or 0) if is_python(pid)]
    os.kill(program.pid or 0, signal.SIGKILL)
    program.join()
    assert children
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in children):
            break
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    convert(dataset)
    assert tree(dataset) == tree_of_fresh(tmp_path / "fresh", 150)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_python(pid: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_two_at_once_and_a_broken_store(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 2)
    with (
        open_store(dataset),
        pytest.raises(InputError, match="another `convert` is working"),
    ):
        convert(dataset)
    convert(dataset)
    whole = tree(dataset)
    (tmp_path / ".cache/convert.sqlite").write_bytes(b"no database" * 1000)
    convert(dataset)
    assert tree(dataset) == whole
    with sqlite3.connect(tmp_path / ".cache/convert.sqlite") as database:
        assert database.execute("SELECT count(*) FROM painted").fetchone() == (2,)


def test_the_manifest_says_what_was_built_from_what(tmp_path: Path) -> None:
    yaml = YAML + "least_visible: 0.5\nslivers: {area: 30}\n"
    drawn = {"a": [square("box", 2, 2, 5), square("disc", 3, 2, 6)], "b": shapes(1)}
    dataset = draw_dataset(tmp_path, drawn, yaml=yaml)
    built = convert(dataset)
    manifest = json.loads((dataset.panoptic / "manifest.json").read_text())
    assert manifest["result"]["photos"] == {"train": 1, "test": 1}
    assert manifest["result"]["changes"] == built.changes == {"dropped": 1, "dropped_pixels": 5}
    assert manifest["photos"]["a.jpg"]["changes"] == {"dropped": [0], "dropped_pixels": 5}
    assert manifest["photos"]["b.jpg"]["changes"] == {}
    assert {len(manifest["photos"]["a.jpg"][k]) for k in ("annotation", "photo", "stuff")} == {64}
    assert set(manifest["files"]) == {f"annotations/{k}_{s}.json" for k in KINDS for s in SPLITS}


KINDS = ("panoptic", "instances")


def test_links_in_the_place_of_folders_are_refused_before_anything_is_removed(
    tmp_path: Path,
) -> None:
    dataset = draw(tmp_path, 4)
    photos = {path.name: path.read_bytes() for path in dataset.images.iterdir()}
    for name, target in (("train", "../images"), ("panoptic_train", "../images")):
        dataset.panoptic.mkdir(exist_ok=True)
        (dataset.panoptic / name).symlink_to(target)
        with pytest.raises(InputError, match=f"panoptic/{name}: is a link"):
            convert(dataset)
        (dataset.panoptic / name).unlink()
    assert {path.name: path.read_bytes() for path in dataset.images.iterdir()} == photos


def test_what_others_put_beside_is_left_alone(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    for name in ("panoptic_mine/a.png", "mine/keep.txt", "panoptic_notes.txt"):
        (dataset.panoptic / name).parent.mkdir(exist_ok=True)
        (dataset.panoptic / name).write_text("mine")
    draw_photo(tmp_path, "new", shapes(1))
    convert(dataset)
    assert (dataset.panoptic / "mine/keep.txt").read_text() == "mine"
    assert (dataset.panoptic / "panoptic_mine/a.png").read_text() == "mine"


def test_a_new_rule_is_remembered_even_where_it_changes_nothing(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 6)
    convert(dataset)
    dealt = {photo: split for split, photos in photos_of(dataset).items() for photo in photos}
    yaml = YAML.replace("seed: 0", "seed: 0, group_pattern: '^(x)'")
    (tmp_path / "dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path)
    convert(dataset)
    for number in range(3):
        draw_photo(tmp_path, f"new{number}", shapes(number))
    convert(dataset)
    after = {photo: split for split, photos in photos_of(dataset).items() for photo in photos}
    again = {photo: split for photo, split in after.items() if photo in dealt}
    first = json.loads((dataset.panoptic / "split.json").read_text())["rule"]
    assert first["group_pattern"] == "^(x)"
    assert again == dealt


@pytest.mark.parametrize(
    ("old", "new", "built"),
    [
        ("train: 0.5, test: 0.5", "train: 0.5, test: 0.5, val: 0", "panoptic_val.json"),
        ("name: drawn", "name: other", "panoptic_test.json"),
    ],
)
def test_names_and_empty_splits_are_seen(tmp_path: Path, old: str, new: str, built: str) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    before = pngs(dataset)
    (tmp_path / "dataset.yaml").write_text(YAML.replace(old, new))
    dataset = open_dataset(tmp_path)
    assert convert(dataset).fresh
    assert pngs(dataset) == before
    text = json.loads((dataset.panoptic / "annotations" / built).read_text())
    assert text["info"]["description"] == dataset.config.name


def test_a_group_that_comes_to_straddle_moves_together(tmp_path: Path) -> None:
    yaml = YAML.replace("seed: 0", "seed: 0, group_by: photos.csv")
    (tmp_path / "photos.csv").write_text("image,group\n")
    dataset = draw(tmp_path, 6, yaml)
    convert(dataset)
    before = photos_of(dataset)
    pair = (sorted(before["train"])[0], sorted(before["test"])[0])
    (tmp_path / "photos.csv").write_text("image,group\n" + "".join(f"{p},x\n" for p in pair))
    assert convert(dataset).fresh
    assert any(set(pair) <= photos for photos in photos_of(dataset).values())
    (tmp_path / "photos.csv").write_text("image\n")
    with pytest.raises(InputError, match=r"photos\.csv: expected the columns"):
        convert(dataset)
    assert (dataset.panoptic / "manifest.json").is_file()  # nothing was begun


def test_broken_stuff_keeps_out_its_photo_only(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    png = (tmp_path / "stuff/p001.png").read_bytes()
    (tmp_path / "stuff/p001.png").write_bytes(png[:8] + b"\0\0\0\x0c" + png[12:])
    assert [file for file, _ in convert(dataset).left_out] == ["labelme/p001.json"]
    shutil.rmtree(tmp_path / "stuff")
    with pytest.raises(InputError, match="stuff: missing"):
        convert(dataset)


def test_names_that_clash_as_pngs(tmp_path: Path) -> None:
    """a.jpg and a.png would both have a.png, and a.jpg.jpg the name that a.jpg has then."""
    dataset = draw_dataset(tmp_path, {"a": shapes(1), "a.jpg": shapes(2)})
    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((30, 40, 3), np.uint8))
    text = (tmp_path / "labelme/a.json").read_text().replace("a.jpg", "a.png")
    (tmp_path / "labelme/other.json").write_text(text)
    assert sum(convert(dataset).photos.values()) == 3
    assert len(pngs(dataset)) == 3


def test_pixels_that_a_source_calls_things_or_other_stuff_are_counted(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 2)
    labels = np.full((30, 40), 187, np.uint8)
    labels[:5], labels[5:6], labels[6:7] = 1, 193, 0  # a person, grass; unlabelled is no change
    cv2.imwrite(str(tmp_path / "stuff/p000.png"), labels)
    assert convert(dataset).changes == {"stuff_pixels_refused": 6 * 40}
