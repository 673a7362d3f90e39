from __future__ import annotations

from pathlib import Path

from annotation.dataset import open_dataset
from annotation.intake.collect import collect
from conversion.building.groups import group_photos
from conversion.building.split import split_photos
from tests.annotation.intake.collected import (
    groups,
    photo,
    state,
    write_files,
)


def test_exact_duplicates_are_skipped_within_and_between_runs(here: Path) -> None:
    turned = photo(1, orientation=6)
    write_files(here / "in", {"a.jpg": turned, "copy.jpg": turned, "b.jpg": photo(2)})
    first = collect([Path("in")], Path("set"))
    assert [(one.origin, one.image) for one in first.duplicates] == [("in/copy.jpg", "a.jpg")]
    assert "duplicate: in/copy.jpg is the same as a.jpg" in first.lines()
    before = state(here / "set")

    again = collect([Path("in")], Path("set"), long_side=50)
    assert not again.added
    assert sum(one.same_source for one in again.duplicates) == 2
    write_files(here / "other", {"x.jpg": turned, "y.jpg": before["images/a.jpg"]})
    other = collect([Path("other")], Path("set"))  # the original and what was made from it
    assert {one.image for one in other.duplicates} == {"a.jpg"}
    assert state(here / "set") == before


def test_photos_that_were_copied_by_hand_are_recognised(here: Path) -> None:
    write_files(here / "set/images", {"mine.jpg": photo(1), "broken.jpg": b"x"})
    write_files(here / "in", {"same.jpg": photo(1), "like.jpg": photo(1, quality=60)})
    collected = collect([Path("in")], Path("set"))
    assert [one.image for one in collected.duplicates] == ["mine.jpg"]
    assert groups(here / "set") == {"mine.jpg": "images/mine.jpg", "like.jpg": "images/mine.jpg"}


def test_near_duplicates_are_added_listed_and_grouped(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2), "c.jpg": photo(1, quality=40)})
    collected = collect([Path("in")], Path("set"))
    assert [(one.image, one.earlier) for one in collected.near_duplicates] == [("c.jpg", "a.jpg")]
    assert any(line.startswith("similar: c.jpg and a.jpg (") for line in collected.lines())
    assert groups(here / "set") == {"a.jpg": "in/a.jpg", "b.jpg": "in/b.jpg", "c.jpg": "in/a.jpg"}


def test_existing_rows_and_the_header_are_kept(here: Path) -> None:
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
    counts = {path.name: {1: 1} for path in dataset.photos()}
    split = split_photos(dataset, counts, group_photos(dataset, sorted(counts), {}, {}), {})
    assert {split[f"{i}a.jpg"] == split[f"{i}b.jpg"] for i in range(9)} == {True}
    assert set(split.values()) == {"train", "test"}
