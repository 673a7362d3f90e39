"""The folder that Labelme opens: links to photos in the order of drawing, and their annotations.

Labelme sorts a folder's photos by their paths, and looks for the annotation of each beside it, or,
told an output folder, there by its bare name, so that photos of one name in two folders share one.
Therefore every photo is given a folder of its own, whose number makes the order, with a copy of
its annotation. What Labelme saves there is carried to its own place at once, whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from annotation.dataset import Dataset
from annotation.labelme.annotation import (
    Annotation,
    NotReadableError,
    UnreadableShape,
    read_annotation,
    write_annotation,
)
from annotation.labelme.decoding import known_words
from base.errors import InputError
from base.files import replacing
from base.links import link_or_copy
from base.locks import locked
from base.parsing import parse, read_json, write_json

FOLDER = ".annotate"  # in the data set, so that what a dead machine left there is found again
LIST, LOCK = "session.json", "lock"


@dataclass(frozen=True)
class Item:
    """One photo in the folder: `link` below the folder, the others below the data set."""

    link: str
    photo: str
    annotation: str
    stamp: int | None  # ns, when the annotation was last written before; None where there is none


@dataclass(frozen=True)
class _Items:
    items: tuple[Item, ...]


@contextmanager
def only_one(dataset: Dataset) -> Iterator[int]:
    """Let one Labelme at a time work on a set; yield the descriptor that holds the lock.

    Labelme inherits it, so that the set stays locked for as long as its window lives.
    """
    path = dataset.root / FOLDER / LOCK
    busy = f"{dataset.root}: is open in Labelme; close that window"
    with locked(path, busy=busy) as lock:
        try:
            yield lock
        finally:
            if not (dataset.root / FOLDER / LIST).exists():
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # a person saved something there
                    path.parent.rmdir()


class Session:
    """The folder while Labelme is open; `changed` are the annotations that were written."""

    def __init__(self, dataset: Dataset, items: Iterable[Item]) -> None:
        self.folder = dataset.root / FOLDER
        self.changed: set[Path] = set()
        self._dataset = dataset
        self._items = tuple(items)
        self._seen = {item: (item.stamp, item.stamp) for item in self._items}  # copy, its place
        names = (item.photo.rpartition("/")[2] for item in self._items)
        self._known = known_words([*dataset.config.labels, *names])

    def _paths(self, item: Item) -> tuple[Path, Path]:
        """Where Labelme looks for the annotation, and where that belongs."""
        link = self.folder / item.link
        return link.with_name(f"{link.stem}.json"), self._dataset.root / item.annotation

    def build(self) -> None:
        """Fill the folder; its list comes first, so that `pick_up` can always clear it."""
        write_json(self.folder / LIST, _Items(self._items), indent=2)
        for item in self._items:
            link, photo = self.folder / item.link, self._dataset.root / item.photo
            link.parent.mkdir(parents=True, exist_ok=True)
            self._copy(item)
            link.unlink(missing_ok=True)  # copying over an old link would write into its photo
            link_or_copy(photo, link, kind="symbolic")

    def _copy(self, item: Item) -> None:
        """Copy an annotation as Labelme 6 can read it: UTF-8, all keys, the photo beside it."""
        copy, place = self._paths(item)
        name, stamp = item.link.rpartition("/")[2], _stamp(place)
        if stamp is None:
            copy.unlink(missing_ok=True)
        else:
            with replacing(copy) as temporary:
                write_annotation(temporary, self._read(place, name))
                os.utime(temporary, ns=(stamp, stamp))
        self._seen[item] = (_stamp(copy), stamp)

    def _read(self, place: Path, name: str) -> Annotation:
        """An annotation for the photo `name` beside it; one that Labelme refuses if it is broken.

        Labelme then shows what is wrong with the file, and lets nobody draw over it.
        """
        try:
            return replace(
                read_annotation(place, known=self._known), image_path=name, image_data=None
            )
        except NotReadableError as error:
            entry = UnreadableShape("", (), raw={"cannot be read": str(error)})
            return Annotation(name, None, None, (entry,))

    def carry(self, *, last: bool = False) -> None:
        """Carry what Labelme saved since the last call to where it belongs; raises OSError.

        What others changed there meanwhile is shown when Labelme comes to it. What was deleted in
        Labelme is deleted at the `last` call only, and only where the folder is whole: somebody may
        be tidying it away.
        """
        for item in self._items:
            copy, place = self._paths(item)
            (before, placed), now = self._seen[item], _stamp(copy)
            if now == before:
                if not last and _stamp(place) != placed:
                    self._copy(item)
            elif now is not None:
                self._store(item)
            elif last and os.path.lexists(self.folder / item.link):
                place.unlink(missing_ok=True)
                self.changed.add(place)

    def _store(self, item: Item) -> None:
        """Write an annotation to its own place, unless Labelme is writing it just now."""
        copy, place = self._paths(item)
        stamp = _stamp(copy)
        try:
            drawn = read_annotation(copy)
        except NotReadableError:
            return
        photo = self._dataset.root / item.photo
        image_path = os.path.relpath(photo, place.parent).replace(os.sep, "/")
        write_annotation(place, replace(drawn, image_path=image_path, image_data=None))
        if stamp is not None:
            os.utime(place, ns=(stamp, stamp))  # so that `pick_up` sees which of the two is newer
        self._seen[item] = (stamp, _stamp(place))
        self.changed.add(place)

    def pick_up(self) -> None:
        """Carry what a session that was cut off had not carried any more."""
        for item in self._items:
            stamp, placed = map(_stamp, self._paths(item))
            if stamp is not None and stamp != item.stamp and stamp > (placed or 0):
                self._store(item)

    def clear(self) -> None:
        """Remove what `build` made and Labelme saved beside the photos, and nothing else."""
        for item in self._items:
            link = self.folder / item.link
            link.unlink(missing_ok=True)
            self._paths(item)[0].unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: what a person saved there stays
                os.removedirs(link.parent)
        (self.folder / LIST).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def pick_up(dataset: Dataset) -> set[Path]:
    """Carry and clear what a session left that was cut off; return the annotations written."""
    path = dataset.root / FOLDER / LIST
    if not path.exists():
        return set()
    try:
        items = parse(_Items, read_json(path), where=str(path)).items
        for item in items:
            for name in (item.photo, item.annotation, f"{FOLDER}/{item.link}"):
                dataset.inside(name, where=str(path))
    except InputError as error:
        hint = "look for drawings in that folder, then remove it"
        raise InputError(f"{error}; a stopped `annotate` left it: {hint}") from None
    session = Session(dataset, items)
    with _said(session.folder):
        session.pick_up()
        session.clear()
    return session.changed


@contextmanager
def session_of(dataset: Dataset, photos: Iterable[tuple[Path, Path, str]]) -> Iterator[Session]:
    """Lay out (photo, annotation, word to be shown) in this order for as long as the block runs."""
    shown = list(photos)
    digits = len(str(len(shown)))
    session = Session(
        dataset,
        (
            Item(
                f"{number:0{digits}}-{word}/{photo.relative_to(dataset.images).as_posix()}",
                dataset.relative(photo),
                dataset.relative(annotation),
                _stamp(annotation),
            )
            for number, (photo, annotation, word) in enumerate(shown, start=1)
        ),
    )
    try:
        with _said(session.folder):
            session.build()
        yield session
    finally:
        with _said(session.folder):
            session.carry(last=True)
            session.clear()


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """Say what can't be written; the folder then keeps what was drawn."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or folder}: cannot be written: {error.strerror}"
        raise InputError(f"{what}; `annotate` again, it goes on from {folder}") from None
