"""Scores as JSON and as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.table import Column, Table

from evaluation.scores.bootstrap import FEW_NOTE, Floats, Range, interval, intervals
from evaluation.scores.counts import SIZES
from evaluation.scores.precision import AveragePrecision
from evaluation.scores.quality import quality_of, row_names
from evaluation.scores.resampling import Resampled
from evaluation.scores.scores import Scores, percent


def scores_json(scores: Scores) -> dict[str, Any]:
    """Return plain values; intervals hold 95 %, and are null if the score is not defined.

    The keys are all, things, stuff, categories, sizes, semantic, photos, few_photos, and, if they
    are known, box_ap and mask_ap.
    """
    quality, samples = scores.quality, scores.samples
    values = asdict(quality)
    for name, sampled in samples.groups.items():
        values[name] |= {f"{key}_interval": _range(getattr(sampled, key)) for key in _MEANS}
    ranges = intervals(samples.category_pq)
    for category, found in zip(values["categories"].values(), ranges, strict=True):
        category["pq_interval"] = _defined(found)
    values["sizes"] = _sizes(scores)
    values["semantic"] = _semantic(scores)
    aps = (
        ("box_ap", scores.box_ap, samples.box_ap),
        ("mask_ap", scores.mask_ap, samples.mask_ap),
    )
    names = dict(zip((c.id for c in scores.categories), values["categories"], strict=True))
    values |= {name: _precision(ap, found, names) for name, ap, found in aps if ap and found}
    values["few_photos"] = list(scores.few_photos)
    values["photos"] = {
        match.truth.file_name: {"pq": match.pq}
        | {"tp": len(match.tp), "fp": len(match.fp), "fn": len(match.fn)}
        for match in scores.matches
    }
    return values


_MEANS = ("pq", "sq", "rq")


def _range(samples: Floats) -> list[float] | None:
    return _defined(interval(samples))


def _defined(found: Range) -> list[float] | None:
    return None if math.isnan(found[0]) else list(found)


def _sizes(scores: Scores) -> dict[str, Any]:
    values = {}
    for number, name in enumerate(SIZES):
        counts = scores.counts.of_size(number).total()
        mean = quality_of(counts, scores.categories).all
        totals = {key: int(getattr(counts, key).sum()) for key in ("tp", "fp", "fn", "near")}
        found = _range(scores.samples.sizes[name].pq)
        values[name] = asdict(mean) | totals | {"pq_interval": found}
    return values


def _semantic(scores: Scores) -> dict[str, Any]:
    iou, mean = scores.pixels.iou.tolist(), scores.mean_iou
    names = row_names(scores.categories)
    return {
        "miou": None if math.isnan(mean) else mean,
        "miou_interval": _range(scores.samples.mean_iou),
        "iou": {
            name: None if math.isnan(value) else value
            for name, value in zip(names, iou, strict=True)
        },
        "confusion": scores.pixels.confusion.tolist(),
    }


def _precision(
    ap: AveragePrecision, samples: Resampled, names: Mapping[int, str]
) -> dict[str, Any]:
    by_category = {names[category_id]: value for category_id, value in ap.by_category().items()}
    values = {"ap": ap.ap, "ap50": ap.ap50, "ap75": ap.ap75, "ar": ap.ar, "categories": by_category}
    return values | {"ap_interval": _range(samples.ap), "ar_interval": _range(samples.ar)}


def scores_table(scores: Scores) -> Table:
    """Format the scores, in percent, as a table for the terminal; categories that occur have a row.

    A star marks the categories in few photos.
    """
    values = scores_json(scores)
    names = ("PQ", "95 %", "SQ", "RQ", "hits", "false\nalarms", "missed", "near\nmisses")
    numbers = (Column(name, justify="right") for name in names)
    table = Table(Column(overflow="fold"), *numbers, box=SIMPLE, padding=(0, 1, 0, 0))
    for name in ("all", "things", "stuff"):
        table.add_row(name, *_quality_cells(values[name]))
    table.add_section()
    for name, row in values["sizes"].items():
        table.add_row(name, *_quality_cells(row), *_count_cells(row))
    table.add_section()
    for name, row in values["categories"].items():
        if row["tp"] + row["fp"] + row["fn"]:
            star = " *" if name in scores.few_photos else ""
            table.add_row(name + star, *_quality_cells(row), *_count_cells(row))
    table.caption = "\n".join(_caption(values))
    return table


def _quality_cells(row: dict[str, Any]) -> list[str]:
    pq, sq, rq = (percent(row[key] if row.get("n", 1) else None) for key in _MEANS)
    return [pq, _range_text(row["pq_interval"]), sq, rq]


def _count_cells(row: dict[str, Any]) -> list[str]:
    return [str(row[key]) for key in ("tp", "fp", "fn", "near")]


def _caption(values: dict[str, Any]) -> Iterator[str]:
    for key, name in (("box_ap", "box"), ("mask_ap", "mask")):
        ap = values.get(key)
        if ap is None:
            yield f"{name} AP -"
        else:
            ap_range, ar_range = (_range_text(ap[f"{k}_interval"]) for k in ("ap", "ar"))
            yield (
                f"{name} AP {percent(ap['ap'])} ({ap_range}), AP50 {percent(ap['ap50'])},"
                f" AR {percent(ap['ar'])} ({ar_range})"
            )
    semantic = values["semantic"]
    yield "The scores of groups are means over categories, so PQ is not SQ × RQ."
    yield f"mIoU {percent(semantic['miou'])} ({_range_text(semantic['miou_interval'])})"
    if values["few_photos"]:
        yield FEW_NOTE


def _range_text(found: list[float] | None) -> str:
    return "-" if found is None else f"{percent(found[0])} to {percent(found[1])}"
