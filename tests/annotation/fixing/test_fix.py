from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from annotation.fixing import fix as fix_module
from annotation.fixing.backups import Kept, confirm_fixes, undo_fixes
from annotation.fixing.fix import Fixed, fix_dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.rules.validate import check_dataset
from conversion.painting.owners import paint_owners
from tests.annotation.fixing.fixed import change, contents, drawn, fix, only, rules
from tests.drawn import draw_dataset, square


def test_undo_restores_every_byte(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {n: [square("Box", 2, 2, 5)] for n in ("a", "sub/b")})
    draw_dataset(tmp_path, {"c": [square("box", 2, 2, 5)]})
    change(dataset, mine=1)
    before = contents(tmp_path)
    assert len(fix(dataset)) == 2
    assert contents(tmp_path)["labelme/c.json"] == before["labelme/c.json"]
    assert contents(tmp_path)["labelme/sub/b.json.orig"] == before["labelme/sub/b.json"]
    assert rules(dataset) == []  # nothing reads the originals
    assert undo_fixes(dataset).restored == ("labelme/a.json", "labelme/sub/b.json")
    assert contents(tmp_path) == before


def test_the_oldest_original_is_kept_until_confirmed(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    oldest = path.read_bytes()
    fix(dataset)
    write_annotation(path, replace(read_annotation(path), shapes=(square("Disc", 2, 2, 5),)))
    assert only(fix(dataset), "label-typo").done
    assert (dataset.labelme / "a.json.orig").read_bytes() == oldest
    fixed = path.read_bytes()
    assert confirm_fixes(dataset) == ["labelme/a.json"]
    assert path.read_bytes() == fixed
    assert not list(tmp_path.rglob("*.orig")) and confirm_fixes(dataset) == []


def test_undo_restores_what_was_drawn_between_two_fixes(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    oldest = path.read_bytes()
    fix(dataset)
    write_annotation(path, replace(read_annotation(path), shapes=(square("Disc", 2, 2, 5),)))
    drawn_since = path.read_bytes()
    fix(dataset)
    older = Kept("labelme/a.json", "labelme/a.json.orig")
    undone = undo_fixes(dataset)
    assert (undone.restored, undone.changed) == (("labelme/a.json",), (older,))
    assert path.read_bytes() == drawn_since
    undone = undo_fixes(dataset)
    assert (undone.restored, undone.changed) == ((), (older,))
    assert path.read_bytes() == drawn_since
    assert path.with_name("a.json.orig").read_bytes() == oldest


def test_undo_keeps_files_that_were_edited_after_the_fix(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    for label in ("Disc", "box"):
        fix(dataset)
        write_annotation(path, replace(read_annotation(path), shapes=(square(label, 2, 2, 5),)))
    drawn_since = path.read_bytes()
    undone = undo_fixes(dataset)
    backups = ["labelme/a.json.orig", "labelme/a.json.2.orig"]
    assert (undone.restored, [kept.backup for kept in undone.changed]) == ((), backups)
    assert path.read_bytes() == drawn_since


def test_an_interruption_while_writing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    before = contents(tmp_path)
    checked = check_dataset(dataset)

    def stop(path: Path, *_: object) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fix_module, "write_annotation", stop)
    with pytest.raises(KeyboardInterrupt):
        fix_dataset(dataset, checked, paint=paint_owners)
    assert contents(tmp_path) == before


def test_waived_findings_are_not_fixed(tmp_path: Path) -> None:
    out = replace(square("disc", 35, 5, 10), flags={"checked": True})
    assert fix(drawn(tmp_path, out)) == []


def test_an_outcome_is_one_line(tmp_path: Path) -> None:
    fixed = Fixed("label-typo", "labelme/a\n.json", 1, True, "'Box' is now 'box'")
    expected = "fixed   labelme/a_.json: shapes[1]: 'Box' is now 'box' [label-typo]"
    assert fixed.line == expected
