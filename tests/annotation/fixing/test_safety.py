"""A fix is judged by the painted picture before and after, and by the findings it causes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotation.fixing.file_fixes import FileToFix
from annotation.fixing.safety import Safety
from annotation.fixing.shape_fixes import NotFixedError
from annotation.labelme.annotation import Shape, read_annotation
from annotation.labelme.photo_index import PhotoIndex
from annotation.rules.validate import check_dataset
from conversion.painting.owners import paint_owners
from tests.annotation.fixing.fixed import drawn, fix, shapes_of
from tests.annotation.rules.reported import CONFIG
from tests.drawn import square

LARGE = ((0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (0.0, 20.0))
# the way to a square of 2 x 2 pixels, around it in the direction of the outline, and back
LOOP = ((0.0, 10.0), (10.0, 10.0), (12.0, 10.0), (12.0, 12.0), (10.0, 12.0), (10.0, 10.0))
SMALL, AROUND = square("box", 10, 10, 2), Shape("disc", (*LARGE, *LOOP, (0.0, 10.0)))


def test_owners_are_numbered_with_stuff_first() -> None:
    config = replace(CONFIG, stuff_labels=("road",), painting="smaller-on-top")
    shapes = [square("disc", 2, 2, 2), square("box", 0, 0, 4), square("road", 0, 0, 6)]
    expected = np.zeros((8, 8), int)
    expected[:6, :6], expected[:4, :4], expected[2:4, 2:4] = 1, 3, 2
    assert paint_owners(shapes, config, (8, 8)).tolist() == expected.tolist()


def test_a_fix_that_would_cover_a_visible_thing_is_not_made(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, SMALL, AROUND)
    (fixed,) = (one for one in fix(dataset) if one.rule == "self-crossing")
    assert not fixed.done
    assert "would change a 'box' from 4 visible pixels to 0" in fixed.what
    assert shapes_of(dataset)[1:] == (SMALL, AROUND)


def test_the_same_fix_is_made_where_nothing_lies_below(tmp_path: Path) -> None:
    (fixed,) = fix(drawn(tmp_path, AROUND))
    assert (fixed.rule, fixed.done) == ("self-crossing", True)


@pytest.fixture
def safety(tmp_path: Path) -> Safety:
    dataset = drawn(tmp_path, SMALL)
    (checked,) = check_dataset(dataset).annotations
    index = PhotoIndex(dataset, dataset.photos())
    file = FileToFix(dataset, index, checked, frozenset(), {}, {}, frozenset())
    return Safety(file, read_annotation(checked.path), paint_owners)


def test_a_fix_that_would_cause_a_finding_is_not_made(safety: Safety) -> None:
    before = square("box", 2, 2, 25)
    first, second, *rest = before.points
    needle = ((27.0, 14.0), (38.0, 14.05), (27.0, 14.1))
    spike = replace(before, points=(first, second, *needle, *rest))
    safety.check((before,), (replace(before, points=before.points[::-1]),))
    with pytest.raises(NotFixedError, match=r"would cause a finding \[spike\]"):
        safety.check((before,), (spike,))


def test_a_fix_that_would_join_things_is_not_made(safety: Safety) -> None:
    one, two = square("box", 2, 2, 5, group_id=1), square("box", 12, 2, 5)
    with pytest.raises(NotFixedError, match="which shapes belong together"):
        safety.check((one, two), (one, replace(two, group_id=1)))
