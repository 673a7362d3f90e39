"""The folder that Labelme opens: links to photos in the wanted order, and their annotations.

Labelme sorts the photos of a folder by path. It looks for an annotation beside the photo or, if it
has an output folder, there under the name of the photo without its folder, so that photos with the
same name share an annotation. Therefore each photo is linked in a numbered folder of its own, with
a copy of its annotation. What Labelme saves there is stored in the data set at once, without the
proposals that were added to the copy and not accepted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from annotation.dataset import Dataset
from annotation.labeling.items import FOLDER, SessionItem, read_items, write_items
from annotation.labeling.keeping import keep_drawing
from annotation.labeling.showing import show, showable
from annotation.labelme.annotation import (
    Annotation,
    NotReadableError,
    Shape,
    UnreadableShape,
    encode_annotation,
    read_annotation,
    write_annotation,
)
from annotation.labelme.decoding import known_words
from annotation.labelme.proposals import with_proposals, without_proposals
from base.errors import InputError
from base.files import replacing
from base.locks import BusyError, locked, working_on

LIST, LOCK = "session.json", "lock"


Added = Mapping[Path, Sequence[Shape]]  # proposals by photo


@contextmanager
def lock_dataset(dataset: Dataset) -> Iterator[int]:
    """Let one Labelme at a time open a set; yield the descriptor that holds the lock.

    Labelme inherits it, so that the set is locked until its window is closed. Raises InputError if
    the set is locked already.
    """
    path = dataset.root / FOLDER / LOCK
    busy = f"{dataset.root}: is open in Labelme; close that window"
    with locked(path, busy=busy) as lock:
        try:
            yield lock
        finally:
            if not (dataset.root / FOLDER / LIST).exists():
                path.unlink(missing_ok=True)
                with suppress(OSError):  # not empty: a person has saved something there
                    path.parent.rmdir()


class Session:
    """The folder while Labelme is open; `changed` are the annotations that were stored."""

    def __init__(
        self, dataset: Dataset, items: Iterable[SessionItem], added: Added | None = None
    ) -> None:
        self.folder = dataset.root / FOLDER
        self.changed: set[Path] = set()
        self._dataset, self._added = dataset, added or {}
        self._items = tuple(items)
        # modification times of the copy and of the annotation
        self._seen = {item.link: (item.stamp, item.stamp) for item in self._items}
        names = (item.photo.rpartition("/")[2] for item in self._items)
        self._known = known_words([*dataset.config.labels, *names])

    def _paths(self, item: SessionItem) -> tuple[Path, Path]:
        """Return the path of the copy that Labelme opens, and that of the annotation."""
        link = self.folder / item.link
        return link.with_name(f"{link.stem}.json"), self._dataset.root / item.annotation

    def build(self) -> None:
        """Fill the folder; the list is written first, so that `recover_session` can clear it."""
        self._write_list()
        for item in self._items:
            link, photo = self.folder / item.link, self._dataset.root / item.photo
            link.parent.mkdir(parents=True, exist_ok=True)
            self._copy(item)
            link.unlink(missing_ok=True)  # copying to an old link would overwrite its photo
            show(photo, link)

    def _write_list(self) -> None:
        """Record which state of each annotation its copy is equal to, unless Labelme saves it."""
        items = tuple(replace(item, stamp=self._seen[item.link][1]) for item in self._items)
        write_items(self.folder / LIST, items)

    def _copy(self, item: SessionItem) -> None:
        """Copy an annotation in a form that Labelme 6 can read, with the photo beside it."""
        copy, annotation = self._paths(item)
        name, stamp = item.link.rpartition("/")[2], _stamp(annotation)
        added = self._added.get(self._dataset.root / item.photo, ())
        if stamp is None and not added:
            copy.unlink(missing_ok=True)
        else:
            with replacing(copy) as temporary:
                shown = self._read(annotation, name)
                write_annotation(temporary, with_proposals(shown, added))
                # a copy that has only proposals gets the time 0
                os.utime(temporary, ns=(stamp or 0, stamp or 0))
        self._seen[item.link] = (_stamp(copy), stamp)

    def _read(self, path: Path, name: str) -> Annotation:
        """Read an annotation for the photo `name` beside the copy; a missing one is empty.

        If it cannot be read, return one that Labelme refuses to open: Labelme shows the error, and
        the person cannot overwrite the file by accident.
        """
        if not path.exists():
            return Annotation(name, None, None, ())
        try:
            stored = read_annotation(path, known=self._known)
            shapes = tuple(map(showable, stored.shapes))
            return replace(stored, shapes=shapes, image_path=name, image_data=None)
        except NotReadableError as error:
            entry = UnreadableShape("", (), raw={"cannot be read": str(error)})
            return Annotation(name, None, None, (entry,))

    def store_changes(self, *, last: bool = False) -> None:
        """Store the annotations that Labelme has saved since the previous call.

        Annotations that were changed in the data set meanwhile are copied again, so that Labelme
        shows the changes. Those deleted in Labelme are deleted only at the `last` call, and only if
        the link to the photo exists: a person may have deleted the folder. Raises OSError if a file
        cannot be written.
        """
        for item in self._items:
            copy, annotation = self._paths(item)
            (before, stored), now = self._seen[item.link], _stamp(copy)
            if now == before:
                if not last and _stamp(annotation) != stored:
                    self._copy(item)
                    self._write_list()
            elif now is not None:
                with suppress(BusyError):  # stored at the next call; the last one waits
                    self._store(item, wait=last)
            elif last and os.path.lexists(self.folder / item.link):
                with working_on(self._dataset.root, "annotate"):
                    annotation.unlink(missing_ok=True)
                self.changed.add(annotation)

    def _store(self, item: SessionItem, *, wait: bool = True) -> None:
        """Store an annotation in the data set, unless Labelme is still writing the copy.

        If nobody is, because this call may `wait`, a copy that cannot be read is kept. Raises
        BusyError, without `wait`, if another command is writing to the set.
        """
        copy, path = self._paths(item)
        stamp = _stamp(copy)
        drawn = self._drawn(item)
        if drawn is None:
            if wait:
                self._keep(item, "Labelme did not write all of it")
            return
        with working_on(self._dataset.root, "annotate", wait=wait):
            write_annotation(path, drawn, durable=True)
        if stamp is not None:
            os.utime(path, ns=(stamp, stamp))  # so that `recover` knows that they are equal
        self._seen[item.link] = (stamp, _stamp(path))
        self._write_list()
        self.changed.add(path)

    def _drawn(self, item: SessionItem) -> Annotation | None:
        """Read what Labelme has saved, as it is stored in the set; None if it is not complete."""
        copy, path = self._paths(item)
        try:
            drawn = without_proposals(read_annotation(copy))
        except NotReadableError:
            return None
        photo = self._dataset.root / item.photo
        image_path = os.path.relpath(photo, path.parent).replace(os.sep, "/")
        return replace(drawn, image_path=image_path, image_data=None)

    def recover(self) -> None:
        """Store the annotations that an interrupted session did not store.

        If an annotation was changed since it was copied, it stays, and the drawing is kept beside
        it.
        """
        for item in self._items:
            stamp, stored = map(_stamp, self._paths(item))
            if stamp is None or stamp in (item.stamp or 0, stored):
                continue
            if stored in (None, item.stamp):
                self._store(item)
            else:
                self._keep(item, "the file was changed after Labelme had opened it")

    def _keep(self, item: SessionItem, reason: str) -> None:
        """Keep a drawing beside the annotation, where no command reads it, and print its path."""
        copy, path = self._paths(item)
        drawn = self._drawn(item)
        data = copy.read_bytes() if drawn is None else encode_annotation(drawn)
        with working_on(self._dataset.root, "annotate"):
            kept = keep_drawing(path, data)
        if kept is not None:
            print(f"{item.annotation}: the last drawing is kept in {kept}, because {reason}")

    def clear(self) -> None:
        """Remove only what `build` made and what Labelme saved beside the photos."""
        for item in self._items:
            link = self.folder / item.link
            link.unlink(missing_ok=True)
            self._paths(item)[0].unlink(missing_ok=True)
            with suppress(OSError):  # not empty: a person has saved something there
                os.removedirs(link.parent)
        (self.folder / LIST).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def recover_session(dataset: Dataset) -> set[Path]:
    """Store what an interrupted session left and clear its folder; return the annotations stored.

    Raises InputError if its list is damaged or a file cannot be written.
    """
    path = dataset.root / FOLDER / LIST
    if not path.exists():
        return set()
    session = Session(dataset, read_items(path, dataset))
    with _write_errors(session.folder):
        session.recover()
        session.clear()
    return session.changed


@contextmanager
def open_session(
    dataset: Dataset, photos: Iterable[tuple[Path, Path, str]], added: Added | None = None
) -> Iterator[Session]:
    """Provide the folder with (photo, annotation, word to show) in this order during the block.

    The copies also have the proposals `added`. Raises InputError if a file cannot be written.
    """
    shown = list(photos)
    digits = len(str(len(shown)))
    session = Session(
        dataset,
        (
            SessionItem(
                f"{number:0{digits}}-{word}/{photo.relative_to(dataset.images).as_posix()}",
                dataset.relative(photo),
                dataset.relative(annotation),
                _stamp(annotation),
            )
            for number, (photo, annotation, word) in enumerate(shown, start=1)
        ),
        added,
    )
    try:
        with _write_errors(session.folder):
            session.build()
        yield session
    finally:
        with _write_errors(session.folder):
            session.store_changes(last=True)
            session.clear()


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError into an InputError; the annotations remain in the folder."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename or folder}: cannot be written: {error.strerror}"
        raise InputError(f"{what}; run `annotate` again to continue from {folder}") from None
