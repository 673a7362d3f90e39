"""Time and memory of loading a data set into FiftyOne, compared with its own COCO importer.

Both sides load the photos of one split of a built data set. Ours has things, stuff and scenes;
FiftyOne's importer (`COCODetectionDatasetImporter`) has only the things of instances_*.json, each
with a mask in the database. A database must be running or installed (`make setup`).
"""

from __future__ import annotations

import argparse
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from annotation.rules.checked import Checked
from labelme_panoptic_detr.datasets import open_dataset
from labelme_panoptic_detr.embeddings import embed_photos


@dataclass(frozen=True)
class Cost:
    """What one side takes to load a number of segments."""

    side: str
    segments: int
    wall: float  # s
    cpu: float  # s
    peak: float  # MB, of the process since it was started

    def __str__(self) -> str:
        each = 1e3 / self.segments
        return (
            f"{self.side:10} {self.segments:6} segments: {self.wall:.2f} s, {self.cpu:.2f} s CPU;"
            f" per segment {each * self.wall:.2f} ms, {each * self.cpu:.2f} ms CPU;"
            f" peak memory {self.peak:.0f} MB"
        )


def measure(side: str, load: Callable[[], int]) -> Cost:
    """Run `load`, which returns the number of loaded segments."""
    wall, cpu = time.perf_counter(), time.process_time()
    segments = load()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(
        side, segments, wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )


def main() -> None:
    """Print the cost of both sides in each round, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="a built data set")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    import fiftyone as fo

    from curation.app.database import connect
    from curation.loading.embeddings import Embed
    from curation.loading.load import load_dataset

    connect()
    original = open_dataset(arguments.dataset)
    panoptic = original.panoptic
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("images", "panoptic"):
            (root / name).symlink_to((original.root / name).resolve())
        config = replace(original.config, name="benchmark of loading")
        dataset = replace(original, root=root, config=config)

        def ours(embed: Embed | None = None) -> int:
            samples = fo.load_dataset(load_dataset(dataset, Checked((), ()), embed))
            fields = ("ground_truth", "ground_truth_stuff")
            return sum(int(samples.count(f"{field}.detections")) for field in fields)

        def remove_ours() -> None:
            shutil.rmtree(root / "fiftyone", ignore_errors=True)
            shutil.rmtree(root / ".cache", ignore_errors=True)
            if fo.dataset_exists(config.name):
                fo.delete_dataset(config.name)

        def theirs() -> int:
            samples = fo.Dataset()
            for split in ("train", "test"):
                samples.add_dir(
                    dataset_type=fo.types.COCODetectionDataset,
                    data_path=str(panoptic / split),
                    labels_path=str(panoptic / "annotations" / f"instances_{split}.json"),
                    label_types="segmentations",
                )
            count = int(samples.count("ground_truth.detections"))
            fo.delete_dataset(samples.name)
            return count

        for _ in range(arguments.rounds):
            remove_ours()
            first = measure("ours", ours)
            print(first, measure("again", ours), sep="\n")
            print(measure("map", lambda: ours(embed_photos)), flush=True)
            peer = measure("FiftyOne's", theirs)
            print(peer)
            wall, cpu = (
                getattr(first, key) / first.segments / (getattr(peer, key) / peer.segments)
                for key in ("wall", "cpu")
            )
            print(f"ours : FiftyOne's, per segment: {wall:.2f} wall, {cpu:.2f} CPU", flush=True)
        remove_ours()


if __name__ == "__main__":
    main()
