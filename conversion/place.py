"""The last step of a conversion: PNGs, links and JSON files into their places below `panoptic/`."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from annotation.dataset import Dataset
from annotation.files import InputError, replacing, write_json
from conversion.categories import Category
from conversion.painter import Task
from conversion.panoptic import category_values
from conversion.split import Remembered, read_dealt, remember
from conversion.store import Column, Store

PARTS = ("annotation", "photo", "stuff")
NEW = ".new"  # below `panoptic/`: PNGs of photos that are in no split yet


@dataclass(frozen=True)
class Built:
    """What `convert` did: `fresh` is False where the set was up to date already.

    `changes` counts what the set's rules did: things hidden and dropped, and pixels. `left_out`
    are annotation files and why.
    """

    fresh: bool
    photos: dict[str, int]
    segments: int
    changes: dict[str, int]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Plan:
    """All photos of the set to be, painted already, in the order of their names."""

    dataset: Dataset
    tasks: Sequence[Task]
    split: Mapping[str, str]
    remembered: Mapping[str, str]  # photos that are gone for now, too
    categories: tuple[Category, ...]
    left_out: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.dataset.panoptic

    def splits(self) -> tuple[str, ...]:
        return tuple(self.dataset.config.split.shares)

    def png(self, task: Task) -> str:
        """Where the PNG of a photo belongs, below `panoptic/`."""
        return f"panoptic_{self.split[task.photo.file_name]}/{task.photo.png_name}"

    def dealt(self) -> Remembered:
        """What `split.json` is to say, photos that are gone for now included."""
        return remember(self.dataset, {**self.remembered, **self.split})

    def of(self, split: str) -> list[str]:
        """Names of the photos of one split."""
        names = (task.photo.file_name for task in self.tasks)
        return [name for name in names if self.split[name] == split]

    def inputs(self) -> str:
        """Digest of all that decides what is built."""
        config = self.dataset.config
        said = [config.name, config.split, category_values(self.categories), self.left_out]
        total = sha256(msgspec.json.encode(said))
        for task in self.tasks:
            total.update(task.key + self.png(task).encode() + b"\0")
        return total.hexdigest()


class _Manifest(msgspec.Struct):
    inputs: str
    result: dict[str, Any]
    files: dict[str, str] = {}


def placed(plan: Plan, store: Store) -> Built | None:
    """What was built, where everything is in its place already."""
    path = plan.folder / "manifest.json"
    try:
        if read_dealt(plan.dataset) != plan.dealt():
            return None
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
        if manifest.inputs != plan.inputs():
            return None
        for name, found in manifest.files.items():
            if store.digest(plan.folder / name).hex() != found:
                return None
    except (OSError, msgspec.DecodeError):
        return None
    for split in plan.splits():
        wanted = {task.photo.png_name for task in plan.tasks if plan.split[_name(task)] == split}
        if wanted != set(_files_below(plan.folder / f"panoptic_{split}")):
            return None
        if set(plan.of(split)) != set(_files_below(plan.folder / split)):
            return None
    return msgspec.convert({**manifest.result, "fresh": False}, Built)


def place(plan: Plan, store: Store) -> Built:
    """Put everything into its place; the manifest comes last and says that the set is whole."""
    (plan.folder / "manifest.json").unlink(missing_ok=True)
    old = read_dealt(plan.dataset)
    write_json(plan.folder / "split.json", plan.dealt(), indent=1)
    _move_pngs(plan, store)
    _remove_strange(plan, () if old is None else old.rule["shares"])
    for split in plan.splits():
        _link_photos(plan, split)
    files = {}
    for split in plan.splits():
        names = plan.of(split)
        (plan.folder / f"panoptic_{split}").mkdir(exist_ok=True)  # may be empty, but is a set
        for kind in ("panoptic", "instances"):
            path = plan.folder / "annotations" / f"{kind}_{split}.json"
            with replacing(path) as temporary, temporary.open("wb") as file:
                file.writelines(_json(plan, store, kind, names))
            files[f"annotations/{path.name}"] = store.digest(path).hex()
    built = _built(plan, store)
    with replacing(plan.folder / "manifest.json") as temporary, temporary.open("wb") as file:
        file.writelines(_manifest(plan, store, built, files))
    return built


def _name(task: Task) -> str:
    return task.photo.file_name


def _files_below(folder: Path) -> Iterator[str]:
    """Paths of all files and links below a folder, with slashes."""
    root = str(folder)
    for place, _, names in os.walk(root):
        below = place[len(root) + 1 :].replace(os.sep, "/")
        yield from (f"{below}/{name}" if below else name for name in names)


def _move_pngs(plan: Plan, store: Store) -> None:
    for task in plan.tasks:
        wanted = plan.png(task)
        row = store.painted(_name(task))
        if row is not None and row[1] != wanted:
            path = plan.folder / wanted
            path.parent.mkdir(parents=True, exist_ok=True)
            (plan.folder / row[1]).replace(path)
            store.moved(_name(task), wanted)
    store.commit()


def check_place(dataset: Dataset) -> None:
    """InputError where a link lies where files are removed: what it leads to is not the set's."""
    for path in dataset.panoptic.iterdir() if dataset.panoptic.is_dir() else ():
        if path.is_symlink():
            raise InputError(f"{path}: is a link; expected what `convert` itself has put there")


def _remove_strange(plan: Plan, old_splits: Iterable[str]) -> None:
    """Take away what an earlier build left: halves of files, other splits, strange PNGs."""
    shutil.rmtree(plan.folder / NEW, ignore_errors=True)
    for folder in (plan.folder, plan.folder / "annotations"):
        for half in folder.glob(".*.json"):  # what a kill left of a file being written
            half.unlink()
    wanted = {plan.png(task) for task in plan.tasks}
    for split in set(old_splits) - set(plan.splits()):
        for folder in (plan.folder / f"panoptic_{split}", plan.folder / split):
            shutil.rmtree(folder, ignore_errors=True)  # PNGs, links and copies
        for kind in ("panoptic", "instances"):
            (plan.folder / "annotations" / f"{kind}_{split}.json").unlink(missing_ok=True)
    for split in plan.splits():
        folder = plan.folder / f"panoptic_{split}"
        for name in list(_files_below(folder)):
            if f"{folder.name}/{name}" not in wanted:
                (folder / name).unlink()
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    for place, _, _ in sorted(os.walk(folder), reverse=True):
        with suppress(OSError):  # not empty
            Path(place).rmdir()


def _link_photos(plan: Plan, split: str) -> None:
    """Fill `panoptic/<split>/` with links to the photos; with copies where links do not work."""
    folder, wanted = plan.folder / split, plan.of(split)
    for name in set(_files_below(folder)) - set(wanted):
        (folder / name).unlink()
    _remove_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        link, source = folder / name, plan.dataset.images / name
        link.parent.mkdir(parents=True, exist_ok=True)
        target = os.path.relpath(source, link.parent)
        try:
            if os.readlink(link) == target:  # noqa: PTH115 (a third of the time)
                continue
            link.unlink()
        except FileNotFoundError:
            pass
        except OSError:  # a copy, or a link that leads elsewhere
            link.unlink()
        try:
            link.symlink_to(target)
        except OSError:
            with replacing(link) as temporary:
                shutil.copyfile(source, temporary)


def _json(plan: Plan, store: Store, kind: Column, names: Sequence[str]) -> Iterator[bytes]:
    """One JSON file, piece by piece: a million photos do not fit into memory."""
    categories = plan.categories
    info: dict[str, Any] = {"description": plan.dataset.config.name}
    if kind == "instances":
        categories = tuple(c for c in categories if c.isthing)
        info["masks"] = plan.dataset.config.instances
    yield b'{"info":' + msgspec.json.encode(info) + b',"images":['
    yield from _joined(store.column("image", names))
    yield b'],"annotations":['
    yield from _joined(store.column(kind, names))
    yield b'],"categories":' + msgspec.json.encode(category_values(categories)) + b"}"


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        if piece:
            yield piece if first else b",\n" + piece
            first = False


def _built(plan: Plan, store: Store) -> Built:
    names = [_name(task) for task in plan.tasks]
    segments, changes = 0, Counter[str]()
    for counts in store.column("counts", names):
        segments += sum(msgspec.json.decode(counts, type=dict[int, int]).values())
    for one in store.column("changes", names):
        for name, value in msgspec.json.decode(one).items():
            changes[name] += len(value) if isinstance(value, list) else value
    photos = {split: len(plan.of(split)) for split in plan.splits()}
    return Built(True, photos, segments, dict(changes), plan.left_out)


def _manifest(plan: Plan, store: Store, built: Built, files: Mapping[str, str]) -> Iterator[bytes]:
    """What was built from what: a line a photo, with its key and what the rules changed."""
    result = {name: value for name, value in asdict(built).items() if name != "fresh"}
    head = {
        "inputs": plan.inputs(),
        "seed": plan.dataset.config.split.seed,
        "versions": dict(plan.versions),
        "result": result,
        "files": dict(files),
    }
    yield msgspec.json.format(msgspec.json.encode(head), indent=2)[:-2] + b',\n  "photos": {'
    changes = store.column("changes", [_name(task) for task in plan.tasks])
    for number, (task, changed) in enumerate(zip(plan.tasks, changes, strict=True)):
        made_of = {name: one.hex() for name, one in zip(PARTS, task.made_of, strict=True)}
        entry = {**made_of, "png": plan.png(task), "changes": msgspec.Raw(changed)}
        line = msgspec.json.encode(_name(task)) + b": " + msgspec.json.encode(entry)
        yield (b",\n    " if number else b"\n    ") + line
    yield b"\n  }\n}\n"
