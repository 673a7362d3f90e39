"""Labels, groups and flags against what the set allows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from annotation.findings import Complaint
from annotation.rules.drawing import Drawing
from base.errors import nearest

_LONGEST = 64  # characters of a label that is compared with others
_MOST_FLAGS = 20  # unknown ones that are reported of one file
_SEPARATORS = re.compile(r"[\s_\-]+")


def label_complaints(drawing: Drawing) -> Iterator[Complaint]:
    """Labels and flags that the set does not know, and things that may not have parts."""
    yield from _unknown_labels(drawing)
    yield from _forbidden_groups(drawing)
    yield from _unknown_flags(drawing)


def _unknown_labels(drawing: Drawing) -> Iterator[Complaint]:
    config = drawing.config
    known = config.labels
    for index, shape in enumerate(drawing.shapes):
        if shape.label in known or shape.problem is not None:
            continue
        label = shape.label[: _LONGEST + 1]
        if name := find_spelling(label, known):
            message = f"label '{label}' is unknown; did you mean '{name}'?"
            yield Complaint("label-typo", index, message, f"change it to '{name}'")
        else:
            message = f"label '{label}' is unknown{_nearest(label, config.things)}"
            yield Complaint("label-unknown", index, message, "correct it, or add it to things")


@lru_cache(maxsize=1024)  # one slip of a label list stands in every file
def find_spelling(label: str, known: tuple[str, ...]) -> str | None:
    """The known label of which `label` is another spelling; None where none is, or several are.

    It differs by case, spaces, underscores and hyphens, or by one or two letters: by one in five or
    six letters, in four only by their order. Numbers tell labels apart.
    """
    plain = _plain(label)
    if not plain or len(label) > _LONGEST:
        return None
    found: dict[int, list[str]] = {}
    for name in known:
        other = _plain(name)
        if re.sub(r"\D", "", plain) == re.sub(r"\D", "", other):
            found.setdefault(_slips(plain, other), []).append(name)
    least = min(found, default=3)
    return found[least][0] if least <= 2 and len(found[least]) == 1 else None


def _plain(label: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", label).casefold())


def _slips(first: str, second: str) -> int:
    """Letters left out, added, changed or swapped between two words; 3 where they are too many."""
    longest = max(len(first), len(second))
    most = 0 if longest < 4 else 1 if longest < 7 else 2
    if abs(len(first) - len(second)) > most or len(second) > _LONGEST:
        return 3
    slips = _distance(first, second)
    swapped = sorted(first) == sorted(second)
    return slips if slips <= most and (longest > 4 or swapped) else 3


def _distance(first: str, second: str) -> int:
    """Optimal string alignment distance: as Levenshtein's, with a swap of neighbours as one."""
    before, last = list[int](), list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        row = [i]
        for j, b in enumerate(second, start=1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    return nearest(word, known)


def _forbidden_groups(drawing: Drawing) -> Iterator[Complaint]:
    if not drawing.config.ungrouped:
        return
    for instance in drawing.instances:
        if instance.label in drawing.config.ungrouped and len(instance.parts) > 1:
            parts = ", ".join(f"shapes[{part}]" for part in instance.parts[1:4])
            group = drawing.shapes[instance.parts[0]].group_id
            message = f"a '{instance.label}' has one part only; group {group} has {parts}, too"
            fix = "take the group_id away, or the label out of ungrouped"
            yield Complaint("group-not-allowed", instance.parts[0], message, fix)


def _unknown_flags(drawing: Drawing) -> Iterator[Complaint]:
    """Once a file and flag, at the first shape that has it; unset flags count, as typing slips."""
    config, first = drawing.config, dict[str, int]()
    for index, shape in enumerate(drawing.shapes):
        for flag in shape.flags:
            if flag not in config.shape_flags:
                first.setdefault(flag[: _LONGEST + 1], index)
    for flag, index in list(first.items())[:_MOST_FLAGS]:
        yield _unknown_flag(flag, index, "shape_flags", config.shape_flags)
    photo_flags = [f for f in drawing.annotation.flags if f not in config.photo_flags]
    for flag in photo_flags[:_MOST_FLAGS]:
        yield _unknown_flag(flag[: _LONGEST + 1], None, "photo_flags", config.photo_flags)


def _unknown_flag(flag: str, shape: int | None, key: str, known: tuple[str, ...]) -> Complaint:
    message = f"flag '{flag}' is unknown{_nearest(flag, known)}"
    return Complaint("flag-unknown", shape, message, f"correct it, or add it to {key}")
