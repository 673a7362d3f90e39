"""`relabel` with the real Labelme on a virtual screen: marks, proposals, and new scores."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from annotation.labeling import launch
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.labelme.proposals import PROPOSED, proposed
from base.errors import InputError
from commands.relabel import relabel
from conversion.building.build import convert
from conversion.coco.panoptic import find_split_jsons
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import write_segment_ids
from evaluation.label_errors.places import find_places
from evaluation.label_errors.suspects import Suspect, SuspectList, write_suspects
from evaluation.scores.rescoring import match_predicted
from tests.annotation.labeling.labelme_window import (
    PIPELINE,
    ROOT,
    Window,
    needs_screen,
    virtual_screen,
    wait_for,
)
from tests.conftest import Run
from tests.drawn import draw_dataset, draw_photo, square

THIRD_ROW = (685, 364)  # of the list of shapes
BOX, DISC = square("box", 4, 4, 8), square("disc", 20, 12, 12)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[dict[str, str]]:
    with virtual_screen(tmp_path / "home") as env:
        yield env


def draw_with_missing_disc(root: Path) -> Dataset:
    """Photos a to d; the disc of a is missing, but a run in root/run predicts it."""
    dataset = draw_dataset(root / "set", {name: [BOX, DISC] for name in "abcd"})
    convert(dataset)
    run = root / "run"
    predicted = []
    for path in find_split_jsons(dataset.panoptic).values():
        truth = read_panoptic(path)
        for photo in truth.photos:
            write_segment_ids(
                run / "predictions/panoptic" / photo.png_name, truth.segment_ids(photo)
            )
            segments = tuple(replace(segment, score=0.9) for segment in photo.segments)
            predicted.append(replace(photo, id=len(predicted) + 1, segments=segments))
    folder = run / "predictions"
    write_panoptic(
        replace(
            truth,
            json_path=folder / "panoptic.json",
            png_folder=folder / "panoptic",
            photos=tuple(predicted),
        )
    )
    (a,) = [photo for photo in predicted if photo.file_name == "a.jpg"]
    disc = next(s for s in a.segments if s.bbox[0] == 20 and s.bbox[2] == 12)
    found = Suspect("a.jpg", "missing", 0.9, "disc", None, disc.bbox, None, disc.id, 0.0)
    write_suspects(run / "suspects.json", SuspectList("x", (found,)))
    draw_photo(dataset.root, "a", [BOX])
    convert(dataset)
    return dataset


@needs_screen
def test_an_accepted_proposal_is_converted_and_scored_and_marks_are_removed(
    tmp_path: Path, screen: dict[str, str]
) -> None:
    dataset = draw_with_missing_disc(tmp_path)
    path = dataset.labelme / "a.json"
    others = {p: p.read_bytes() for p in dataset.labelme.glob("[b-d].json")}
    window = Window(screen)
    words = [*PIPELINE, "relabel", str(dataset.root), str(tmp_path / "run/suspects.json")]
    program = subprocess.Popen(
        [*words, "--with-predictions"], env=screen, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        window.wait_until_shown()
        assert window.title() == "1-fine/a.jpg [1/1]"
        copy = dataset.root / ".annotate/1-fine/a.json"
        shown = read_annotation(copy).shapes
        assert [(s.label, s.shape_type) for s in shown] == [
            ("? missing: disc (0.90)", "rectangle"),
            ("box", "polygon"),
            ("? disc", "polygon"),
        ]
        window.rename_shape("disc", THIRD_ROW)
        wait_for(lambda: len(read_annotation(path).shapes) == 2, "the stored annotation")
        window.quit()
        output, _ = program.communicate(timeout=60)
    finally:
        program.kill()
    kept = read_annotation(path).shapes
    assert [(s.label, len(s.points)) for s in kept] == [("box", 4), ("disc", 4)]
    assert program.returncode == 0, output
    assert "changed annotations: 1\n" in output
    # (1 + 1 + 560 / 704) / 3.5: road has the 144 pixels of the disc, which is a false positive
    assert "a.jpg: 79.9 -> 100.0 (+20.1)" in output
    assert {p: p.read_bytes() for p in others} == others
    assert not (dataset.root / ".annotate").exists()


def test_proposals_in_a_file_are_reported_and_never_converted(tmp_path: Path, run: Run) -> None:
    dataset = draw_dataset(tmp_path / "set", {name: [BOX] for name in "abcd"})
    a, b = dataset.labelme / "a.json", dataset.labelme / "b.json"
    annotation = read_annotation(a)
    write_annotation(a, replace(annotation, shapes=(*annotation.shapes, proposed(DISC))))
    write_annotation(b, replace(read_annotation(b), flags={PROPOSED: True}))
    found = tmp_path / "findings.json"
    run("validate", dataset.root, "--no-pixels", "--fix", "--json", found, status=1)
    rules = {(f["rule"], f["file"], f["shape"]) for f in json.loads(found.read_text())["findings"]}
    assert rules == {
        ("shape-proposed", "labelme/a.json", 1),
        ("photo-proposed", "labelme/b.json", None),
    }
    output = run("convert", dataset.root, status=1)
    assert "left out: labelme/a.json" in output and "left out: labelme/b.json" in output
    # even if a person silences the rules
    yaml = dataset.root / "dataset.yaml"
    silent = "severity: {label-unused: ignore, shape-proposed: ignore, photo-proposed: ignore}"
    yaml.write_text(yaml.read_text().replace("severity: {label-unused: ignore}", silent))
    run("convert", dataset.root, status=0)
    sets = [read_panoptic(path) for path in find_split_jsons(dataset.panoptic).values()]
    things = {c.id for c in sets[0].categories if c.isthing}
    counts = {
        photo.file_name: sum(s.category_id in things for s in photo.segments)
        for one in sets
        for photo in one.photos
    }
    assert counts == {"a.jpg": 1, "c.jpg": 1, "d.jpg": 1}


def test_wrong_lists_are_reported_in_one_line(tmp_path: Path, run: Run) -> None:
    dataset = draw_with_missing_disc(tmp_path)
    wrong = tmp_path / "run/suspects.json"
    wrong.write_text(wrong.read_text().replace("a.jpg", "e.jpg"))
    output = run("relabel", dataset.root, wrong, status=2)
    assert output.startswith(f"error: {wrong}: no photo 'e.jpg' in {dataset.images}; did you mean")
    lone = tmp_path / "list.txt"
    lone.write_text("a.jpg\n")
    output = run("relabel", dataset.root, lone, "--with-predictions", status=2)
    assert "predictions/panoptic.json: missing; give the folder of a run with --run" in output


@pytest.mark.parametrize("drawn", [True, False])
def test_what_was_decided_is_converted(
    tmp_path: Path,
    drawn: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also if Labelme is closed without a change, and in the folder of a split's predictions."""
    dataset = draw_with_missing_disc(tmp_path)
    (dataset.root / "curation.yaml").write_text("exclude: [b.jpg]")
    run = tmp_path / "run"
    (run / "config.yaml").touch()
    for name in ("predictions", "suspects.json"):
        (run / "val").mkdir(exist_ok=True)
        (run / name).rename(run / "val" / name)
    a = dataset.images / "a.jpg"
    changed = (dataset.labelme / "a.json",) * drawn
    done = launch.Annotated(changed, (a,) * drawn, (a,) * drawn, (), "nothing left")
    monkeypatch.setattr(launch, "annotate", lambda *_, **__: done)
    monkeypatch.chdir(run / "val")
    relabel(dataset.root, Path("suspects.json"))
    sets = [read_panoptic(path) for path in find_split_jsons(dataset.panoptic).values()]
    names = sorted(photo.file_name for one in sets for photo in one.photos)
    assert names == ["a.jpg", "c.jpg", "d.jpg"]
    assert (f"pipeline.py review {run} --split val" in capsys.readouterr().out) == drawn


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (None, "missing; send photos to Labelme in FiftyOne's App, then run `decide`"),
        ("exclude: [a.jpg]", "relabel: expected photos, found none; send photos to Labelme"),
        ("relabel: [gone.jpg]", "relabel: expected photos, found none; send photos to Labelme"),
        ("relabel: [../a.jpg]", r"path must stay in .*, found '\.\./a\.jpg'"),
    ],
)
def test_decisions_without_photos_are_errors(
    tmp_path: Path, decisions: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = draw_dataset(tmp_path / "a set", {"a": [BOX]})
    path = dataset.root / "curation.yaml"
    if decisions is not None:
        path.write_text(decisions)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {message}"):
        relabel(dataset.root, path)
    warned = "expected a photo below images/, found 'gone.jpg'" in capsys.readouterr().out
    assert warned == ("gone" in (decisions or ""))


def test_a_list_of_decisions_of_another_set_is_an_error(tmp_path: Path) -> None:
    one, other = (draw_dataset(tmp_path / name, {"a": [BOX]}) for name in ("one", "other"))
    wrong = other.root / "curation.yaml"
    wrong.write_text("relabel: [a.jpg]")
    with pytest.raises(
        InputError, match=f"{wrong}: belongs to another data set; expected {one.root}"
    ):
        relabel(one.root, wrong)


def test_the_places_are_those_of_errors_now_worst_photo_first(tmp_path: Path) -> None:
    dataset = draw_with_missing_disc(tmp_path)
    draw_photo(dataset.root, "b", [])
    convert(dataset)
    listed, prediction = ["c.jpg", "a.jpg", "b.jpg"], tmp_path / "run/predictions/panoptic.json"

    def places() -> list[tuple[str, list[str]]]:
        matched = match_predicted(dataset.panoptic, prediction)
        found = find_places(listed, matched, labels=dataset.config.things)
        return [(name, [place.text for place in own]) for name, own in found.items()]

    missing = ("a.jpg", ["false alarm: disc or road"])
    wrong = ("b.jpg", ["false alarm: box or sky-other-merged", "false alarm: disc or road"])
    assert places() == [wrong, missing, ("c.jpg", [])]
    draw_photo(dataset.root, "a", [BOX, DISC])
    convert(dataset)
    assert places() == [wrong, ("c.jpg", []), ("a.jpg", [])]
