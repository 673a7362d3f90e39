"""Predictions are made again only if the photos, the model or the thresholds have changed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.errors import InputError
from base.files import digest
from conversion.coco.panoptic_file import read_panoptic
from detr.prediction.predict import predict
from detr.prediction.thresholds import Thresholds
from tests.detr.random_weights import SMALL, save
from tests.power import Loss, cut_at_every_step


def test_a_second_call_predicts_only_if_photos_have_changed(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    predict(folder / "run", photos, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    predict(folder / "run", photos, out)
    assert "up to date" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    (photos / "a.b.png").unlink()
    predict(folder / "run", photos, out)
    assert "up to date" not in capsys.readouterr().out
    left = {p.relative_to(out / "panoptic").as_posix() for p in (out / "panoptic").rglob("*.png")}
    assert left == {"a.b.png", "yard/east/photo1.png", "yard/east/photo2.png"}


@pytest.mark.parametrize("kind", ["panoptic/a.b.png.png", "pictures/a.b.jpg.jpg", "instances.json"])
@pytest.mark.parametrize("data", [None, b"", b"x"])
def test_a_damaged_prediction_is_made_again(
    folder: Path, photos: Path, tmp_path: Path, kind: str, data: bytes | None
) -> None:
    shutil.rmtree(photos / "yard")
    path = tmp_path / "out" / kind
    predict(folder / "run", photos, tmp_path / "out", pictures=True)
    whole, status = path.read_bytes(), path.stat()
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data + whole[len(data) :] if data else data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    predict(folder / "run", photos, tmp_path / "out", pictures=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("loss", ["data", "everything"])
def test_predict_completes_after_a_power_cut(
    folder: Path, photos: Path, tmp_path: Path, loss: Loss
) -> None:
    model, numbers = folder / "run/checkpoints/masks.pt", itertools.count()
    shutil.rmtree(photos / "yard")

    def new() -> Path:
        out = tmp_path / f"{next(numbers)}/out"
        out.mkdir(parents=True)
        return out

    def contents(out: Path) -> dict[str, bytes]:
        found = (path for path in out.rglob("*") if path.is_file())
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}

    whole = new()
    predict(model, photos, whole)

    def check(out: Path) -> None:
        predict(model, photos, out)
        assert contents(out) == contents(whole)

    cut_at_every_step(new, lambda out: predict(model, photos, out), check, loss=loss, every=4)


def test_photos_are_read_once_if_the_model_has_changed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    open_file = os.open

    def open_and_count(path: Any, *arguments: Any, **named: Any) -> int:
        opened.append(Path(path))
        return open_file(path, *arguments, **named)

    monkeypatch.setattr(os, "open", open_and_count)
    for num_queries in (10, 12):
        config = replace(SMALL, num_queries=num_queries)
        model = save(tmp_path / "own.pth", config, 250, masks=True)
        opened.clear()
        predict(model, photos, tmp_path / "out")
        found = sorted(path for path in opened if path.is_relative_to(photos))
        assert found == sorted(path for path in photos.rglob("*") if path.is_file())


def test_a_prediction_with_a_manifest_of_an_earlier_version_is_replaced(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out/manifest.json"
    predict(folder / "run", photos, tmp_path / "out")
    written = path.read_bytes()
    earlier = {key: json.loads(written)[key] for key in ("digest", "pngs")}
    path.write_text(json.dumps(earlier))
    predict(folder / "run", photos, tmp_path / "out")
    assert "up to date" not in capsys.readouterr().out
    assert path.read_bytes() == written


def test_the_manifest_holds_the_digests_of_settings_model_and_photos(
    folder: Path, photos: Path, tmp_path: Path
) -> None:
    """The digests stay the same, so that predictions of earlier versions stay up to date."""
    predict(folder / "run", photos, tmp_path / "out")
    model = folder / "run/checkpoints/masks.pt"
    names = ["a.b.jpg", "a.b.png", "yard/east/photo1.png", "yard/east/photo2.png"]
    inputs = ["3", "Thresholds(segment=None, instance=0.05)", model, *names]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["inputs"] == digest(*inputs)
    assert manifest["digest"] == digest(*inputs, *(photos / name for name in names))


def test_photos_are_predicted_again_with_other_thresholds(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = []
    for thresholds in (None, Thresholds(0.99), Thresholds(0.99, 0.99), Thresholds(0.0)):
        predict(folder / "run", photos, tmp_path / "out", thresholds)
        found = read_panoptic(tmp_path / "out/panoptic.json").photos
        instances = json.loads((tmp_path / "out/instances.json").read_text())
        counts.append((sum(len(p.segments) for p in found), len(instances)))
    assert "up to date" not in capsys.readouterr().out
    (own, all_things), (few, same_things), (_, few_things), (most, _) = counts
    assert few < own <= most
    assert few_things < all_things == same_things
    with pytest.raises(InputError, match="--threshold: expected 0 to 1, found 85"):
        Thresholds(85)
