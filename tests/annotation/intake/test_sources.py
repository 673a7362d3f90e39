from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.intake.collect import collect
from annotation.photos.files import MAX_BYTES
from base.errors import InputError
from tests.annotation.intake.collected import (
    groups,
    names,
    photo,
    reasons,
    write_files,
    write_video,
    write_zip,
)
from tests.annotation.intake.test_cleaning import bomb
from tests.annotation.photos.test_likeness import landscape


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", r"missing: expected a folder, zip file, photo or video, found nothing"),
        ("notes.txt", r"notes.txt: expected a folder, zip file, photo or video \(.3gp .avi"),
        ("empty", r"empty: expected photos \(.*, found no files"),
        ("other", r"other: expected photos \(.*, found 2 .heic"),
        ("none.zip", r"none.zip: expected photos \(.*, found 1 .txt"),
        ("text.zip", r"text.zip: cannot be read as a zip file"),
    ],
)
def test_errors_are_reported_before_anything_is_changed(
    here: Path, source: str, message: str
) -> None:
    write_files(here, {"notes.txt": b"x", "text.zip": b"x", "good/a.jpg": photo(1)})
    write_files(here / "other", {"a.heic": b"x", "b.HEIC": b"x"})
    (here / "empty").mkdir()
    write_zip(here / "none.zip", [("a.txt", b"x")])
    with pytest.raises(InputError, match=message):
        collect([here / "good", here / source], here / "set")
    assert not (here / "set").exists()


def test_the_set_itself_is_not_a_source(here: Path) -> None:
    write_files(here, {"a.jpg": photo(1)})
    for _ in range(2):
        collect([here], here / "set")
    assert names(here / "set") == ["a.jpg"]
    with pytest.raises(InputError, match="is inside the data set"):
        collect([here / "set/images"], here / "set")


class TestZip:
    def test_names_in_a_zip_file_are_never_paths(self, here: Path) -> None:
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
        assert dict(collected.other_files) == {".txt": 1}
        assert groups(here / "set")["up.jpg"] == "p.zip/../../up.jpg"

    def test_links_encrypted_files_bombs_and_other_methods_are_refused(self, here: Path) -> None:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        bzip = zipfile.ZipInfo("bzip.jpg")
        bzip.compress_type = zipfile.ZIP_BZIP2
        members = [(link, b"/etc/passwd"), (bzip, photo(1)), ("bomb.png", bomb(99_999, 99_999))]
        path = write_zip(here / "p.zip", [*members, ("good.jpg", photo(2)), ("lock.jpg", b"0123")])
        data = path.read_bytes()
        entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"lock.jpg"))
        path.write_bytes(data[: entry + 8] + b"\1" + data[entry + 9 :])  # marks it as encrypted
        collected = collect([path], here / "set")
        assert names(here / "set") == ["good.jpg"]
        assert reasons(collected) == {
            "bomb.png": "expected at most 178,956,970 pixels, found 99999x99999",
            "bzip.jpg": "is compressed by a method other than stored or deflated",
            "link.jpg": "is a symbolic link, not a photo",
            "lock.jpg": "is encrypted",
        }

    @pytest.mark.parametrize(
        ("declared", "reason"),
        [(100, "is damaged: Bad CRC"), (MAX_BYTES + 1, "537 MB unpacked")],
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

    def test_damaged_members_are_refused_and_damaged_zip_files_are_errors(self, here: Path) -> None:
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
        frames = [landscape(number // 5) for number in range(25)]  # a new scene every 0.5 s
        write_video(here / f"my clip{suffix}", frames, code=code)
        collected = collect([Path(f"my clip{suffix}")], Path("set"), every=1, long_side=160)
        assert names(here / "set") == [f"my clip_00000{second}000ms.jpg" for second in range(3)]
        assert set(groups(here / "set").values()) == {f"my clip{suffix}"}
        assert not collected.near_duplicates
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

    def test_a_video_joins_the_group_of_a_photo_like_its_frame(self, here: Path) -> None:
        write_files(here / "in", {"still.jpg": photo(3)})
        video = [landscape(number) for number in range(1, 5)]
        write_video(here / "clip.avi", video, code="MJPG", fps=1)
        collected = collect([Path("in"), Path("clip.avi")], Path("set"))
        assert [(one.image, one.earlier) for one in collected.near_duplicates] == [
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

    def test_a_static_camera(self, here: Path) -> None:
        frames = [landscape(0)] * 3 + [cv2.convertScaleAbs(landscape(0), beta=20)] * 2
        write_video(here / "clip.avi", frames, code="MJPG", fps=1)
        collected = collect([Path("clip.avi")], Path("set"))
        assert names(here / "set") == ["clip_000000000ms.jpg", "clip_000003000ms.jpg"]
        assert "similar to earlier frames: 1 of clip.avi" in collected.lines()
        assert len(list(collected.lines())) == 3

    def test_files_that_are_not_videos_are_refused(self, here: Path) -> None:
        write_files(here, {"broken.mp4": b"no video", "in/a.jpg": photo(1)})
        collected = collect([here / "broken.mp4", here / "in"], here / "set")
        assert reasons(collected) == {"broken.mp4": "no frame can be decoded"}
        assert names(here / "set") == ["a.jpg"]
