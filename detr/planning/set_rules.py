"""Choices that depend on the data set and the memory, before anything is timed."""

from __future__ import annotations

from math import ceil, sqrt

from base.counting import counted
from detr.planning.choice import Choice
from detr.planning.constants import (
    BACKBONE_LR,
    BATCH_CPU,
    BATCH_GPU,
    BYTES_PER_PIXEL,
    FEWEST_QUERIES,
    LEAST_LONG_SIDE,
    LEAST_SHORT_SIDE,
    LR_OF_BATCH_4,
    MEMORY_SHARE,
    MOST_ENLARGED,
    MOST_LONG_SIDE,
    MOST_QUERIES,
    MULTIPLE,
    RESERVE,
    SMALL_THING,
)
from detr.planning.machine import Machine
from detr.planning.survey import Survey
from detr.settings import Settings


def choose_queries(survey: Survey) -> Choice:
    """Choose `num_queries`, from the things of the most crowded photo, with a reserve."""
    if not survey.thing_categories:
        return Choice({"num_queries": FEWEST_QUERIES}, "not used, because the set has no things")
    wanted = ceil(survey.most_things * RESERVE / 10) * 10
    number = min(MOST_QUERIES, max(FEWEST_QUERIES, wanted))
    reason = f"up to {counted(survey.most_things, 'thing')} in a photo"
    if number < survey.most_things:
        reason += f"; {number} is the limit, so the smallest of them are not all learned"
    return Choice({"num_queries": number}, reason)


def choose_batch(survey: Survey, machine: Machine, settings: Settings) -> Choice:
    """Choose the batch size and the learning rates that belong to it."""
    size = BATCH_GPU if machine.gpu else BATCH_CPU
    reason = "more photos keep a GPU busy" if machine.gpu else "many small steps learn faster"
    if survey.photos < size * machine.batches:
        size, reason = max(1, survey.photos // machine.batches), counted(survey.photos, "photo")
    together = int(settings.values.get("batch_size", size)) * machine.batches
    together *= int(settings.values.get("accumulate", 1))
    lr = settings.values.get("lr", float(f"{LR_OF_BATCH_4 * sqrt(together / 4):.2g}"))
    rates = {"lr": lr, "lr_backbone": float(f"{BACKBONE_LR * float(lr):.2g}")}
    return Choice({"batch_size": size, **rates}, reason)


def wanted_resolution(survey: Survey, machine: Machine, batch_size: int) -> Choice:
    """Choose `min_size` and `max_size` for the things and the memory, whatever the time."""
    own, ratio = survey.long_side, survey.long_side / survey.short_side
    wanted, why = float(LEAST_LONG_SIDE), "enough for stuff and for things that are not small"
    if survey.thing_sizes and (needed := own * SMALL_THING / survey.thing_sizes[0]) > wanted:
        wanted = needed
        why = f"a quarter of the things are smaller than {survey.thing_sizes[0]:.0f} pixels"
        why += f" in photos of {own}x{survey.short_side}"
    if wanted > MOST_LONG_SIDE:
        wanted, why = MOST_LONG_SIDE, f"{why}, but higher resolutions take too long"
    if wanted > (most := own * MOST_ENLARGED):
        wanted, why = most, f"{MOST_ENLARGED} times the photos' own size, for finer outlines"
    fitting = _side_in_memory(machine, batch_size, ratio)
    if fitting < wanted:
        wanted, why = fitting, f"as large as fits into {machine.memory / 1e9:.0f} GB of memory"
    if wanted / ratio < LEAST_SHORT_SIDE:
        wanted, why = LEAST_SHORT_SIDE * ratio, "at a lower one, features have too few locations"
    return resolution(survey, wanted, why)


def resolution(survey: Survey, long_side: float, reason: str) -> Choice:
    """Return `min_size` and `max_size` with the proportions of the typical photo."""
    if long_side != survey.long_side:
        long_side = max(1, round(long_side / MULTIPLE)) * MULTIPLE
    short_side = max(1, round(long_side * survey.short_side / survey.long_side))
    return Choice({"min_size": short_side, "max_size": round(long_side)}, reason)


def given_resolution(survey: Survey, settings: Settings) -> Choice | None:
    """Complete a resolution of which one side was given by hand; None if neither was."""
    ratio = survey.long_side / survey.short_side
    if "max_size" in settings.values:
        shorter = max(1, round(float(settings.values["max_size"]) / ratio))
        return Choice({"min_size": shorter}, "in proportion to max_size")
    if "min_size" in settings.values:
        longer = round(float(settings.values["min_size"]) * ratio)
        return Choice({"max_size": longer}, "in proportion to min_size")
    return None


def _side_in_memory(machine: Machine, batch_size: int, ratio: float) -> float:
    """Return the longer side of photos of which a training step fits into the memory."""
    pixels = MEMORY_SHARE * machine.memory / (BYTES_PER_PIXEL * batch_size)
    return max(float(MULTIPLE), sqrt(pixels * ratio) // MULTIPLE * MULTIPLE)
