"""The last step of a conversion: PNGs, links and JSON files into their places below `panoptic/`."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import replacing
from base.links import link_or_copy
from conversion.building.plan import NEW, Plan
from conversion.building.split import read_split_file, rule_of
from conversion.coco.categories import Category
from conversion.coco.panoptic import category_values
from conversion.config import ConversionConfig

KINDS: tuple[Literal["panoptic", "instances"], ...] = ("panoptic", "instances")
PARTS = ("annotation", "photo", "stuff")


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
class Build:
    """A set whose photos are all planned, painted and dealt."""

    dataset: Dataset
    config: ConversionConfig
    plan: Plan
    categories: tuple[Category, ...]
    versions: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.dataset.panoptic

    def splits(self) -> tuple[str, ...]:
        return tuple(self.config.split.shares)

    def inputs(self) -> str:
        """Digest of all that decides what is built."""
        name, split = self.dataset.config.name, self.config.split
        said = [name, split, category_values(self.categories), self.plan.left_out]
        total = sha256(msgspec.json.encode(said))
        for key, png in self.plan.inputs():
            total.update(key + png.encode() + b"\0")
        return total.hexdigest()

    def dealt(self) -> Iterator[bytes]:
        """What `split.json` is to say: the rule, and the split of every photo there ever was."""
        rule = {"rule": rule_of(self.config.split)}
        yield msgspec.json.format(msgspec.json.encode(rule), indent=1)[:-2] + b',\n "photos": {'
        yield from _lines((name, split) for name, split in self.plan.dealt())
        yield b"\n }\n}"


class _Manifest(msgspec.Struct):
    inputs: str
    result: dict[str, Any]
    files: dict[str, str] = {}


def placed(build: Build) -> Built | None:
    """What was built, where everything is in its place already."""
    folder, plan = build.folder, build.plan
    try:
        said = sha256()
        for part in build.dealt():
            said.update(part)
        if plan.store.digest(folder / "split.json") != said.digest():
            return None
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=_Manifest)
        if manifest.inputs != build.inputs():
            return None
        for name, found in manifest.files.items():
            if plan.store.digest(folder / name).hex() != found:
                return None
    except (OSError, msgspec.DecodeError):
        return None
    for split in build.splits():
        if _all_of(plan.png_names(split)) != _all_of(_files_below(folder / f"panoptic_{split}")):
            return None
        if _all_of(plan.photos(split)) != _all_of(_files_below(folder / split)):
            return None
    return msgspec.convert({**manifest.result, "fresh": False}, Built)


def _all_of(names: Iterable[str]) -> tuple[int, int]:
    """The same for the same distinct names in any order, without keeping them."""
    count = total = 0
    for name in names:
        count += 1
        total += hash(name)
    return count, total


def place(build: Build) -> Built:
    """Put everything into its place; the manifest comes last and says that the set is whole."""
    folder, plan = build.folder, build.plan
    (folder / "manifest.json").unlink(missing_ok=True)
    _move_pngs(build)
    old = read_split_file(build.dataset)
    _remove_strange(build, () if old is None else old.rule["shares"])
    _write(folder / "split.json", build.dealt())  # the old one names what is still to be removed
    for split in build.splits():
        _link_photos(build, split)
    files = {}
    for split in build.splits():
        (folder / f"panoptic_{split}").mkdir(exist_ok=True)  # may be empty, but is a set
        for kind in KINDS:
            path = folder / "annotations" / f"{kind}_{split}.json"
            _write(path, _json(build, kind, split))
            files[f"annotations/{path.name}"] = plan.store.digest(path).hex()
    built = _built(build)
    _write(folder / "manifest.json", _manifest(build, built, files))
    return built


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def _files_below(folder: Path) -> Iterator[str]:
    """Paths of all files and links below a folder, with slashes."""
    root = str(folder)
    for place, _, names in os.walk(root):
        below = place[len(root) + 1 :].replace(os.sep, "/")
        yield from (f"{below}/{name}" if below else name for name in names)


def _move_pngs(build: Build) -> None:
    for png, wanted in build.plan.moves():
        path = build.folder / wanted
        path.parent.mkdir(parents=True, exist_ok=True)
        (build.folder / png).replace(path)
    build.plan.moved()


def check_place(dataset: Dataset) -> None:
    """InputError where a link lies where files are removed: what it leads to is not the set's."""
    for path in dataset.panoptic.iterdir() if dataset.panoptic.is_dir() else ():
        if path.is_symlink():
            raise InputError(f"{path}: is a link; expected what `convert` itself has put there")


def _remove_strange(build: Build, old_splits: Iterable[str]) -> None:
    """Take away what an earlier build left: halves of files, other splits, strange PNGs."""
    root = build.folder
    shutil.rmtree(root / NEW, ignore_errors=True)
    for folder in (root, root / "annotations"):
        for half in folder.glob(".*.json"):  # what a kill left of a file being written
            half.unlink()
    for split in set(old_splits) - set(build.splits()):
        for folder in (root / f"panoptic_{split}", root / split):
            shutil.rmtree(folder, ignore_errors=True)  # PNGs, links and copies
        for kind in KINDS:
            (root / "annotations" / f"{kind}_{split}.json").unlink(missing_ok=True)
    for split in build.splits():
        folder = root / f"panoptic_{split}"
        for name in _files_below(folder):
            if not build.plan.has(split, png=name):
                (folder / name).unlink()
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    for place, _, _ in sorted(os.walk(folder), reverse=True):
        with suppress(OSError):  # not empty
            Path(place).rmdir()


def _link_photos(build: Build, split: str) -> None:
    """Fill `panoptic/<split>/` with links to the photos; with copies where links do not work."""
    folder = build.folder / split
    for name in _files_below(folder):
        if not build.plan.has(split, photo=name):
            (folder / name).unlink()
    _remove_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, below = build.dataset.root.resolve() / "images", folder.resolve()
    for name in build.plan.photos(split):
        link, source = folder / name, images / name
        with suppress(OSError):  # missing, or a copy; comparing first takes a third of the time
            if os.readlink(link) == os.path.relpath(source, (below / name).parent):  # noqa: PTH115
                continue
        link.unlink(missing_ok=True)
        link_or_copy(source, link, kind="symbolic")


def _json(build: Build, kind: Literal["panoptic", "instances"], split: str) -> Iterator[bytes]:
    """One JSON file, piece by piece: a million photos do not fit into memory."""
    categories = build.categories
    info: dict[str, Any] = {"description": build.dataset.config.name}
    if kind == "instances":
        categories = tuple(c for c in categories if c.isthing)
        info["masks"] = build.config.instances
    yield b'{"info":' + msgspec.json.encode(info) + b',"images":['
    yield from _joined(build.plan.pieces("image", split))
    yield b'],"annotations":['
    yield from _joined(build.plan.pieces(kind, split))
    yield b'],"categories":' + msgspec.json.encode(category_values(categories)) + b"}"


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        if piece:
            yield piece if first else b",\n" + piece
            first = False


def _built(build: Build) -> Built:
    plan = build.plan
    segments, changes = 0, Counter[str]()
    for counts in plan.counts().values():
        segments += sum(counts.values())
    for one in plan.pieces("changes"):
        for name, value in msgspec.json.decode(one).items():
            changes[name] += len(value) if isinstance(value, list) else value
    sizes = plan.sizes()
    photos = {split: sizes.get(split, 0) for split in build.splits()}
    return Built(True, photos, segments, dict(changes), tuple(plan.left_out))


def _manifest(build: Build, built: Built, files: Mapping[str, str]) -> Iterator[bytes]:
    """What was built from what: a line a photo, with its key and what the rules changed."""
    result = {name: value for name, value in asdict(built).items() if name != "fresh"}
    head = {
        "inputs": build.inputs(),
        "seed": build.config.split.seed,
        "versions": dict(build.versions),
        "result": result,
        "files": dict(files),
    }
    yield msgspec.json.format(msgspec.json.encode(head), indent=2)[:-2] + b',\n  "photos": {'
    entries = (
        (
            name,
            {
                **{part: one.hex() for part, one in zip(PARTS, made_of, strict=True)},
                "png": png,
                "changes": msgspec.Raw(changes),
            },
        )
        for name, png, made_of, changes in build.plan.entries()
    )
    yield from _lines(entries, indent=4)
    yield b"\n  }\n}\n"


def _lines(values: Iterable[tuple[str, Any]], *, indent: int = 2) -> Iterator[bytes]:
    """Members of a JSON object, a line each."""
    comma = b""
    for name, value in values:
        line = msgspec.json.encode(name) + b": " + msgspec.json.encode(value)
        yield comma + b"\n" + b" " * indent + line
        comma = b","
