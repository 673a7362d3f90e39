"""`validate --fix`: repairs that need no judgement, each with the original kept beside it.

Everything else, and every repair that is not certain, is left to a person, with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.fixing.mending import (
    LeftError,
    Mended,
    clip,
    drop_repeated,
    free_group,
    mend_crossing,
    mend_label,
)
from annotation.fixing.originals import confirm_fixes, replace_kept, undo_fixes
from annotation.fixing.repair import (
    FRAME_DOUBTS,
    Case,
    check_certain,
    repair_encoding,
    repair_keys,
    repair_path,
    repair_size,
)
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.decoding import known_words
from annotation.labelme.geometry import ShapeError
from annotation.labelme.photo_index import PhotoIndex
from annotation.rules.validate import Checked
from base.errors import InputError
from base.naming import fold, printable
from base.progress import track

__all__ = ["Fixed", "confirm_fixes", "fix_dataset", "undo_fixes"]

FILE_REPAIRS = {
    "file-encoding": repair_encoding,
    "file-duplicate-keys": repair_keys,
    "photo-size": repair_size,
    "photo-path": repair_path,
    "photo-path-leaves": repair_path,
}
SHAPE_REPAIRS = ("label-typo", "points-repeated", "self-crossing", "out-of-picture")  # in turn


@dataclass(frozen=True)
class Fixed:
    """What became of one finding; `shape` is its index before the fix, `what` was done or why not.

    Findings of rules without a safe fix have none.
    """

    rule: str
    file: str
    shape: int | None
    done: bool
    what: str

    @property
    def line(self) -> str:
        """One line for a terminal."""
        place = self.file if self.shape is None else f"{self.file}: shapes[{self.shape}]"
        return printable(f"{'fixed' if self.done else 'left':7} {place}: {self.what} [{self.rule}]")


def fix_dataset(dataset: Dataset, checked: Checked) -> list[Fixed]:
    """Fix what is safe to fix among the findings, which have to be those of the files as they are.

    A fixed file's original stays beside it as NAME.json.orig until `confirm_fixes` or `undo_fixes`.
    """
    findings = defaultdict(list)
    for finding in checked.findings:
        findings[finding.file].append(finding)
    index = PhotoIndex(dataset, dataset.photos())
    known = known_words([*dataset.config.labels, *(photo.name for photo in index.photos)])
    claims = Counter(record.photo for record in checked.records)
    names = Counter(fold(photo.name) for photo in index.photos)
    fixes = []
    for record in track(checked.records, "fix"):
        own = findings.get(dataset.relative(record.path), [])
        if any(finding.rule in FILE_REPAIRS or finding.rule in SHAPE_REPAIRS for finding in own):
            rules = frozenset(finding.rule for finding in own)
            fixes += _fix_file(Case(dataset, index, record, rules, claims, names, known), own)
    return fixes


def _fix_file(case: Case, findings: Sequence[Finding]) -> list[Fixed]:
    fixable = [f for f in findings if f.rule in FILE_REPAIRS or f.rule in SHAPE_REPAIRS]
    path = case.record.path
    try:
        data = path.read_bytes()
        annotation = read_annotation(path, known=case.known)
        check_certain(case, annotation, data)
        fixed, fixes = _fixed(case, annotation, fixable)
        if any(fix.done for fix in fixes):
            replace_kept(path, data, lambda temporary: _write(temporary, fixed))
    except (LeftError, InputError, OSError) as error:
        why = str(error).removeprefix(f"{path}: ")
        return [Fixed(f.rule, f.file, f.shape, False, why) for f in fixable]
    return fixes


def _write(path: Path, annotation: Annotation) -> None:
    """Write the fixed file and read it again: what JSON cannot hold (NaN) must not be lost."""
    try:
        write_annotation(path, annotation)
        same = read_annotation(path) == annotation
    except (ValueError, OverflowError):  # half a surrogate, an endless number
        same = False
    if not same:
        raise LeftError("holds values that cannot be written again, such as NaN")


def _fixed(
    case: Case, annotation: Annotation, findings: Sequence[Finding]
) -> tuple[Annotation, list[Fixed]]:
    """The annotation with all safe fixes, and what became of each finding."""
    fixes = []
    for finding in findings:
        if finding.rule in FILE_REPAIRS:
            try:
                annotation, what = FILE_REPAIRS[finding.rule](case, annotation)
                fixes.append(_outcome(finding, True, what))
            except LeftError as error:
                fixes.append(_outcome(finding, False, str(error)))
    shapes, shape_fixes = _fixed_shapes(case, annotation.shapes, findings)
    return replace(annotation, shapes=shapes), [*fixes, *shape_fixes]


def _fixed_shapes(
    case: Case, shapes: Sequence[Shape], findings: Sequence[Finding]
) -> tuple[tuple[Shape, ...], list[Fixed]]:
    """Shapes in their order, each replaced by what it became; rules take their turns."""
    became = [[shape] for shape in shapes]
    fixes = []
    order = SHAPE_REPAIRS.index
    own = [f for f in findings if f.rule in SHAPE_REPAIRS and f.shape is not None]
    for finding in sorted(own, key=lambda f: order(f.rule)):
        number = finding.shape or 0
        try:
            if number >= len(became):
                raise LeftError("the file was changed since it was checked")
            group = free_group(chain.from_iterable(became))
            mended = [_mended(case, finding.rule, part, group) for part in became[number]]
            parts = [shape for one in mended for shape in one.shapes]
            if not parts:
                raise LeftError("nothing of it lies in the picture")
        except (LeftError, ShapeError) as error:
            fixes.append(_outcome(finding, False, str(error)))
        else:
            became[number] = parts
            fixes.append(_outcome(finding, True, mended[0].what))
    return tuple(chain.from_iterable(became)), fixes


def _mended(case: Case, rule: str, shape: Shape, group: int) -> Mended:
    config, size = case.dataset.config, case.record.size
    if rule == "label-typo":
        return mend_label(shape, config.labels)
    if rule == "points-repeated":
        return drop_repeated(shape, config.limits)
    if rule == "self-crossing":
        return mend_crossing(shape, config, group)
    if size is None or case.record.photo is None or case.rules & FRAME_DOUBTS:
        raise LeftError("its picture is not certain; see the other findings of the file")
    return clip(shape, config, group, size)


def _outcome(finding: Finding, done: bool, what: str) -> Fixed:
    return Fixed(finding.rule, finding.file, finding.shape, done, what)
