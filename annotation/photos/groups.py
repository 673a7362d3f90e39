"""Groups of photos that belong to one split, and `photos.csv`, the table that lists them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from base.errors import InputError
from base.files import inside, read_regular


@dataclass(frozen=True)
class GroupTable:
    """The name of the second column and the rows (photo below `images/`, group)."""

    column: str
    rows: tuple[tuple[str, str], ...]


def group_file(root: Path, group_by: str | None) -> Path | None:
    """Return the CSV file that `split.group_by` of the set at `root` names; None if it is unset.

    Raises InputError if the path is outside the set.
    """
    if group_by is None:
        return None
    return inside(root, group_by, where=f"{root / 'dataset.yaml'}: split.group_by")


def read_photo_groups(path: Path) -> dict[str, str]:
    """Return the group of each photo in a CSV file, by its name below `images/`.

    Raises InputError as `read_group_table` does.
    """
    return dict(read_group_table(path).rows)


def read_group_table(path: Path) -> GroupTable:
    """Read a CSV file with the columns image and group; the second may have any name.

    Blank lines are skipped. Raises InputError, which names the line, if the file cannot be read or
    has other columns.
    """
    try:
        reader = csv.reader(io.StringIO(read_regular(path).decode("utf-8-sig"), newline=""))
        (_, header), *rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error):
        raise InputError(f"{path}: cannot be read as a CSV file with a header") from None
    if len(header) != 2 or header[0] != "image":
        raise InputError(f"{path}: expected the columns image and a group, found {header}")
    for line, row in rows:
        if len(row) != 2:
            raise InputError(f"{path}: line {line}: expected 2 columns, found {len(row)}")
    return GroupTable(header[1], tuple((image, group) for _, (image, group) in rows))
