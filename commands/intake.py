"""Subcommands that fill a data set: `sample`, `collect` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from base.errors import InputError
from commands.arguments import DatasetPath


def sample(
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    images: int = 600,
    seed: int = 0,
    flaws: bool = False,
) -> None:
    """Render the synthetic data set *yard*: construction yards with Labelme files and label maps.

    Args:
        out: folder of the new data set.
        images: number of photos.
        seed: seed of the random scenes.
        flaws: add annotation mistakes and list them in flaws.json.
    """
    from samples.yard.sample import render_yard

    render_yard(out, images=images, seed=seed, flaws=flaws)


def collect(
    paths: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="SOURCE... DATASET", help_behavior_hint="(required)"),
    ],
    long_side: int | None = None,
    every: float = 1.0,
) -> None:
    """Copy photos into a data set: EXIF rotation applied, location removed, duplicates skipped.

    Args:
        paths: photos, folders, zip files, videos; last, the data set (created if missing).
        long_side: shrink photos whose longer side has more pixels than this.
        every: seconds between two frames taken from a video.
    """
    from annotation.intake.collect import collect as collect_photos

    if len(paths) < 2:
        raise InputError(f"SOURCE... DATASET: expected two or more paths, found {len(paths)}")
    collected = collect_photos(paths[:-1], paths[-1], long_side=long_side, every=every)
    for line in collected.lines():
        print(line)
    if not collected.added and not collected.duplicates:
        raise InputError("no photo could be added; the reasons are above")


def import_(
    source: Annotated[Positional[Path], arg(metavar="SOURCE")],
    dataset: DatasetPath,
    images: Path | None = None,
    crowds: Literal["auto", "keep"] = "auto",
    things: tuple[str, ...] = (),
) -> None:
    """Convert COCO instances or panoptic annotations, for example from CVAT, to Labelme files.

    Args:
        source: a COCO JSON file, or a folder that contains such files and their photos.
        dataset: folder of the data set; it is created if it does not exist.
        images: folder of the photos, if they are not beside the JSON file.
        crowds: auto reads iscrowd as "is a mask" where all masks have it; keep makes them crowds.
        things: the categories of panoptic files that are things; all others are stuff.
    """
    from conversion.importing.importer import import_coco
    from conversion.importing.options import ImportOptions

    options = ImportOptions(images, crowds, things)
    for line in import_coco(source, dataset, options).lines():
        print(line)
