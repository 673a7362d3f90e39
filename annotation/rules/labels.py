"""Rules about labels, groups and flags that the data set does not allow."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from rapidfuzz.distance import OSA

from annotation.findings import Complaint
from annotation.labelme.annotation import UnreadableShape
from annotation.labelme.proposals import PROPOSED, is_proposed
from annotation.rules.judge import CHECKED
from annotation.rules.resolved import ResolvedAnnotation
from base.errors import nearest

_LONGEST = 64  # characters of a label that are compared with others
_MOST_FLAGS = 20  # unknown flags that are reported per file
_SEPARATORS = re.compile(r"[\s_\-]+")


def label_complaints(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report proposals, unknown labels and flags, and things that may not have several parts."""
    yield from _proposals(resolved)
    yield from _unknown_labels(resolved)
    yield from _forbidden_groups(resolved)
    yield from _unknown_flags(resolved)


def _proposals(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report once per file that its shapes are proposals which nobody has accepted."""
    if resolved.annotation.flags.get(PROPOSED):
        message = "a model proposed these shapes, and nobody has checked them yet"
        fix = f"correct them in Labelme, then remove the photo's flag '{PROPOSED}'"
        yield Complaint("photo-proposed", None, message, fix)
    found = [index for index, shape in enumerate(resolved.shapes) if is_proposed(shape)]
    if found:
        first, *others = found
        label = resolved.shapes[first].label[: _LONGEST + 1]
        count = f" ({len(found)} shapes)" if others else ""
        message = f"'{label}'{count} is a proposal that was not accepted"
        fix = "give it a label of the set, or delete it"
        yield Complaint("shape-proposed", first, message, fix, others=tuple(others))


def _unknown_labels(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report each misspelt label, and each other unknown label once per file, at its first shape.

    Shapes that are flagged as checked are reported apart from the others, because the flag waives
    warnings.
    """
    config = resolved.config
    known = config.labels
    unknown = defaultdict[tuple[str, bool], list[int]](list)
    for index, shape in enumerate(resolved.shapes):
        if shape.label in known or isinstance(shape, UnreadableShape) or is_proposed(shape):
            continue
        label = shape.label[: _LONGEST + 1]
        if name := find_spelling(label, known):
            message = f"label '{label}' is unknown; did you mean '{name}'?"
            yield Complaint("label-typo", index, message, f"change it to '{name}'")
        else:
            unknown[label, bool(shape.flags.get(CHECKED))].append(index)
    for (label, _), (first, *others) in unknown.items():
        count = f" ({len(others) + 1} shapes)" if others else ""
        message = f"label '{label}'{count} is unknown{_nearest(label, config.things)}"
        fix = "correct it, or add it to things"
        yield Complaint("label-unknown", first, message, fix, others=tuple(others))


@lru_cache(maxsize=1024)  # a misspelt entry in a list of labels occurs in every file
def find_spelling(label: str, known: tuple[str, ...]) -> str | None:
    """Find the known label of which `label` is a misspelling; None if there is not exactly one.

    A misspelling differs in case, spaces, underscores and hyphens, or in a few letters: up to two
    in labels of 7 letters or more, one in labels of 5 or 6, and two swapped neighbouring letters in
    labels of 4. Labels with different numbers are different labels.
    """
    plain = _plain(label)
    if not plain or len(label) > _LONGEST:
        return None
    found: dict[int, list[str]] = {}
    for name in known:
        other = _plain(name)
        if re.sub(r"\D", "", plain) == re.sub(r"\D", "", other):
            found.setdefault(_typos(plain, other), []).append(name)
    least = min(found, default=3)
    return found[least][0] if least <= 2 and len(found[least]) == 1 else None


def _plain(label: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", label).casefold())


def _typos(first: str, second: str) -> int:
    """Count the letters omitted, added, changed or swapped between two words; 3 if too many.

    This is the optimal string alignment distance, which counts a swap of neighbours as one.
    """
    longest = max(len(first), len(second))
    most = 0 if longest < 4 else 1 if longest < 7 else 2
    if len(second) > _LONGEST:
        return 3
    typos = int(OSA.distance(first, second, score_cutoff=most))
    swapped = sorted(first) == sorted(second)
    return typos if typos <= most and (longest > 4 or swapped) else 3


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    return nearest(word, known)


def _forbidden_groups(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    if not resolved.config.ungrouped:
        return
    for instance in resolved.instances:
        if instance.label in resolved.config.ungrouped and len(instance.parts) > 1:
            first, *others = instance.parts[:4]
            parts = ", ".join(f"shapes[{part}]" for part in others)
            group = resolved.shapes[first].group_id
            message = f"a '{instance.label}' may have only one part; group {group} also has {parts}"
            fix = "remove the group_id, or remove the label from ungrouped"
            yield Complaint("group-not-allowed", first, message, fix, others=tuple(others))


def _unknown_flags(resolved: ResolvedAnnotation) -> Iterator[Complaint]:
    """Report each unknown flag that is set once per file, at the first shape that has it.

    Labelme writes the flags of its own settings into every file; those that are not set mean
    nothing.
    """
    config, first = resolved.config, dict[str, int]()
    for index, shape in enumerate(resolved.shapes):
        for flag, on in shape.flags.items():
            if on and flag not in config.shape_flags:
                first.setdefault(flag[: _LONGEST + 1], index)
    for flag, index in list(first.items())[:_MOST_FLAGS]:
        yield _unknown_flag(flag, index, "shape_flags", config.shape_flags)
    flags = resolved.annotation.flags.items()
    photo_flags = [f for f, on in flags if on and f not in (*config.photo_flags, PROPOSED)]
    for flag in photo_flags[:_MOST_FLAGS]:
        yield _unknown_flag(flag[: _LONGEST + 1], None, "photo_flags", config.photo_flags)


def _unknown_flag(flag: str, shape: int | None, key: str, known: tuple[str, ...]) -> Complaint:
    message = f"flag '{flag}' is unknown{_nearest(flag, known)}"
    return Complaint("flag-unknown", shape, message, f"correct it, or add it to {key}")
