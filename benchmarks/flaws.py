"""Count the annotation mistakes added to yard that validation finds, and its other findings."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from annotation.dataset import open_dataset
from annotation.rules.validate import check_dataset
from base.parsing import read_json
from samples.yard.sample import render_yard


def main() -> None:
    """Render and check yard with and without flaws; argument: number of photos (default 600)."""
    images = int(sys.argv[1]) if sys.argv[1:] else 600
    with tempfile.TemporaryDirectory() as folder:
        clean, flawed = Path(folder) / "clean", Path(folder) / "flawed"
        render_yard(clean, images=images)
        render_yard(flawed, images=images, flaws=True)
        extra = check_dataset(open_dataset(clean), pixels="decode").findings
        found = check_dataset(open_dataset(flawed), pixels="decode").findings
        planted = read_json(flawed / "flaws.json")["flaws"]
    keys = {(f.rule, f.file, f.shape) for f in found}
    wanted = {(f["rule"], f["file"], f["shape"]) for f in planted}
    rules = Counter(rule for rule, _, _ in wanted)
    hits = Counter(rule for rule, _, _ in wanted & keys)
    for rule, number in sorted(rules.items()):
        print(f"{rule:20} planted {number:3}  found {hits[rule]:3}")
    others = len(keys - wanted)
    print(f"planted {len(wanted)}, found {len(wanted & keys)}, other findings {others}")
    print(f"findings on the clean set: {len(extra)}")
    for finding in [*extra[:10], *(f for f in found if (f.rule, f.file, f.shape) not in wanted)][
        :20
    ]:
        print(f"  {finding.rule} {finding.file} {finding.shape}: {finding.message}")


if __name__ == "__main__":
    main()
