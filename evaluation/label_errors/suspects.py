"""Labels that may be wrong, and `suspects.json`, which lists them, the most suspicious first.

    {"inputs": "5d41...", "suspects": [
        {"file_name": "a.jpg", "kind": "swapped", "score": 0.81, "category": "window",
         "other_category": "door", "bbox": [20, 4, 8, 8], "truth_id": 12, "prediction_id": 3,
         "iou": 0.87}]}

Segment ids refer to the panoptic PNGs of the ground truth and of the predictions in the folder
`predictions/` beside the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from base.parsing import parse, read_json, write_json

Kind = Literal["missing", "swapped", "badly placed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILE_NAME = "suspects.json"


@dataclass(frozen=True)
class Suspect:
    """One label that may be wrong.

    `score` is in 0..1. `category` is that of the label, or of what is missing; `other_category` is
    the predicted one, if it differs. `bbox` is xywh in pixels: of the label, or of what is missing.
    `truth_id` is None if the label is missing. `iou` is that of the label and the prediction.
    """

    file_name: str
    kind: Kind
    score: float
    category: str
    other_category: str | None
    bbox: tuple[int, int, int, int]
    truth_id: int | None
    prediction_id: int
    iou: float

    @property
    def text(self) -> str:
        """What may be wrong: `missing: window` or `swapped: window or door`."""
        other = "" if self.other_category is None else f" or {self.other_category}"
        return f"{self.kind}: {self.category}{other}"


@dataclass(frozen=True)
class SuspectList:
    """Labels that may be wrong, the most suspicious first.

    `inputs` is a digest of the ground truth and the predictions that were compared.
    """

    inputs: str
    suspects: tuple[Suspect, ...]


def write_suspects(path: Path, found: SuspectList) -> None:
    """Write the list as JSON."""
    write_json(path, found, indent=1)


def read_suspects(path: Path) -> SuspectList:
    """Read the list. Raises InputError if the file is missing or is not such a list."""
    return parse(SuspectList, read_json(path), where=str(path))
