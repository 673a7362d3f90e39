"""`convert` looks for errors only; a rule that it could skip is not skipped if it is an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotation.findings import RULES
from annotation.labelme.annotation import Shape
from annotation.labelme.masks import encode_mask_png
from annotation.rules.pairs import pair_complaints
from annotation.rules.shapes import shape_complaints
from tests.annotation.rules.reported import CONFIG, box, polygon, resolved
from tests.annotation.rules.test_shapes import BOW_TIE, NAN, SPIKE

HOLE = "__hole__"
WIDE = (30, 400)
PHOTOS: list[list[Shape]] = [  # together, they break every rule about one or several shapes
    [
        Shape("box", ((1.0, 1.0),), "star"),
        polygon((1, 1), (5, 5)),
        polygon((1, NAN), (5, 1), (5, 5)),
    ],
    [BOW_TIE, polygon((2, 2), (6, 6), (10, 10)), Shape("box", ((1.0, 1.0),), "point")],
    [Shape("box", ((9.0, 9.0), (12.0, 12.0)), "mask", mask=encode_mask_png(np.ones(WIDE, bool)))],
    [replace(SPIKE, points=(*SPIKE.points[:4], *SPIKE.points[3:]))],
    [box(2, 2, 4, 4), box(390, 2, 410, 9), box(500, 2, 510, 9), box(0, 0, 400, 30)],
    [box(0, 0, 10, 10), box(0, 0, 10, 10), box(0, 0, 10, 9.5)],
    [box(20, 20, 25, 25), box(15, 15, 30, 30, "disc"), box(100, 0, 120, 20), box(106, 0, 126, 20)],
    [box(0, 0, 10, 10, group_id=1), box(60, 0, 70, 10, group_id=1)],
    [box(0, 0, 8, 8, "box", 3), box(10, 0, 18, 8, "disc", 3), box(20, 0, 28, 8, "box", 3)],
    [box(5, 5, 25, 25, group_id=1), box(20, 10, 30, 20, HOLE, 1), box(10, 10, 20, 20, HOLE)],
]
_NAMES = list(RULES)
SHAPE_RULES = _NAMES[_NAMES.index("shape-unreadable") : _NAMES.index("label-unknown")]


def errors(shapes: list[Shape], rule: str, *, errors_only: bool) -> list[tuple[str, int | None]]:
    """What is reported by a rule, the only one with the severity error."""
    severity = {name: "error" if name == rule else "ignore" for name in RULES}
    config = replace(CONFIG, severity=severity)  # type: ignore[arg-type]
    one = resolved(shapes, size=WIDE, config=config)
    found = [
        *shape_complaints(one, errors_only=errors_only),
        *pair_complaints(one, errors_only=errors_only),
    ]
    return [(c.rule, c.shape) for c in found if c.rule == rule]


@pytest.mark.parametrize("rule", SHAPE_RULES)
def test_looking_for_errors_only_finds_every_error(rule: str) -> None:
    """A new rule needs shapes in PHOTOS that break it."""
    complete = [errors(shapes, rule, errors_only=False) for shapes in PHOTOS]
    assert any(complete)
    assert [errors(shapes, rule, errors_only=True) for shapes in PHOTOS] == complete
