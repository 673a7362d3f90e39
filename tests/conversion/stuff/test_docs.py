"""The examples in docs/stuff.md do what the text says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conversion.coco.categories import categories_of
from conversion.coco.png import write_segment_ids
from conversion.config import read_conversion_config
from conversion.stuff.sources import open_stuff
from tests.drawn import ROAD, SKY, draw_dataset, square

DOCS = Path(__file__).parents[3] / "docs" / "stuff.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
SHAPES = (square("road", 0, 3, 1), square("tarmac", 1, 3, 1), square("sky", 2, 3, 1))
DRAWN = (*SHAPES, square("puddle", 3, 3, 1))
BOTH, GROUND, DIRT, PUDDLE = [SKY, ROAD], 2001, 194, 1001


def draw_sources(root: Path) -> None:
    """A photo a.jpg of 4x4 pixels: sky, a row of road, gravel, nothing; in every kind of source."""
    ids = np.repeat([[SKY], [ROAD], [125], [0]], 4, axis=1)
    classes = np.repeat([[2], [1], [3], [255]], 4, axis=1)
    colors = np.zeros((4, 4, 3), np.uint8)
    colors[0], colors[1] = (70, 130, 180), (128, 64, 128)
    pictures = {
        "stuff/a.jpg.png": ids,
        "stuff_val2017_pixelmaps/a.png": np.where(ids == SKY, 106, ids),  # clouds
        "classes/a.png": classes,
        "colours/a.png": colors,
    }
    for name, pixels in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(root / name)
    (root / "colours.csv").write_text(
        "red,green,blue,name\n128,64,128,road\n70,130,180,sky-other\n"
    )
    for path in ("coco/panoptic_val2017.json", "stuff_predicted/panoptic.json"):
        folder = (root / path).with_suffix("")
        write_segment_ids(folder / "a.png", ids.astype(np.uint32))
        segments = [{"id": i, "category_id": i, "score": 0.75} for i in (SKY, ROAD, 125)]
        names = {SKY: "sky-other-merged", ROAD: "road", 125: "gravel"}
        value = {
            "images": [{"id": 1, "file_name": "val2017/a.jpg", "width": 4, "height": 4}],
            "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
            "categories": [{"id": i, "name": n, "isthing": 0} for i, n in names.items()],
        }
        (root / path).write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("example", "column"),
    [
        (0, [*BOTH, 0, ROAD]),
        (1, [*BOTH, 0, 0]),
        (2, [*BOTH, 0, 0]),
        (3, [*BOTH, 0, 0]),
        (4, [*BOTH, 0, 0]),
        (5, [*BOTH, 0, 0]),
        (6, [*BOTH, 0, 0]),
        (7, [0, 0, 0, 0]),
        (8, [*BOTH, 0, 0]),
        (9, [SKY, GROUND, DIRT, 0]),
    ],
)
def test_examples(tmp_path: Path, example: int, column: list[int]) -> None:
    yaml = "name: x\nthings: [box]\n" + EXAMPLES[example]
    dataset = draw_dataset(tmp_path, {}, yaml=yaml)
    draw_sources(tmp_path)
    config = read_conversion_config(dataset)
    reader = open_stuff(dataset, config, categories_of(dataset, config))
    found = reader.read(dataset.images / "a.jpg", DRAWN, height=4, width=4)
    assert found[:, 0].tolist() == column
    drawn = {0: [ROAD, 0, 0, 0], 7: [0, ROAD, SKY, 0], 9: [0, 0, 0, PUDDLE]}
    assert found[3].tolist() == drawn.get(example, [0] * 4)


def test_all_examples_are_tested() -> None:
    assert len(EXAMPLES) == 10
