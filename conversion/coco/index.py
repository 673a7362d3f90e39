"""The positions of each image's annotations in a COCO file, so that they stay out of memory."""

from __future__ import annotations

import codecs
import hashlib
import mmap
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from numpy.typing import NDArray

from base.errors import InputError
from base.files import open_regular
from base.naming import fold
from conversion.coco.file import MEMBERS
from conversion.coco.links import Id
from conversion.coco.text import MOST_BYTES, has_not_numbers, wide_encoding

_COCO_NAME = re.compile(r"COCO_\w+_(\d{12})|(\d{12})")

Ints = NDArray[np.int64]


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: int = 0
    height: int = 0


class _Link(msgspec.Struct, gc=False):
    image_id: Id


class IndexedCategory(msgspec.Struct, frozen=True):
    """A category of a file; `isthing` is None if the file does not state it."""

    id: Id
    name: str
    isthing: int | bool | None = None


@dataclass(frozen=True, eq=False)
class CocoIndex:
    """One COCO file, in about 90 bytes per image and 16 per annotation.

    `keys` (K,) uint64 are sorted hashes of names and ids, and `rows` (K,) are their images.
    `sizes` (N, 2) are height and width, or 0 if the file does not state them. The annotations of
    image i are `spans[first[i] : first[i + 1]]`, each a start and a stop in the file.
    """

    path: Path
    categories: tuple[IndexedCategory, ...]
    keys: NDArray[np.uint64]
    rows: Ints
    sizes: Ints
    first: Ints
    spans: Ints

    def find(self, name: str, *, shared: Collection[str], by_id: bool) -> int | None:
        """Return the row of the photo `name`, a path below `images/`; None if there is none.

        The file_name of its image equals the path, is the end of the path, or ends with the path;
        the last two count only if the name without folders is not `shared` by several photos. Names
        may differ in case and Unicode form, but an exact one takes precedence.
        Otherwise, with `by_id`, the id of the image is the number in COCO's photo names.
        """
        parts = name.split("/")
        keys = [f"name {name}"]
        if parts[-1] not in shared:
            keys += [f"name {'/'.join(parts[i:])}" for i in range(1, len(parts))]
            if len(parts) == 1:
                keys.append(f"base {name}")
        if by_id and (number := coco_id(name)) is not None:
            keys.append(f"id {number}")
        keys += [f"folded {fold(key)}" for key in keys]  # after all exact spellings
        for key in map(_key, keys):
            place = int(np.searchsorted(self.keys, key))
            if place < len(self.keys) and self.keys[place] == key:
                return int(self.rows[place])
        return None

    def annotations(self, row: int) -> list[bytes]:
        """Read the JSON of the annotations of one image from the file."""
        spans = self.spans[self.first[row] : self.first[row + 1]].tolist()
        try:
            with open_regular(self.path) as file:
                return [os.pread(file.fileno(), stop - start, start) for start, stop in spans]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror}") from None


def coco_id(name: str) -> int | None:
    """Return the number in the name of a COCO photo, such as 139 for COCO_val2014_000000000139.jpg.

    It has 12 digits; shorter numbers in the names of other photos are not ids.
    """
    match = _COCO_NAME.fullmatch(PurePosixPath(name).stem)
    return int(match[1] or match[2]) if match else None


def open_index(path: Path) -> CocoIndex:
    """Index a COCO panoptic or stuff JSON; raises InputError if it is a different file.

    The file is mapped, not read, so that the system can free its memory at any time.
    """
    try:
        with open_regular(path, most_bytes=MOST_BYTES) as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _index(path, data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise InputError(f"{path}: expected a COCO file: {error}") from None


def _index(path: Path, data: mmap.mmap) -> CocoIndex:
    if encoding := wide_encoding(data[:4]):
        raise InputError(f"expected UTF-8, found {encoding.upper()}; save it as UTF-8")
    start = len(codecs.BOM_UTF8) if data[:3] == codecs.BOM_UTF8 else 0
    try:
        members = msgspec.json.decode(memoryview(data)[start:], type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        if has_not_numbers(data):
            raise InputError(
                "expected JSON, found NaN or Infinity, which JSON does not have; write null"
            ) from None
        raise
    if missing := sorted(set(MEMBERS) - members.keys()):
        raise InputError(f"expected {', '.join(MEMBERS)}; {missing[0]} is missing")
    categories = msgspec.json.decode(
        members["categories"], type=tuple[IndexedCategory, ...], strict=False
    )
    images = msgspec.json.decode(members["images"], type=list[_Image], strict=False)
    row_of = {image.id: row for row, image in enumerate(images)}
    if len(row_of) < len(images):
        raise InputError("images: an id appears twice")
    keys, rows = _sorted_keys(images)
    links = msgspec.json.decode(members["annotations"], type=list[_Link], strict=False)
    owners = np.fromiter((row_of.get(link.image_id, -1) for link in links), np.int64, len(links))
    if (owners < 0).any():
        place = int(np.argmin(owners))
        raise InputError(f"annotations[{place}]: no image has the id {links[place].image_id!r}")
    del links
    spans = _spans(data, members["annotations"], len(owners))
    order = np.argsort(owners, kind="stable")
    return CocoIndex(
        path=path,
        categories=categories,
        keys=keys,
        rows=rows,
        sizes=np.array([(i.height, i.width) for i in images], np.int64).reshape(-1, 2),
        first=np.searchsorted(owners[order], np.arange(len(images) + 1)),
        spans=spans[order],
    )


def _sorted_keys(images: Sequence[_Image]) -> tuple[NDArray[np.uint64], Ints]:
    """Return the unique hashes of names and ids by which images are found, and their rows."""
    found = [(_key(key), row) for row, image in enumerate(images) for key in _keys_of(image)]
    table = np.array(found, np.uint64).reshape(-1, 2)
    keys, first, counts = np.unique(table[:, 0], return_index=True, return_counts=True)
    single = counts == 1
    for row in table[first[~single], 1].tolist():
        name = _plain(images[row].file_name)
        if counts[np.searchsorted(keys, _key(f"name {name}"))] > 1:
            raise InputError(f"images[{row}]: file_name '{name}' appears twice")
    return keys[single], table[first[single], 1].astype(np.int64)


def _keys_of(image: _Image) -> Iterator[str]:
    name = _plain(image.file_name)
    keys = [f"name {name}"]
    if "/" in name:
        keys.append(f"base {name.rpartition('/')[2]}")
    yield from keys
    yield from (f"folded {fold(key)}" for key in keys)
    if isinstance(image.id, int):
        yield f"id {image.id}"


def _plain(file_name: str) -> str:
    return file_name.replace("\\", "/").removeprefix("./")


def _key(text: str) -> np.uint64:
    """Return a hash as a numpy integer; numpy would convert a Python integer to float."""
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _spans(data: mmap.mmap, annotations: msgspec.Raw, count: int) -> Ints:
    """Return start and stop of each annotation in the file, (count, 2); `Raw` points into it."""
    begin = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    spans = np.empty((count, 2), np.int64)
    for place, raw in enumerate(msgspec.json.decode(annotations, type=list[msgspec.Raw])):
        view = memoryview(raw)
        start = np.frombuffer(view, np.uint8).__array_interface__["data"][0] - begin
        spans[place] = start, start + view.nbytes
    return spans
