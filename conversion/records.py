"""Which annotations can be used, without reading again those that have not changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec

from annotation.dataset import Dataset, Split
from annotation.validate import Record, check_records
from conversion.store import Store


class _Kept(msgspec.Struct, array_like=True):
    """A usable record that no other file had a part in; `photo` lies below the data set."""

    photo: str
    size: tuple[int, int]
    excluded: bool
    embeds: bool
    counts: tuple[int, ...]


Contents = dict[Path, tuple[bytes, bytes]]  # by photo: digests of the annotation and of itself


def read_records(
    dataset: Dataset, store: Store, photos: Sequence[Path], version: str
) -> tuple[tuple[Record, ...], Contents]:
    """The records of all annotations, and the contents of those that can be used.

    Records of unchanged files come from the store. `version` is that of the code: another one may
    find other errors.
    """
    config = msgspec.to_builtins(replace(dataset.config, split=Split()))
    context = version.encode() + msgspec.json.encode(config)

    contents: Contents = {}

    def key_of(path: Path, photo: Path) -> bytes:
        contents[photo] = (store.digest(path), store.digest(photo))
        return sha256(context + b"".join(contents[photo])).digest()

    known: set[Path] = set()

    def kept(path: Path) -> Record | None:
        found = store.record(dataset.relative(path))
        if found is None:
            return None
        key, value = found
        one = msgspec.json.decode(value, type=_Kept)
        photo = dataset.root / one.photo
        try:
            if key_of(path, photo) != key:
                return None
        except OSError:  # the photo is gone
            return None
        known.add(path)
        return Record(path, photo, one.size, True, one.excluded, one.embeds, one.counts, alone=True)

    records = check_records(dataset, photos, kept)
    for record in records:
        if record.path in known or not (record.usable and record.photo and record.size):
            continue
        key = key_of(record.path, record.photo)
        if record.alone:
            one = _Kept(
                dataset.relative(record.photo),
                record.size,
                record.excluded,
                record.embeds,
                record.counts,
            )
            store.keep_record(dataset.relative(record.path), key, msgspec.json.encode(one))
    store.commit()
    return records, contents
