"""The log of a training run, `log.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from base.errors import InputError
from base.files import read_regular


@dataclass(frozen=True)
class Epoch:
    """A line of `log.jsonl`: one epoch of a stage.

    The means of all losses by name (None if not finite) are those of the training photos and either
    of the test photos or, as `tune`, of photos held out of training. `scores` (0..1, by name) is
    empty in epochs that were not scored; `seconds` is the time that the epoch took.
    """

    stage: str
    epoch: int
    train: dict[str, float | None]
    tune: dict[str, float | None] = field(default_factory=dict)
    test: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    lr: float | None = None
    seconds: float | None = None


def read_log(path: str | Path) -> list[Epoch]:
    """Read `log.jsonl`, which has one finished epoch per line.

    Raises InputError if the file cannot be read; the message names a line that is not an epoch.
    """
    try:
        lines = read_regular(Path(path)).splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    log = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                log.append(msgspec.json.decode(line, type=Epoch))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number}: expected an epoch of a training log: {error}"
            ) from None
    return log
