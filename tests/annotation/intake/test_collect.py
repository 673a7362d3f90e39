from __future__ import annotations

import csv
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

import annotation.intake.collect
from annotation.dataset import open_dataset
from annotation.intake.collect import Collected, collect
from annotation.photos.files import MAX_BYTES
from base.errors import InputError
from conversion.building.split import split_photos
from tests.annotation.intake.test_cleaning import bomb, exif, opened, saved
from tests.annotation.photos.test_likeness import landscape


def photo(seed: int, *, quality: int = 90, orientation: int | None = None) -> bytes:
    """A JPEG of 320x240 pixels; other seeds look wholly different."""
    block = exif(orientation=orientation, gps=True) if orientation else b""
    rgb = np.ascontiguousarray(landscape(seed)[..., ::-1])
    return saved(Image.fromarray(rgb), quality=quality, exif=block)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, members: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def write_video(path: Path, frames: Sequence[np.ndarray], *, code: str, fps: float = 10) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def state(root: Path) -> dict[str, bytes]:
    """All files of a set, temporary ones, too."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "images").iterdir())


def groups(root: Path) -> dict[str, str]:
    with (root / "photos.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[0] == "image"
    return dict(rows)


def reasons(collected: Collected) -> dict[str, str]:
    return {one.origin.rpartition("/")[2]: one.reason for one in collected.refused}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, so that origins are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder(here: Path) -> None:
    files = {"b/IMG 1.JPG": photo(1), "a.jpg": photo(2), "b/notes.txt": b"x", "c.heic": b"x"}
    write_files(here / "holiday", {**files, ".thumbnails/a.jpg": photo(3), "._a.jpg": b"junk"})
    collected = collect([Path("holiday")], Path("set"))
    assert names(here / "set") == ["a.jpg", "b_IMG 1.jpg"]
    assert (here / "set/images/a.jpg").read_bytes() == photo(2)
    assert (here / "set/photos.csv").read_bytes() == (
        b"image,source\na.jpg,holiday/a.jpg\nb_IMG 1.jpg,holiday/b/IMG 1.JPG\n"
    )
    assert list(collected.lines()) == [
        "set: 2 photos added, 0 were here already, 0 exact duplicates skipped, 0 refused",
        "left alone, no photos: 1 .heic, 1 .txt",
        "set/photos.csv: where each came from; `group_by: photos.csv` uses it",
    ]


def test_photos_come_out_upright_small_and_without_place(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1, orientation=6)})
    collect([here / "in"], here / "set", long_side=100)
    stored = opened((here / "set/images/a.jpg").read_bytes())
    assert stored.size == (75, 100)
    assert not {ExifTags.Base.Orientation, ExifTags.IFD.GPSInfo} & stored.getexif().keys()


def test_the_suffix_follows_the_format_and_stems_are_unique(here: Path) -> None:
    pngs = [saved(Image.fromarray(landscape(seed)), "PNG") for seed in (5, 6)]
    files = {"A.jpeg": photo(1), "a.jpg": photo(2), "a.png": pngs[0], "really_a_png.jpg": pngs[1]}
    write_files(here / "in", files)
    collect([here / "in"], here / "set")
    assert names(here / "set") == ["A.jpeg", "a-2.jpg", "a-3.png", "really_a_png.png"]


def test_exact_duplicates_are_skipped_within_and_between_runs(here: Path) -> None:
    turned = photo(1, orientation=6)
    write_files(here / "in", {"a.jpg": turned, "copy.jpg": turned, "b.jpg": photo(2)})
    first = collect([Path("in")], Path("set"))
    assert [(one.origin, one.image) for one in first.duplicates] == [("in/copy.jpg", "a.jpg")]
    assert "duplicate: in/copy.jpg is a.jpg" in first.lines()
    before = state(here / "set")

    again = collect([Path("in")], Path("set"), long_side=50)
    assert not again.added
    assert sum(one.same_source for one in again.duplicates) == 2
    write_files(here / "other", {"x.jpg": turned, "y.jpg": before["images/a.jpg"]})
    other = collect([Path("other")], Path("set"))  # the original and what was made from it
    assert {one.image for one in other.duplicates} == {"a.jpg"}
    assert state(here / "set") == before


def test_photos_that_were_in_images_before_count(here: Path) -> None:
    write_files(here / "set/images", {"mine.jpg": photo(1), "broken.jpg": b"x"})
    write_files(here / "in", {"same.jpg": photo(1), "like.jpg": photo(1, quality=60)})
    collected = collect([Path("in")], Path("set"))
    assert [one.image for one in collected.duplicates] == ["mine.jpg"]
    assert groups(here / "set") == {"mine.jpg": "images/mine.jpg", "like.jpg": "images/mine.jpg"}


def test_near_duplicates_are_brought_in_listed_and_grouped(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2), "c.jpg": photo(1, quality=40)})
    collected = collect([Path("in")], Path("set"))
    assert [(one.image, one.earlier) for one in collected.alike] == [("c.jpg", "a.jpg")]
    assert any(line.startswith("looks alike: c.jpg and a.jpg (") for line in collected.lines())
    assert groups(here / "set") == {"a.jpg": "in/a.jpg", "b.jpg": "in/b.jpg", "c.jpg": "in/a.jpg"}


def test_rows_that_were_there_stay_and_the_header_too(here: Path) -> None:
    write_files(here / "set/images", {"old.jpg": photo(1)})
    (here / "set/photos.csv").write_text("image,building\nold.jpg,town hall\ngone.jpg,church\n")
    write_files(here / "in", {"like.jpg": photo(1, quality=50), "new.jpg": photo(2)})
    collect([Path("in")], Path("set"))
    assert (here / "set/photos.csv").read_text() == (
        "image,building\nold.jpg,town hall\ngone.jpg,church\n"
        "like.jpg,town hall\nnew.jpg,in/new.jpg\n"
    )


def test_the_split_keeps_groups_together(here: Path) -> None:
    for i in range(9):
        write_files(here / "in", {f"{i}a.jpg": photo(i), f"{i}b.jpg": photo(i, quality=50)})
    collect([here / "in"], here / "set")
    (here / "set/dataset.yaml").write_text(
        "name: a\nthings: [b]\nsplit: {train: 0.5, test: 0.5, group_by: photos.csv}\n"
    )
    dataset = open_dataset(here / "set")
    split = split_photos(dataset, {path.name: {1: 1} for path in dataset.photos()}, {}, {})
    assert {split[f"{i}a.jpg"] == split[f"{i}b.jpg"] for i in range(9)} == {True}
    assert set(split.values()) == {"train", "test"}


class TestZip:
    def test_names_in_a_zip_lead_nowhere(self, here: Path) -> None:
        evil = ["../../up.jpg", "/abs.jpg", "C:\\win\\drive.jpg", "..\\back.jpg", "a/b/deep.jpg"]
        members = [(name, photo(i)) for i, name in enumerate(evil)]
        junk = [("__MACOSX/a/._deep.jpg", b"junk"), ("a/readme.txt", b"x"), ("a/b/", b"")]
        write_zip(here / "p.zip", [*members, *junk])
        collected = collect([Path("p.zip")], Path("set"))
        assert names(here / "set") == [
            "a_b_deep.jpg", "abs.jpg", "back.jpg", "up.jpg", "win_drive.jpg",
        ]  # fmt: skip
        assert sorted(path.name for path in here.iterdir()) == ["p.zip", "set"]
        assert not collected.refused
        assert dict(collected.others) == {".txt": 1}
        assert groups(here / "set")["up.jpg"] == "p.zip/../../up.jpg"

    def test_links_encrypted_bombs_and_foreign_methods_are_refused(self, here: Path) -> None:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        bzip = zipfile.ZipInfo("bzip.jpg")
        bzip.compress_type = zipfile.ZIP_BZIP2
        members = [(link, b"/etc/passwd"), (bzip, photo(1)), ("bomb.png", bomb(99_999, 99_999))]
        path = write_zip(here / "p.zip", [*members, ("good.jpg", photo(2)), ("lock.jpg", b"0123")])
        data = path.read_bytes()
        entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"lock.jpg"))
        path.write_bytes(data[: entry + 8] + b"\1" + data[entry + 9 :])  # says it is encrypted
        collected = collect([path], here / "set")
        assert names(here / "set") == ["good.jpg"]
        assert reasons(collected) == {
            "bomb.png": "99999x99999 pixels; at most 178,956,970 can be opened",
            "bzip.jpg": "is compressed with another method than stored or deflated",
            "link.jpg": "is a symbolic link, no photo",
            "lock.jpg": "is encrypted",
        }

    @pytest.mark.parametrize(
        ("declared", "reason"),
        [(100, "is not what the zip file declares: Bad CRC"), (MAX_BYTES + 1, "537 MB unpacked")],
        ids=["less", "absurd"],
    )
    def test_a_wrong_size_is_refused(self, here: Path, declared: int, reason: str) -> None:
        path = write_zip(here / "p.zip", [("a.jpg", photo(1)), ("b.jpg", photo(2))])
        data = bytearray(path.read_bytes())
        entry = data.index(b"PK\x01\x02")  # of a.jpg in the directory
        struct.pack_into("<I", data, entry + 24, declared)
        path.write_bytes(data)
        collected = collect([path], here / "set")
        assert names(here / "set") == ["b.jpg"]
        assert reasons(collected)["a.jpg"].startswith(reason)

    def test_damaged_members_are_refused_and_damaged_zips_are_mistakes(self, here: Path) -> None:
        path = write_zip(here / "p.zip", [("a.jpg", photo(1)), ("b.jpg", photo(2))])
        data = bytearray(path.read_bytes())
        data[200:260] = bytes(60)
        path.write_bytes(data)
        assert list(reasons(collect([path], here / "set"))) == ["a.jpg"]
        path.write_bytes(data[:-30])
        with pytest.raises(InputError, match=r"p.zip: cannot be read as a zip file"):
            collect([path], here / "set")


class TestVideo:
    @pytest.mark.parametrize(("code", "suffix"), [("mp4v", ".mp4"), ("MJPG", ".avi")])
    def test_frames_at_an_interval(self, here: Path, code: str, suffix: str) -> None:
        frames = [landscape(number // 5) for number in range(25)]  # another scene each 0.5 s
        write_video(here / f"my clip{suffix}", frames, code=code)
        collected = collect([Path(f"my clip{suffix}")], Path("set"), every=1, long_side=160)
        assert names(here / "set") == [f"my clip_00000{second}000ms.jpg" for second in range(3)]
        assert set(groups(here / "set").values()) == {f"my clip{suffix}"}
        assert not collected.alike
        stored = cv2.imread(str(here / "set/images/my clip_000001000ms.jpg"))
        assert stored.shape == (120, 160, 3)
        expected = cv2.resize(landscape(2), (160, 120), interpolation=cv2.INTER_AREA)
        assert np.abs(stored.astype(int) - expected).mean() < 8

        finer = collect([Path(f"my clip{suffix}")], Path("set"), every=0.5, long_side=160)
        assert [origin.image for origin in finer.added] == [
            "my clip_000000500ms.jpg",
            "my clip_000001500ms.jpg",
        ]
        assert sum(one.same_source for one in finer.duplicates) == 3

    def test_a_video_follows_the_photo_that_its_frame_looks_like(self, here: Path) -> None:
        write_files(here / "in", {"still.jpg": photo(3)})
        video = [landscape(number) for number in range(1, 5)]
        write_video(here / "clip.avi", video, code="MJPG", fps=1)
        collected = collect([Path("in"), Path("clip.avi")], Path("set"))
        assert [(one.image, one.earlier) for one in collected.alike] == [
            ("clip_000002000ms.jpg", "still.jpg")
        ]
        assert set(groups(here / "set").values()) == {"in/still.jpg"}
        write_video(here / "clip.avi", [*video, landscape(9)], code="MJPG", fps=1)
        collect([Path("clip.avi")], Path("set"))
        assert groups(here / "set")["clip_000004000ms.jpg"] == "in/still.jpg"

    def test_a_copied_video_shares_its_group(self, here: Path) -> None:
        video = write_video(here / "clip.avi", [landscape(n) for n in range(4)], code="MJPG", fps=2)
        video.with_name("copy.avi").write_bytes(video.read_bytes())
        collect([Path("clip.avi")], Path("set"))
        collect([Path("copy.avi")], Path("set"), every=0.5)
        assert len(names(here / "set")) == 4
        assert set(groups(here / "set").values()) == {"clip.avi"}

    def test_a_camera_that_stands_still(self, here: Path) -> None:
        frames = [landscape(0)] * 3 + [cv2.convertScaleAbs(landscape(0), beta=20)] * 2
        write_video(here / "clip.avi", frames, code="MJPG", fps=1)
        collected = collect([Path("clip.avi")], Path("set"))
        assert names(here / "set") == ["clip_000000000ms.jpg", "clip_000003000ms.jpg"]
        assert "looks alike: 1 frames of clip.avi and an earlier one of it" in collected.lines()
        assert len(list(collected.lines())) == 3

    def test_what_is_no_video_is_refused(self, here: Path) -> None:
        write_files(here, {"broken.mp4": b"no video", "in/a.jpg": photo(1)})
        collected = collect([here / "broken.mp4", here / "in"], here / "set")
        assert reasons(collected) == {"broken.mp4": "no frame can be decoded"}
        assert names(here / "set") == ["a.jpg"]


def test_one_bad_photo_does_not_stop_the_others(here: Path) -> None:
    files = {"a.jpg": photo(1), "bad.jpg": b"<html>", "bomb.png": bomb(60_000, 60_000)}
    write_files(here / "in", {**files, "half.jpg": photo(2)[:-2000], "z.jpg": photo(3)})
    (here / "in/nowhere.jpg").symlink_to("missing.jpg")
    collected = collect([Path("in")], Path("set"))
    assert names(here / "set") == ["a.jpg", "z.jpg"]
    assert list(reasons(collected)) == ["bad.jpg", "bomb.png", "half.jpg"]
    bombs = "refused: in/bomb.png: 60000x60000 pixels; at most 178,956,970 can be opened"
    assert bombs in collected.lines()


def test_the_set_itself_is_no_source(here: Path) -> None:
    write_files(here, {"a.jpg": photo(1)})
    for _ in range(2):
        collect([here], here / "set")
    assert names(here / "set") == ["a.jpg"]
    with pytest.raises(InputError, match="lies in the data set"):
        collect([here / "set/images"], here / "set")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", r"missing: missing; expected a folder"),
        ("notes.txt", r"notes.txt: is no folder, zip file, photo or video \(.3gp .avi"),
        ("empty", r"empty: no photo in it .*; found nothing"),
        ("other", r"other: no photo in it .*; found 2 .heic"),
        ("none.zip", r"none.zip: no photo in it .*; found 1 .txt"),
        ("text.zip", r"text.zip: cannot be read as a zip file"),
    ],
)
def test_mistakes_are_named_before_anything_happens(here: Path, source: str, message: str) -> None:
    write_files(here, {"notes.txt": b"x", "text.zip": b"x", "good/a.jpg": photo(1)})
    write_files(here / "other", {"a.heic": b"x", "b.HEIC": b"x"})
    (here / "empty").mkdir()
    write_zip(here / "none.zip", [("a.txt", b"x")])
    with pytest.raises(InputError, match=message):
        collect([here / "good", here / source], here / "set")
    assert not (here / "set").exists()


def test_wrong_options_and_tables(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1)})
    with pytest.raises(InputError, match="long side: expected 1 pixel or more, got 0"):
        collect([here / "in"], here / "set", long_side=0)
    for every in (0.0, float("nan")):
        with pytest.raises(InputError, match="every: expected more than 0 seconds"):
            collect([here / "in"], here / "set", every=every)
    with pytest.raises(InputError, match="at least one source"):
        collect([], here / "set")
    with pytest.raises(InputError, match="is a file; expected the folder"):
        collect([here / "in"], here / "in/a.jpg")
    for table in ("photo,group\n", "image,group,more\n", "image,group\na.jpg\n", ""):
        write_files(here / "set", {"photos.csv": table.encode()})
        with pytest.raises(InputError, match=r"photos.csv: "):
            collect([here / "in"], here / "set")
        assert not (here / "set/images").exists()


@pytest.mark.parametrize("stop_at", range(8))
@pytest.mark.parametrize("before", [True, False], ids=["before-the-photo", "after-the-photo"])
def test_a_stopped_run_is_completed_by_the_next(
    here: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, before: bool
) -> None:
    files = {"a.jpg": photo(1, orientation=8), "b.jpg": photo(2), "c.jpg": photo(1, quality=30)}
    write_files(here / "in", {**files, "d.jpg": photo(2, quality=50), "e/a.jpg": photo(4)})
    write_video(here / "clip.avi", [landscape(n) for n in (7, 8, 2)], code="MJPG", fps=1)
    sources = [Path("in"), Path("clip.avi")]
    collect(sources, Path("whole"))

    written = 0
    real = annotation.intake.collect.write_bytes

    def stopping(path: Path, data: bytes) -> None:
        nonlocal written
        if not before:
            real(path, data)
        if written == stop_at:
            raise KeyboardInterrupt
        if before:
            real(path, data)
        written += 1

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(annotation.intake.collect, "write_bytes", stopping)
        collect(sources, Path("stopped"))
    assert not (here / "stopped/photos.csv").exists()
    collect(sources, Path("stopped"))
    assert state(here / "stopped") == state(here / "whole")
    assert len(names(here / "whole")) == 8


def test_half_a_line_of_the_record_is_forgotten(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2)})
    collect([Path("in")], Path("set"))
    whole = state(here / "set")
    record = here / "set/collected.jsonl"
    record.write_bytes(record.read_bytes()[:-20])  # a power cut: half a line, no photo
    (here / "set/images/b.jpg").unlink()
    (here / "set/photos.csv").unlink()
    collect([Path("in")], Path("set"))
    assert state(here / "set") == whole
    record.write_bytes(b"{}\n")
    with pytest.raises(InputError, match=r"collected.jsonl: line 1: is no record of a photo"):
        collect([Path("in")], Path("set"))


def test_a_photo_that_was_deleted_comes_back(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2)})
    collect([Path("in")], Path("set"))
    (here / "set/images/a.jpg").unlink()
    collected = collect([Path("in")], Path("set"))
    assert [origin.image for origin in collected.added] == ["a.jpg"]
    assert groups(here / "set") == {"a.jpg": "in/a.jpg", "b.jpg": "in/b.jpg"}
