"""Tags of photos: those that loading sets, the user's, and those that are decisions.

A decision is a tag of the App that `decide` carries into `curation.yaml`: `exclude`, `relabel`, or
the name of another split. Both sides may change: the user may add and remove tags, and git may
change the file. What the user has changed since the last load takes precedence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from annotation.decisions import EXCLUDE, RELABEL, Decisions
from curation.loading.entries import EXCLUDED, FINDING, Entry

DECISIONS = (EXCLUDE, RELABEL)
USUAL_SPLITS = {"train", "val", "test"}  # their names are never tags of the user's own


def decided_tags(decisions: Decisions) -> dict[str, list[str]]:
    """Return the tags `exclude` and `relabel` of each photo that has any in the file."""
    tags: dict[str, list[str]] = {}
    for tag, names in ((EXCLUDE, decisions.exclude), (RELABEL, decisions.relabel)):
        for name in names:
            tags.setdefault(name, []).append(tag)
    return tags


def merge_decisions(
    tags: Iterable[str], *, decided: Iterable[str], known: Iterable[str]
) -> set[str]:
    """Return which of `exclude` and `relabel` apply to a photo.

    `tags` are those in the App, `decided` those in the file now, and `known` those that the App had
    after the last load or `decide`, without the user's own that were not in the file then. What
    differs between `tags` and `known` was changed by the user.
    """
    tags, known = {tag for tag in tags if tag in DECISIONS}, set(known)
    return (set(decided) | (tags - known)) - (known - tags)


def moved_to(tags: Iterable[str], split: str | None, splits: Collection[str]) -> list[str]:
    """Return to which of the `splits` the user wants to move a photo of a split, sorted."""
    return sorted({tag for tag in tags if tag in splits or tag in USUAL_SPLITS} - {split})


def merged_tags(
    entry: Entry,
    before: Sequence[str],
    *,
    split_before: str | None,
    splits: Collection[str],
    decided: Iterable[str],
    known: Iterable[str],
) -> list[str]:
    """Return the tags of a photo: those of the entry, decisions, then the user's.

    `before` and `split_before` are its tags and its split in the App, `splits` are the names of
    all splits, and `decided` and `known` are those of `merge_decisions`.
    """
    moved = [one for one in moved_to(before, split_before, splits) if one != entry.split]
    decisions = sorted(merge_decisions(before, decided=decided, known=known))
    own = {EXCLUDED, split_before, *USUAL_SPLITS, *splits, *DECISIONS}
    others = [tag for tag in before if tag not in own and not tag.startswith(FINDING)]
    return [*entry.tags, *moved, *decisions, *others]
