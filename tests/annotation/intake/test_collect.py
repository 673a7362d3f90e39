from __future__ import annotations

from pathlib import Path

import pytest
from PIL import ExifTags, Image

from annotation.intake.collect import collect
from base.errors import InputError
from tests.annotation.intake.collected import (
    names,
    photo,
    reasons,
    write_files,
)
from tests.annotation.intake.test_cleaning import bomb, opened, saved
from tests.annotation.photos.test_likeness import landscape


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
        "set: 2 photos added, 0 already present, 0 exact duplicates skipped, 0 refused",
        "skipped files that are not photos: 1 .heic, 1 .txt",
        "set/photos.csv: the source of each photo; used by `group_by: photos.csv`",
    ]


def test_photos_are_rotated_limited_and_stripped_of_their_location(here: Path) -> None:
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


def test_one_bad_photo_does_not_stop_the_others(here: Path) -> None:
    files = {"a.jpg": photo(1), "bad.jpg": b"<html>", "bomb.png": bomb(60_000, 60_000)}
    write_files(here / "in", {**files, "half.jpg": photo(2)[:-2000], "z.jpg": photo(3)})
    (here / "in/nowhere.jpg").symlink_to("missing.jpg")
    collected = collect([Path("in")], Path("set"))
    assert names(here / "set") == ["a.jpg", "z.jpg"]
    assert list(reasons(collected)) == ["bad.jpg", "bomb.png", "half.jpg"]
    bombs = "refused: in/bomb.png: expected at most 178,956,970 pixels, found 60000x60000"
    assert bombs in collected.lines()


def test_wrong_options_and_tables_are_reported(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1)})
    with pytest.raises(InputError, match="--long-side: expected 1 pixel or more, found 0"):
        collect([here / "in"], here / "set", long_side=0)
    for every in (0.0, float("nan")):
        with pytest.raises(InputError, match="--every: expected more than 0 seconds"):
            collect([here / "in"], here / "set", every=every)
    with pytest.raises(InputError, match="at least one source"):
        collect([], here / "set")
    with pytest.raises(InputError, match="expected the folder of a data set, found a file"):
        collect([here / "in"], here / "in/a.jpg")
    for table in ("photo,group\n", "image,group,more\n", "image,group\na.jpg\n", ""):
        write_files(here / "set", {"photos.csv": table.encode()})
        with pytest.raises(InputError, match=r"photos.csv: "):
            collect([here / "in"], here / "set")
        assert not (here / "set/images").exists()
