"""Embeddings of the photos of a data set, each of which is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from base.database import open_database
from base.errors import InputError
from conversion.building.store import open_store

_FILE = "embeddings.sqlite"  # in DATASET/.cache/; it may be deleted at any time
_TABLES = "CREATE TABLE IF NOT EXISTS embeddings (photo BLOB PRIMARY KEY, vector BLOB)"
_KEPT_AT_ONCE = 100  # photos; those after the last hundred are lost if the process is killed


def embed_photos(dataset: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
    """Return (N, 320) unit vectors of photos; `names` are their paths below `images/`.

    The vectors are those of `detr.prediction.descriptors.describe_untrained`. Photos with the same
    contents as before are not read again. Raises InputError if a photo cannot be read.
    """
    digests = _digests(dataset, names)
    with closing(open_database(dataset.root / ".cache" / _FILE, _TABLES)) as database:
        known = {digest for (digest,) in database.execute("SELECT photo FROM embeddings")}
        new = {d: name for d, name in zip(digests, names, strict=True) if d not in known}
        if new:
            from detr.prediction.descriptors import describe_untrained  # loads torch

            found = describe_untrained(dataset.images / name for name in new.values())
            for number, (digest, vector) in enumerate(zip(new, found, strict=True), start=1):
                row = (digest, vector.tobytes())
                database.execute("INSERT OR REPLACE INTO embeddings VALUES (?, ?)", row)
                if number % _KEPT_AT_ONCE == 0:
                    database.commit()
        gone = [(digest,) for digest in known.difference(digests)]
        database.executemany("DELETE FROM embeddings WHERE photo = ?", gone)
        database.commit()
        vectors = dict(database.execute("SELECT photo, vector FROM embeddings"))
    return np.stack([np.frombuffer(vectors[digest], np.float32) for digest in digests])


def _digests(dataset: Dataset, names: Sequence[str]) -> list[bytes]:
    """Return the SHA-256 of each photo; files that have not changed are not read again."""
    with open_store(dataset) as store:
        try:
            return [store.digest(dataset.images / name) for name in names]
        except OSError as error:
            raise InputError(
                f"{error.filename}: cannot be read: {error.strerror}; run `convert` again"
            ) from None
