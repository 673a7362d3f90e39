from __future__ import annotations

from itertools import combinations

import pytest

from base.errors import InputError
from conversion.coco.categories import (
    Category,
    coco_categories,
    coco_stuff_merges,
    dataset_categories,
)

COCO_STUFF = [c for c in coco_categories() if not c.isthing]


def categories(things: int, own: int = 0, groups: int = 0) -> tuple[Category, ...]:
    return dataset_categories(
        [f"thing{i}" for i in range(things)],
        ["road"],
        own_stuff=[f"own{i}" for i in range(own)],
        groups={f"group{i}": [] for i in range(groups)},
        where="x",
    )


def test_every_coco_stuff_category_is_kept_merged_or_left_out() -> None:
    merges = coco_stuff_merges()
    assert sorted(merges) == list(range(92, 184))
    assert {panoptic for _, panoptic in merges.values()} - {""} == {c.name for c in COCO_STUFF}
    for category in COCO_STUFF:
        if category.id < 183:  # not merged: the same category in both tasks
            assert merges[category.id] == (category.name, category.name)
    assert merges[169] == ("tree", "tree-merged")
    assert merges[116] == ("floor-stone", "pavement-merged")
    assert merges[183] == ("other", "")


def test_colours_of_200_labels_differ_from_each_other_and_from_stuff() -> None:
    found = categories(200, 20, 20)
    colors = [c.color for c in found if c.name != "road"] + [c.color for c in COCO_STUFF]
    assert len(colors) == len(set(colors)) == 240 + 53
    first = [c.color for c in categories(40)] + [c.color for c in COCO_STUFF if c.name != "road"]
    steps = [sum(abs(x - y) for x, y in zip(a, b, strict=True)) for a, b in combinations(first, 2)]
    assert min(steps) >= 5  # the closest are two of COCO's own


def test_more_labels_change_no_earlier_category() -> None:
    small, large = categories(3, 2, 1), categories(5, 4, 3)
    assert set(small) < set(large)
    assert len({c.id for c in large}) == len(large) == 13


def test_a_group_named_like_coco_stuff_has_its_id() -> None:
    found = dataset_categories(
        ["a"], [], groups={"floor": ["floor-wood"], "rug-merged": ["blanket"]}, where="x"
    )
    assert [(c.id, c.name, c.isthing) for c in found] == [
        (200, "rug-merged", False),
        (201, "a", True),
        (2001, "floor", False),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"groups": {"floor": ["florwood"]}},
            "x: floor: expected a COCO stuff category, found 'florwood'; did you m",
        ),
        ({"own_stuff": ["sand"]}, "x: own_stuff: expected a name that COCO lacks, found 'sand'"),
    ],
)
def test_wrong_names(more: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset_categories(["a"], [], **more, where="x")


def test_coco_categories_are_the_published_ones() -> None:
    categories = coco_categories()
    assert sum(c.isthing for c in categories) == 80
    assert sum(not c.isthing for c in categories) == 53
    assert [c.id for c in categories] == sorted({c.id for c in categories})
    by_name = {c.name: c for c in categories}
    assert by_name["person"].id == 1
    assert by_name["toothbrush"].id == 90
    assert by_name["banner"].id == 92
    assert by_name["sky-other-merged"].color == (70, 130, 180)
    assert by_name["rug-merged"].id == 200


def test_own_things_have_ids_and_colours_of_their_own() -> None:
    categories = dataset_categories([str(i) for i in range(40)], [], where="")
    assert not {c.id for c in categories} & {c.id for c in coco_categories()}
    assert len({c.color for c in categories}) == 40
