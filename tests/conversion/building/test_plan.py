"""The plan takes little memory per photo, and reports what cannot be in the set."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

from conversion.building.build import convert
from conversion.building.plan import Plan, PlannedPhoto
from conversion.building.store import open_store
from tests.drawn import draw_dataset, square


def entry(number: int) -> PlannedPhoto:
    name = f"folder/photo{number:07}"
    drawn, seen = number.to_bytes(32, "big"), bytes(32)
    return PlannedPhoto(
        f"{name}.jpg", f"labelme/{name}.json", (480, 640), 7, True, True, drawn, seen
    )


def test_memory_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    count = 30_000
    with open_store(draw_dataset(tmp_path, {})) as store:
        plan = Plan(store)
        tracemalloc.start()
        for number in range(count):
            plan.add(entry(number))
        plan.number(3, lambda photo: photo.encode(), lambda task, _: task.photo.png_name.encode())
        plan.add_earlier_splits({})
        assert plan.find_todo(lambda _: False) == (count, count)
        firsts = sum(1 for task in plan.todo() if task.photo.id > 0 and task.key)
        plan.set_splits({})
        names = sum(1 for _ in plan.contents().photos())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert firsts == names == count
    assert peak < 100 * count  # a few numbers of 8 bytes while ids are assigned, but no names


def test_of_two_annotations_of_one_photo_the_second_is_left_out(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {name: [square("box", 2, 2, 5)] for name in "abc"})
    config = tmp_path / "dataset.yaml"
    config.write_text(config.read_text() + "severity: {annotation-duplicate: warning}\n")
    text = (dataset.labelme / "a.json").read_text()
    (dataset.labelme / "a2.json").write_text(text)
    built = convert(dataset)
    message = "annotates the same photo as labelme/a.json"
    assert built.left_out == (("labelme/a2.json", message),)
    assert sum(built.photos.values()) == 3
    assert not convert(dataset).fresh


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {name: [square("box", 2, 2, 5)] for name in "abc"})
    strange = os.fsdecode(b"F\xe9")  # as old Windows systems name files
    (dataset.images / "a.jpg").rename(dataset.images / f"{strange}.jpg")
    text = (dataset.labelme / "a.json").read_text().replace("a.jpg", "elsewhere.jpg")
    (dataset.labelme / "a.json").unlink()
    (dataset.labelme / f"{strange}.json").write_text(text)
    built = convert(dataset)
    assert sum(built.photos.values()) == 2
    ((name, why),) = built.left_out
    assert name == "labelme/F?.json"
    assert "not valid UTF-8" in why
