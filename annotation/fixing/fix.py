"""`validate --fix`: fixes that need no judgement, each with a backup of the original file.

All other findings, and fixes that are not certain, are reported with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.fixing.backups import replace_with_backup
from annotation.fixing.file_fixes import (
    FRAME_DOUBTS,
    FileToFix,
    check_certain,
    fix_encoding,
    fix_keys,
    fix_missing_photo,
    fix_path,
    fix_size,
)
from annotation.fixing.safety import Paint, Safety
from annotation.fixing.shape_fixes import (
    OUTSIDE,
    NotFixedError,
    Replacement,
    clip_to_photo,
    drop_repeated_points,
    fix_crossing,
    fix_label,
    unused_group_id,
)
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.decoding import known_words
from annotation.labelme.geometry import ShapeError
from annotation.labelme.photo_index import PhotoIndex
from annotation.rules.checked import Checked
from base.errors import InputError
from base.files import read_regular
from base.naming import fold, printable
from base.progress import track

FILE_FIXES = {
    "file-encoding": fix_encoding,
    "file-duplicate-keys": fix_keys,
    "photo-missing": fix_missing_photo,
    "photo-size": fix_size,
    "photo-path": fix_path,
    "photo-path-leaves": fix_path,
}
# in the order in which they are applied
SHAPE_FIXES = ("label-typo", "points-repeated", "self-crossing", "out-of-picture")


@dataclass(frozen=True)
class Fixed:
    """The outcome of one finding whose rule has a safe fix.

    `shape` is the index before the fix; `what` says what was done, or why nothing was done.
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
        outcome = "fixed  " if self.done else "skipped"
        return printable(f"{outcome} {place}: {self.what} [{self.rule}]")


def fix_dataset(dataset: Dataset, checked: Checked, *, paint: Paint) -> list[Fixed]:
    """Fix what is safe to fix among the findings of a check; the files must not have changed since.

    A fix of shapes is made only if the picture that `paint` returns hardly changes and if it causes
    no finding. The original of a fixed file is kept beside it as NAME.json.orig until
    `confirm_fixes` or `undo_fixes` is called.
    """
    findings = defaultdict(list)
    for finding in checked.findings:
        findings[finding.file].append(finding)
    index = PhotoIndex(dataset, dataset.photos())
    known = known_words([*dataset.config.labels, *(photo.name for photo in index.photos)])
    claims = Counter(one.photo for one in checked.annotations)
    names = Counter(fold(photo.name) for photo in index.photos)
    fixes = []
    for one in track(checked.annotations, "fix"):
        own = findings.get(dataset.relative(one.path), [])
        if any(finding.rule in FILE_FIXES or finding.rule in SHAPE_FIXES for finding in own):
            rules = frozenset(finding.rule for finding in own)
            file = FileToFix(dataset, index, one, rules, claims, names, known)
            fixes += _fix_file(file, own, paint)
    return fixes


def _fix_file(file: FileToFix, findings: Sequence[Finding], paint: Paint) -> list[Fixed]:
    fixable = [f for f in findings if f.rule in FILE_FIXES or f.rule in SHAPE_FIXES]
    path = file.checked.path
    try:
        data = read_regular(path)
        annotation = read_annotation(path, known=file.known)
        check_certain(file, annotation, data)
        fixed, fixes = _fixed(file, annotation, fixable, Safety(file, annotation, paint))
        if any(fix.done for fix in fixes):
            replace_with_backup(path, data, lambda temporary: write_checked(temporary, fixed))
    except (NotFixedError, InputError, OSError) as error:
        why = str(error).removeprefix(f"{path}: ")
        return [Fixed(f.rule, f.file, f.shape, False, why) for f in fixable]
    return fixes


def write_checked(path: Path, annotation: Annotation) -> None:
    """Write a changed file and read it back.

    Raises NotFixedError if a value would be lost: JSON has no NaN, for example.
    """
    try:
        write_annotation(path, annotation)
        same = read_annotation(path) == annotation
    except (ValueError, OverflowError):  # an unpaired surrogate, an infinite number
        same = False
    if not same:
        raise NotFixedError("contains values that cannot be written back, such as NaN")


def _fixed(
    file: FileToFix, annotation: Annotation, findings: Sequence[Finding], safety: Safety
) -> tuple[Annotation, list[Fixed]]:
    """Return the annotation with all safe fixes, and the outcome of each finding."""
    fixes = []
    for finding in findings:
        if finding.rule in FILE_FIXES:
            try:
                annotation, what = FILE_FIXES[finding.rule](file, annotation)
                fixes.append(_outcome(finding, True, what))
            except NotFixedError as error:
                fixes.append(_outcome(finding, False, str(error)))
    shapes, shape_fixes = _fixed_shapes(file, annotation.shapes, findings, safety)
    return replace(annotation, shapes=shapes), [*fixes, *shape_fixes]


def _fixed_shapes(
    file: FileToFix, shapes: Sequence[Shape], findings: Sequence[Finding], safety: Safety
) -> tuple[tuple[Shape, ...], list[Fixed]]:
    """Apply the fixes of shapes rule by rule; return the shapes in order and the outcomes."""
    replaced = [[shape] for shape in shapes]
    fixes = []
    order = SHAPE_FIXES.index
    own = [f for f in findings if f.rule in SHAPE_FIXES and f.shape is not None]
    for finding in sorted(own, key=lambda f: order(f.rule)):
        number = finding.shape or 0
        try:
            if number >= len(replaced):
                raise NotFixedError("the file was changed since it was checked")
            group = unused_group_id(chain.from_iterable(replaced))
            replacements = [_fix_shape(file, finding.rule, s, group) for s in replaced[number]]
            parts = [shape for one in replacements for shape in one.shapes]
            if not parts:
                raise NotFixedError(OUTSIDE)
            if finding.rule != "label-typo":  # which is meant to add a thing to the picture
                changed = [*replaced[:number], parts, *replaced[number + 1 :]]
                safety.check(tuple(chain(*replaced)), tuple(chain(*changed)))
        except (NotFixedError, ShapeError) as error:
            fixes.append(_outcome(finding, False, str(error)))
        else:
            replaced[number] = parts
            fixes.append(_outcome(finding, True, replacements[0].what))
    return tuple(chain.from_iterable(replaced)), fixes


def _fix_shape(file: FileToFix, rule: str, shape: Shape, group: int) -> Replacement:
    config, size = file.dataset.config, file.checked.size
    if rule == "label-typo":
        return fix_label(shape, config.labels)
    if rule == "points-repeated":
        return drop_repeated_points(shape, config.limits)
    if rule == "self-crossing":
        return fix_crossing(shape, config, group)
    if size is None or file.checked.photo is None or file.rules & FRAME_DOUBTS:
        raise NotFixedError("its photo is not certain; see the other findings of the file")
    return clip_to_photo(shape, config, group, size)


def _outcome(finding: Finding, done: bool, what: str) -> Fixed:
    return Fixed(finding.rule, finding.file, finding.shape, done, what)
