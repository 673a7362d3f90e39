"""What a second annotator would score on yard: the same scenes, drawn again by another hand.

A reference for a model that is trained on one person's outlines, not a bound: a model that has
learnt the mean outline can agree with them more than a second person does.

`python -m benchmarks.second_annotator DATASET` draws the things of the test photos again, with
other random deviations, converts them, and evaluates them as a prediction in which every segment
has the score 1. The label maps are the same, so stuff differs only where things cover it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from annotation.labelme.annotation import read_annotation, write_annotation
from base.errors import InputError
from base.parsing import load_yaml, read_json, write_yaml
from base.progress import track
from conversion.coco.panoptic import PanopticSet, split_json
from conversion.coco.panoptic_file import read_panoptic
from evaluation.scores.scores import Scores, evaluate_sets
from evaluation.scores.tables import scores_table
from labelme_panoptic_detr import convert, open_dataset
from samples.yard.photo import render_photo
from samples.yard.shapes import draw_shapes


def score_second_annotator(dataset: Path, *, seed: int) -> Scores:
    """Draw the test photos of a sample set again with the random numbers of `seed`; evaluate them.

    Raises InputError unless the set is a converted sample set.
    """
    sample = dataset / "sample.json"
    if not sample.is_file():
        raise InputError(f"{sample}: missing; expected a set that `pipeline.py sample` rendered")
    first_seed = int(read_json(sample)["seed"])
    truth = read_panoptic(split_json(open_dataset(dataset).panoptic, "test"))
    with TemporaryDirectory() as folder:
        second = Path(folder, "second")
        for name in ("images", "labelme"):
            (second / name).mkdir(parents=True)
        (second / "stuff").symlink_to((dataset / "stuff").resolve())
        for photo in track(truth.photos, "draw again"):
            _draw_again(dataset, second, Path(photo.file_name), first_seed, seed)
        config = load_yaml(dataset / "dataset.yaml")
        write_yaml(second / "dataset.yaml", {**config, "split": {"train": 1.0, "seed": 0}})
        built = open_dataset(second)
        convert(built)
        drawn = read_panoptic(split_json(built.panoptic, "train"))
        return evaluate_sets(truth, _with_scores(drawn))


def _draw_again(dataset: Path, second: Path, photo: Path, first_seed: int, seed: int) -> None:
    """Write the Labelme file of a photo with the shapes that another hand draws."""
    index = int(photo.stem.rpartition("_")[2])
    scene = render_photo(np.random.default_rng([first_seed, index]))
    shapes = draw_shapes(scene.things, np.random.default_rng([first_seed, index, 1 + seed]))
    annotation = read_annotation(dataset / "labelme" / f"{photo.stem}.json")
    write_annotation(second / "labelme" / f"{photo.stem}.json", replace(annotation, shapes=shapes))
    (second / "images" / photo).symlink_to((dataset / "images" / photo).resolve())


def _with_scores(panoptic: PanopticSet) -> PanopticSet:
    """Give every segment the score 1, so that AP can be computed."""
    photos = (
        replace(photo, segments=tuple(replace(one, score=1.0) for one in photo.segments))
        for photo in panoptic.photos
    )
    return replace(panoptic, photos=tuple(photos))


def main() -> None:
    """Print the scores of the second annotator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, nargs="?", default=Path("datasets/yard"))
    parser.add_argument("--seed", type=int, default=0, help="seed of the other hand")
    given = parser.parse_args()
    Console(width=100).print(scores_table(score_second_annotator(given.dataset, seed=given.seed)))


if __name__ == "__main__":
    main()
