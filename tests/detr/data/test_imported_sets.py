"""What `import` writes and `convert` builds can be trained on; other splits are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from base.errors import InputError
from conversion.building.build import convert
from conversion.config import open_valid_dataset
from conversion.importing.importer import import_coco
from detr.config import TrainConfig
from detr.data.splits import read_splits
from tests.cases import copy_case
from tests.conversion.importing.coco_files import PANOPTIC, TRIANGLE, coco, instance, panoptic, rle
from tests.conversion.importing.test_cases import READ
from tests.drawn import YAML, draw_dataset, square


def first_example(root: Path) -> int:
    """Convert a set and return the number of segments of its first training example."""
    dataset = open_valid_dataset(root)
    convert(dataset)
    splits = read_splits(dataset.panoptic)
    pixels, segments = splits.examples("train", TrainConfig())[0]
    assert torch.isfinite(pixels).all()
    return len(segments.labels)


@pytest.mark.parametrize("name", READ)
def test_imported_cases_can_be_trained_on(name: str, tmp_path: Path) -> None:
    import_coco(copy_case(name, tmp_path), tmp_path / "set")
    assert (first_example(tmp_path / "set") > 0) == (name != "p3b_empty_segments")


def test_imported_masks_polygons_and_segments_can_be_trained_on(tmp_path: Path) -> None:
    mask = rle(["....", ".##.", ".##."], compressed=True)
    import_coco(coco(tmp_path / "s", instance(1, [TRIANGLE]), instance(2, mask)), tmp_path / "one")
    assert first_example(tmp_path / "one") == 2
    ids = np.zeros((30, 40), int)
    source = panoptic(tmp_path / "p", ids, [], PANOPTIC[:3])
    import_coco(source, tmp_path / "two")
    assert first_example(tmp_path / "two") == 0  # stuff in the table, but none in the pixels


def test_a_set_without_a_test_split_is_refused_by_the_reason(tmp_path: Path) -> None:
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.5, dev: 0.5")
    dataset = draw_dataset(tmp_path, {"a": [square("box", 1, 1, 5)], "b": []}, yaml=yaml)
    convert(dataset)
    with pytest.raises(InputError, match=r"expected a split 'test'.* or 'val', found the splits"):
        read_splits(dataset.panoptic)
