"""Which annotations can be used, without reading again those that have not changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec

from annotation.dataset import Dataset
from annotation.labelme.photo_index import PhotoIndex
from annotation.rules.validate import Record, check_records
from conversion.building.plan import Entry
from conversion.building.store import Store
from conversion.config import Split, config_values, read_conversion_config

ERRORS = "has errors, see `validate`"
NO_TEXT = "has a name, or a photo with a name, that is no UTF-8; rename it"


class _Kept(msgspec.Struct, array_like=True):
    """A usable record that no other file had a part in; `photo` lies below the data set."""

    photo: str
    size: tuple[int, int]
    excluded: bool
    embeds: bool
    counts: tuple[int, ...]


class Records:
    """The records of all annotations of a set; those of unchanged files come from the store.

    `version` is that of the code: another one may find other errors.
    """

    def __init__(self, dataset: Dataset, store: Store, version: str) -> None:
        config = replace(read_conversion_config(dataset), split=Split())
        values = config_values(dataset.config, config)
        self._context = version.encode() + msgspec.json.encode(values)
        self._dataset, self._store = dataset, store
        self._contents = (b"", b"")  # digests of the annotation at hand and of its photo

    def read(self, index: PhotoIndex) -> Iterator[Entry | tuple[str, str]]:
        """Annotations of photos; or an annotation that cannot be used, and why."""
        below = len(str(self._dataset.images)) + 1
        for record in check_records(self._dataset, index, self._kept):
            annotation = self._dataset.relative(record.path)
            if not (_is_text(record.path) and _is_text(record.photo)):
                yield annotation, NO_TEXT
                continue
            if not record.usable:
                yield annotation, ERRORS
            if record.photo is None:
                continue
            if record.usable and self._contents == (b"", b""):
                self._keep(record)
            drawn, seen = self._contents
            self._contents = (b"", b"")
            yield Entry(
                photo=str(record.photo)[below:].replace(os.sep, "/"),
                annotation=annotation,
                size=record.size or (0, 0),
                needs=sum(record.counts),
                used=record.usable and not record.excluded and record.size is not None,
                alone=record.alone,
                drawn=drawn,
                seen=seen,
            )

    def _key(self, path: Path, photo: Path) -> bytes:
        """What the record depends on; raises OSError where a file is gone."""
        self._contents = (self._store.digest(path), self._store.digest(photo))
        return sha256(self._context + b"".join(self._contents)).digest()

    def _kept(self, path: Path) -> Record | None:
        found = self._store.record(self._dataset.relative(path))
        if found is None:
            return None
        key, value = found
        one = msgspec.json.decode(value, type=_Kept)
        photo = self._dataset.root / one.photo
        try:
            same = self._key(path, photo) == key
        except (OSError, UnicodeEncodeError):  # the photo is gone, the name is no text
            same = False
        if not same:
            self._contents = (b"", b"")
            return None
        return Record(path, photo, one.size, True, one.excluded, one.embeds, one.counts, alone=True)

    def _keep(self, record: Record) -> None:
        assert record.photo is not None
        key = self._key(record.path, record.photo)
        if record.alone and record.size is not None:
            photo = self._dataset.relative(record.photo)
            one = _Kept(photo, record.size, record.excluded, record.embeds, record.counts)
            name = self._dataset.relative(record.path)
            self._store.keep_record(name, key, msgspec.json.encode(one))


def _is_text(path: Path | None) -> bool:
    """Whether a name can be written into JSON: names of old systems can't."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
