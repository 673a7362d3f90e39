"""The names of published weights, and the check of a run or weights. Does not load torch."""

from __future__ import annotations

from pathlib import Path

from base.errors import InputError, nearest

ADDRESS = "https://dl.fbaipublicfiles.com/detr/"
FILES = {
    "detr-r50": "detr-r50-e632da11.pth",
    "detr-r50-dc5": "detr-r50-dc5-f0fb7ef5.pth",
    "detr-r101": "detr-r101-2c7b67e5.pth",
    "detr-r101-dc5": "detr-r101-dc5-a2e86def.pth",
    "detr-r50-panoptic": "detr-r50-panoptic-00ce5173.pth",
    "detr-r50-dc5-panoptic": "detr-r50-dc5-panoptic-da08f1b1.pth",
    "detr-r101-panoptic": "detr-r101-panoptic-40021d53.pth",
    "detr-r101-dc5-panoptic": "detr-r101-dc5-panoptic.pth",
}
UNPUBLISHED = FILES["detr-r101-dc5-panoptic"]  # never published by the authors of DETR


def check_source(source: str | Path) -> None:
    """Raise InputError unless `source` may be a run, a weights file or a name of published weights.

    Commands call this first, because loading torch can take half a minute.
    """
    path = Path(source)
    if str(source) in FILES or path.is_file():
        return
    if not path.is_dir():
        suggestion = nearest(str(source), FILES)
        raise InputError(
            f"{source}: is neither a file nor the name of published weights{suggestion}"
        )
    if not (path / "checkpoints").is_dir():
        raise InputError(f"{path}: expected a training run, found a folder without checkpoints/")
