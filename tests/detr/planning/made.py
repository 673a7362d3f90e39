"""Surveys, machines and costs of steps, as they would be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from conversion.coco.panoptic import PanopticSet, Photo, Segment
from detr.planning.cost import StepCost
from detr.planning.machine import Machine
from tests.detr.drawn import CATEGORIES, CIRCLE, GRASS

LAPTOP = Machine(cores=2, memory=32 * 10**9)
GPU = Machine(cores=16, memory=80 * 10**9, gpu="a GPU")


def make_set(
    photos: int = 100, *, size: tuple[int, int] = (640, 480), things: int = 5, side: int = 40
) -> PanopticSet:
    """Return photos of grass with this many circles of side x side pixels each."""
    width, height = size
    grass = Segment(1, GRASS, width * height - things * side**2, (0, 0, width, height))
    circles = tuple(Segment(n + 2, CIRCLE, side**2, (0, 0, side, side)) for n in range(things))
    kinds = CATEGORIES if things else tuple(c for c in CATEGORIES if not c.isthing)
    one = Photo(0, "", width, height, "", (grass, *circles))
    named = tuple(replace(one, id=n, file_name=f"{n}.jpg") for n in range(photos))
    return PanopticSet(Path("set.json"), Path("set"), kinds, named)


def step_cost(seconds: float, **changed: Any) -> StepCost:
    values = {"stage": "joint", "parameters": 9, "trained_parameters": 9, "photos": 4}
    return StepCost(
        **{
            **values,
            "seconds": seconds,
            "reading_seconds": 0.0,
            "kept_seconds": None,
            "peak_memory": 1,
            **changed,
        }
    )
