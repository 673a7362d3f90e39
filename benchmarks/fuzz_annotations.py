"""Check 20,000 damaged annotation files: count exceptions and measure peak memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from annotation.rules.validate import check_dataset
from base.progress import track
from tests.annotation.mutate import corpus, mutate
from tests.drawn import draw_dataset, square


def main() -> None:
    """Check damaged files; argument: number of files (default 20,000)."""
    count = int(sys.argv[1]) if sys.argv[1:] else 20_000
    rng = np.random.default_rng(1)
    rules: Counter[str] = Counter()
    raised = clean = 0
    with tempfile.TemporaryDirectory() as folder:
        dataset = draw_dataset(Path(folder), {"a": [square("box", 2, 2, 5)]})
        files = corpus()
        for number in track(range(count), "fuzz"):
            data = mutate(files[number % len(files)], rng)
            (dataset.labelme / "a.json").write_bytes(data)
            try:
                findings = check_dataset(dataset).findings
            except Exception:
                raised += 1
                traceback.print_exc()
                Path(f"/tmp/raised-{number}.json").write_bytes(data)
                continue
            rules.update({finding.rule for finding in findings})
            clean += all(finding.file == "dataset.yaml" for finding in findings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count} files: {raised} raised an exception, {clean} had no findings, peak {peak} MB")
    for rule, number in rules.most_common():
        print(f"  {number:6} {rule}")


if __name__ == "__main__":
    main()
