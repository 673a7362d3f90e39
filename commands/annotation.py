"""Subcommands for drawing and checking: `annotate` and `validate`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from annotation.dataset import Dataset
from annotation.report.listing import checked_line
from annotation.rules.checked import Checked
from base.errors import InputError
from base.locks import working_on
from base.parsing import write_json
from commands.arguments import DatasetPath, check_file
from commands.printing import print_findings

if TYPE_CHECKING:
    from annotation.labeling.launch import Annotated


def annotate(dataset: DatasetPath, only: Path | None = None) -> None:
    """Open the photos in Labelme, starting with those that need work; then check the changes.

    Args:
        dataset: folder with dataset.yaml; if that file is missing, one is proposed from the labels.
        only: open the photos in this file, in order: one path below images/ per line; - is stdin.
    """
    from annotation.labeling.launch import annotate as open_labelme
    from labelme_panoptic_detr.datasets import check, open_or_propose

    done = open_labelme(open_or_propose(dataset), only, check=check)
    print_annotated(done)
    if any(finding.severity == "error" for finding in done.findings):
        sys.exit(1)


def print_annotated(done: Annotated) -> None:
    """Print what a person changed in Labelme, the findings on it, and what is left to do."""
    print(f"changed annotations: {len(done.changed)}")
    if done.findings:  # on the changed files only
        print_findings(done.findings)
    print(done.left)


def validate(
    dataset: DatasetPath,
    json: Path | None = None,
    html: Path | None = None,
    pixels: bool = True,
    fix: bool = False,
    confirm: bool = False,
    undo: bool = False,
) -> None:
    """Check every Labelme file and list all findings; the exit status is 1 if any is an error.

    With --no-pixels, problems in the pixels of photos are reported only if an earlier check found
    them.

    Args:
        dataset: folder with dataset.yaml; if that file is missing, one is proposed from the labels.
        json: also write the findings to this JSON file.
        html: also write a page that shows each finding on its photo.
        pixels: also decode the photos, to find damaged, duplicate and mismatched ones.
        fix: make safe repairs first; the originals are kept as *.json.orig.
        confirm: delete the originals that --fix kept.
        undo: restore the originals that --fix kept.
    """
    if fix + confirm + undo > 1:
        raise InputError("--fix, --confirm, --undo: expected at most one of them, found several")
    check_file(json, "--json", ".json")
    check_file(html, "--html", ".html")
    from labelme_panoptic_detr.datasets import open_or_propose
    from labelme_panoptic_detr.datasets import validate as check

    opened = open_or_propose(dataset)
    if confirm or undo:
        with working_on(opened.root, f"validate --{'undo' if undo else 'confirm'}"):
            _end_fixes(opened, undo=undo)
    with working_on(opened.root, "validate --fix") if fix else nullcontext():
        checked = check(opened, pixels=pixels)
        if fix and _fix(opened, checked):
            checked = check(opened, pixels=pixels)
    print_findings(checked.findings)
    print(checked_line(opened, checked))
    if json is not None:
        write_json(json, {"findings": checked.findings}, indent=2)
    if html is not None:
        from annotation.report.page import write_page

        write_page(html, opened, checked)
        print(f"{html}: written")
    if any(finding.severity == "error" for finding in checked.findings):
        sys.exit(1)


def _fix(dataset: Dataset, checked: Checked) -> bool:
    """Apply the safe fixes, print what was fixed and what was not; return whether any was made."""
    from labelme_panoptic_detr.datasets import fix as make_fixes

    fixes = make_fixes(dataset, checked)
    for fix in fixes:
        print(fix.line)
    done = any(fix.done for fix in fixes)
    if done:
        print("originals are kept as *.json.orig: --confirm deletes them, --undo restores them")
    return done


def _end_fixes(dataset: Dataset, *, undo: bool) -> None:
    """Delete the originals that the fixes kept, or restore them; print what was done."""
    from annotation.fixing.backups import confirm_fixes, undo_fixes

    if not undo:
        print(f"originals deleted: {len(confirm_fixes(dataset))}")
        return
    undone = undo_fixes(dataset)
    print(f"originals restored: {len(undone.restored)}")
    for photo in undone.photos:
        print(f"{photo}: deleted, because --fix had written it")
    for kept in undone.changed:
        what = "changed since that fix, not restored; the original is in"
        print(f"{kept.file}: {what} {kept.backup}")
