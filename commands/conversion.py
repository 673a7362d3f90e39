"""Subcommands that build the panoptic data set: `stuff`, `convert` and `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from base.counting import counted
from commands.arguments import DatasetPath, check_file
from commands.printing import console

REASONS = {  # of changes whose cause is in dataset.yaml
    "stuff_pixels_refused": "; they are void, because the stuff sources have things there, or stuff"
    " that dataset.yaml does not list under stuff"
}


def stuff(dataset: DatasetPath, weights: str, confidence: float = 0.5) -> None:
    """Predict stuff with a panoptic DETR; write DATASET/stuff_predicted, a source for `convert`.

    Args:
        dataset: folder with dataset.yaml.
        weights: published panoptic weights (a file or a name such as detr-r50-panoptic), or a run.
        confidence: minimum score of a segment.
    """
    from detr.prediction.sources import find_photos
    from detr.prediction.thresholds import Thresholds
    from detr.weights.names import check_source
    from labelme_panoptic_detr.datasets import photo_sources

    thresholds = Thresholds(confidence)
    check_source(weights)
    photos, out = find_photos(*photo_sources(dataset)), dataset / "stuff_predicted"
    print(f"stuff: {counted(len(photos.names), 'photo')} in {photos.root}", flush=True)
    from detr.prediction.predict import predict as run_prediction  # loads torch

    run_prediction(weights, photos, out, thresholds)
    print(f"{out}: written; to use it, add to {dataset / 'dataset.yaml'}:")
    print(f"  stuff_sources:\n    - prediction: {out.name}/panoptic.json")
    print(f"      confidence: {confidence:g}")


def convert(dataset: DatasetPath, scheduler: str | None = None, verify: bool = False) -> None:
    """Build panoptic/, a COCO panoptic set divided into splits: Labelme things painted over stuff.

    Only what has changed is rebuilt. Annotations with errors are left out and listed; the exit
    status is then 1.

    Args:
        dataset: folder with dataset.yaml; if that file is missing, one is proposed from the labels.
        scheduler: address of a Dask scheduler whose workers paint photos, such as tcp://127.0.0.1:8786.
        verify: read every byte of the inputs and of the built set, and build changed files again.
    """
    from labelme_panoptic_detr.datasets import convert as build
    from labelme_panoptic_detr.datasets import (
        open_or_propose,
        print_missing_decisions,
        print_split_warnings,
    )

    opened = open_or_propose(dataset)
    built = build(opened, scheduler=scheduler, verify=verify)
    for file in built.repaired:
        print(f"{opened.panoptic / file}: had been changed since it was built; built again")
    state = "built" if built.fresh else "up to date"
    counts = ", ".join(f"{count:,} {name}" for name, count in built.photos.items())
    segments = counted(built.segments, "segment")
    print(f"{opened.panoptic}: {state}; photos: {counts}; {segments}")
    if verify:
        print("verified: every file was read and compared")
    for what, count in built.changes.items():
        why = REASONS.get(what, "")
        print(f"{what.replace('_', ' ')}: {count}{why} (manifest.json lists them by photo)")
    print_split_warnings(opened)
    print_missing_decisions(opened)
    for file, why in built.left_out:
        print(f"left out: {file}: {why}")
    if built.left_out:
        sys.exit(1)


def health(dataset: DatasetPath, html: Path | None = None) -> None:
    """Show what the built set contains: photos, categories, sizes, void, and where the things lie.

    Args:
        dataset: folder with dataset.yaml; must be converted.
        html: also write a page with maps of where each category lies in the photos.
    """
    check_file(html, "--html", ".html")
    from labelme_panoptic_detr.datasets import open_dataset

    opened = open_dataset(dataset)
    from conversion.health.page import write_health
    from conversion.health.survey import survey
    from conversion.health.text import health_lines, health_table, places_lines

    found = survey(opened.panoptic)
    for line in health_lines(found):
        print(line)
    console.print(health_table(found))
    print("places of things (darker: in more photos)")
    for line in places_lines(found.thing_places):
        print(line)
    if html is not None:
        write_health(html, found, name=opened.config.name)
        print(f"{html}: written")


def export(
    dataset: DatasetPath, format: Literal["yolo-seg", "semantic", "coco"], out: Path
) -> None:
    """Write the set for other trainers: YOLO segmentation, semantic PNGs, COCO instances.

    yolo-seg writes one outline per thing; semantic writes one PNG of class ids per photo, with 255
    for void; coco writes one JSON file with the complete outlines of all photos.

    Args:
        dataset: folder with dataset.yaml; must be converted, except for coco.
        format: format of the files.
        out: new or empty folder; for coco, the JSON file.
    """
    if format == "coco":
        check_file(out, "--out", ".json")
    from conversion.exporting.export import export as run_export
    from conversion.exporting.instances import export_instances
    from labelme_panoptic_detr.datasets import open_dataset

    opened = open_dataset(dataset)
    if format != "coco":
        print(f"{out}: {counted(run_export(opened, format, out), 'photo')} exported")
        return
    exported = export_instances(opened, out)
    instances = counted(exported.instances, "instance")
    print(f"{out}: {counted(exported.photos, 'photo')}, {instances} exported")
    for why in exported.left_out:
        print(f"left out: {why}")
    if exported.left_out:
        sys.exit(1)
