"""The meanings of names, values and colours in stuff sources, for one data set."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from base.errors import InputError, nearest
from base.files import read_regular
from conversion.coco.categories import Category, coco_categories, coco_stuff_merges

SILENT = 0  # the source has no information about the pixel; the next source may have some
NOT_STUFF = 65534  # a thing, or stuff that is not in the set
UNKNOWN = 65535  # a value without a meaning

Meanings = dict[int, int]  # value, colour or segment id to category id, SILENT or NOT_STUFF
Map = NDArray[np.uint16]


def name_meanings(
    things: Iterable[str], groups: Mapping[str, Sequence[str]], categories: Iterable[Category]
) -> dict[str, int]:
    """Return the meaning of every name that a source may use.

    These are the set's stuff, COCO's panoptic names, and those names of COCO's stuff task that were
    merged into them. Members of a group mean the group. Things and stuff that is not in the set
    mean NOT_STUFF.
    """
    own = {c.name: c.id for c in categories if not c.isthing}
    group_of = {m: group for group, members in groups.items() for m in members}
    meanings = {
        c.name: NOT_STUFF if c.isthing else own.get(group_of.get(c.name, c.name), NOT_STUFF)
        for c in coco_categories()
    }
    for name, merged in coco_stuff_merges().values():
        meanings.setdefault(name, meanings.get(merged, NOT_STUFF))
    for name in things:
        meanings.setdefault(name, NOT_STUFF)
    return meanings | own


def id_meanings(names: Mapping[str, int], categories: Iterable[Category]) -> Meanings:
    """Return the meanings of COCO's panoptic ids and of the ids of the set's own stuff."""
    own = {c.id: c.id for c in categories if not c.isthing}
    return {SILENT: SILENT, **{c.id: names[c.name] for c in coco_categories()}, **own}


def pixelmap_meanings(names: Mapping[str, int]) -> Meanings:
    """Return the meanings of the ids of COCO's stuff task; some are not in the panoptic task."""
    merges = coco_stuff_merges()
    return {SILENT: SILENT, **{i: names.get(m, NOT_STUFF) for i, (_, m) in merges.items()}}


# --- tables ---


def read_table(
    table: Path | Mapping[int | str, str | None], names: Mapping[str, int], *, where: str
) -> tuple[Meanings, bool]:
    """Return the meaning of each value of a table, and whether values are colours, 0xRRGGBB.

    An empty name means SILENT, and so does 0, or black, unless the table contains it. Raises
    InputError for unknown names, repeated values, and a mixture of values and colours.
    """
    if isinstance(table, Path):
        rows, where = _csv_rows(table), str(table)
    else:
        rows = [(f"{where}: table", key, name or "") for key, name in table.items()]
    meanings: Meanings = {}
    kinds = set()
    for place, key, name in rows:
        if name and name not in names:
            hint = nearest(name, names)
            raise InputError(f"{place}: expected the name of a category, found '{name}'{hint}")
        code, colored = _code(key, place)
        if code in meanings:
            raise InputError(f"{place}: '{key}' appears twice")
        kinds.add(colored)
        meanings[code] = names[name] if name else SILENT
    if len(kinds) != 1:
        found = "both" if kinds else "none"
        raise InputError(f"{where}: expected a table of values or of colours, found {found}")
    return {SILENT: SILENT, **meanings}, kinds.pop()


def _csv_rows(path: Path) -> list[tuple[str, int | str, str]]:
    try:
        text = io.StringIO(read_regular(path).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, skipinitialspace=True)
        rows, columns = list(reader), set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from None
    channels = ("red", "green", "blue")
    if not columns >= {"name", "value"} and not columns >= {"name", *channels}:
        found = ", ".join(sorted(columns)) or "none"
        raise InputError(
            f"{path}: expected columns value,name or red,green,blue,name, found {found}"
        )
    result: list[tuple[str, int | str, str]] = []
    for line, row in enumerate(rows, start=2):
        key: int | str = row["value"] if "value" in columns else _hex([row[c] for c in channels])
        result.append((f"{path}: line {line}", key or "", (row["name"] or "").strip()))
    return result


def _hex(channels: list[str]) -> str:
    numbers = [int(c) if c and c.strip().isdigit() else 256 for c in channels]
    return "#" + "".join(
        f"{n:02x}" for n in numbers
    )  # a number above 255 makes it too long, so it is refused later


def _code(key: int | str, place: str) -> tuple[int, bool]:
    """Return a value 0..65534 or a colour, and whether it is a colour."""
    text = str(key).strip()
    colored = text.startswith("#")
    digits = text[1:].lower() if colored else text
    known = set("0123456789abcdef" if colored else "0123456789")
    if digits and set(digits) <= known and (not colored or len(digits) == 6):
        code = int(digits, 16 if colored else 10)
        if colored or code < UNKNOWN:
            return code, colored
    raise InputError(f"{place}: expected a value 0..65534 or a colour '#rrggbb', found '{key}'")


# --- pixels ---


def translate(codes: NDArray[np.unsignedinteger], meanings: Mapping[int, int]) -> Map:
    """Translate (H, W) uint8, uint16, or uint32 codes below 2^24 to uint16 meanings or UNKNOWN."""
    if codes.dtype == np.uint32:
        return _translate_wide(np.asarray(codes, np.uint32), meanings)
    size = 1 << 8 * codes.dtype.itemsize
    table = np.full(size, UNKNOWN, np.uint16)
    for code, meaning in meanings.items():
        if code < size:
            table[code] = meaning
    if codes.dtype == np.uint8:
        return np.asarray(cv2.LUT(codes, table), np.uint16)  # ten times as fast as indexing
    return np.asarray(table[codes])


def _translate_wide(codes: NDArray[np.uint32], meanings: Mapping[int, int]) -> Map:
    """Look up each run of equal codes once: maps have a few thousand runs, not a million."""
    flat = codes.ravel()
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    runs = flat[starts]
    known = sorted(meanings.items())
    keys = np.array([key for key, _ in known], np.uint32)
    values = np.array([value for _, value in known], np.uint16)
    places = np.searchsorted(keys, runs).clip(max=len(keys) - 1)
    found = np.where(keys[places] == runs, values[places], np.uint16(UNKNOWN))
    return np.repeat(found, np.diff(starts, append=flat.size)).reshape(codes.shape)
