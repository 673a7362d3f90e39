from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation.labeling.prelabeling import photos_without_annotation, write_proposed
from annotation.labelme.annotation import read_annotation
from annotation.labelme.proposals import PROPOSED
from annotation.rules.validate import check_dataset
from base.errors import InputError
from commands.prelabel import prelabel
from conversion.building.build import convert
from detr.config import RunConfig
from detr.prediction.informative import informative_order, uncertainties
from detr.training.train import train
from tests.detr.training.runs import FAST
from tests.drawn import draw_dataset, square


def test_doubtful_instances_count_and_certain_ones_do_not() -> None:
    scores = {"a.jpg": [0.5, 0.4], "b.jpg": [0.99, 0.02]}
    found = uncertainties(scores, ["a.jpg", "b.jpg", "empty.jpg"])
    assert found == pytest.approx([0.9, 0.03, 0])


def test_photos_unlike_the_known_ones_and_each_other_come_first() -> None:
    east, north, west = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
    new = np.array([east, west, west, north])
    known = np.array([east])
    same = informative_order(np.ones(4), new, known)
    assert same == [1, 3, 0, 2]  # west is farthest; another west, and east, teach nothing new
    doubtful = informative_order(np.array([0, 0, 0, 9.0]), new, known)
    assert doubtful[0] == 3


def test_new_photos_get_proposals_and_drawings_are_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "abcdef"
    dataset = draw_dataset(tmp_path / "set", {n: [square("box", 3, 3, 12)] for n in names})
    convert(dataset)
    run = tmp_path / "run"
    train(dataset.panoptic, run, RunConfig(str(dataset.root), FAST), "both")
    for name in "ef":
        (dataset.labelme / f"{name}.json").unlink()
    drawn = {path: path.read_bytes() for path in dataset.labelme.iterdir()}
    prelabel(run, dataset.root, most=1)
    listed = (run / "prelabel.txt").read_text().split()
    assert len(listed) == 1 and set(listed) < {"e.jpg", "f.jpg"}
    new = dataset.labelme / f"{Path(listed[0]).stem}.json"
    assert read_annotation(new).flags == {PROPOSED: True}
    assert {path: path.read_bytes() for path in drawn} == drawn
    assert "left out" not in capsys.readouterr().out
    assert dict(convert(dataset).left_out).keys() == {f"labelme/{new.name}"}
    (left,) = photos_without_annotation(dataset, check_dataset)
    assert not write_proposed(left, new, [])
    prelabel(run, dataset.root)
    with pytest.raises(InputError, match="all photos have annotations"):
        prelabel(run, dataset.root)
