"""Time and memory of training steps and inference, compared with the DETR of `transformers`.

Two threads, batches of 2 photos (fast step: 4), 7 instances per photo (`variant: fast`: 6 and 3 of
stuff), random weights and photos. Each side of a
case runs in its own processes, in turns; each figure is the median over all of them. Both sides
train the same parameters and end a step with clipping and AdamW. Our steps run as in `train` with
its default settings: in bfloat16 if the processor has instructions for it, otherwise in float32.
Sides with `-float32` in their name run in float32 on every processor. The peer and all inference
run in float32.

The last column is the share of a step's time that each part takes. For the peer, matching and
losses are counted as forward.

The peer is measured twice: as installed (`peer`), and with the settings of glibc and OpenMP that
our training uses (`peer-kept`; `base/memory.py`, `detr/kernels/threads.py`), which help it too.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from base.memory import keep_freed_memory
from benchmarks.detr_fast import fast_step, prediction
from benchmarks.detr_inputs import CLOCK, FULL, SMALL
from benchmarks.detr_ours import our_boxes_step, our_inference, our_masks_step
from benchmarks.detr_peer import peer_inference, peer_step

THREADS, WARM, ROUNDS = 2, 1, 2
# spins of a waiting thread, libgomp's default; see detr/kernels/threads.py
SPINS = "300000"


@dataclass(frozen=True)
class Case:
    """Sides to time for `steps` steps per process.

    `limits` holds the targets of some sides: their time as a share of the time of `beside`;
    `seconds` holds targets in seconds per step.
    """

    sides: tuple[str, ...]
    beside: str
    steps: int
    limits: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def targets(self) -> str:
        """Describe the targets in a few words."""
        shares = [f"{side} {limit:g} of {self.beside}" for side, limit in self.limits.items()]
        return ", ".join(
            [*shares, *(f"{side} {limit:g} s" for side, limit in self.seconds.items())]
        )


BOXES = ("ours", "ours-float32", "peer-kept", "peer")
CASES = {
    "boxes step, ResNet-50, 512x512": Case(BOXES, "peer", 5, {"ours": 0.5}),
    "boxes step, small, 256x256": Case(BOXES, "peer", 20, {"ours": 0.6}),
    "masks step, frozen boxes, ResNet-50, 512x512": Case(
        ("ours", "ours-cached", "all", "peer"), "all", 5, {"ours": 0.2, "ours-cached": 0.1}
    ),
    "masks step in float32": Case(
        ("ours-float32", "ours-cached-float32", "all-float32"), "all-float32", 5
    ),
    "inference with masks, ResNet-50, 512x512": Case(
        ("ours", "all", "peer"), "all", 5, {"ours": 0.333}
    ),
    "fast step, batch 4, 320x256": Case(
        ("ours", "ours-frozen", "ours-float32", "ours-frozen-float32"),
        "ours",
        20,
        seconds={"ours": 0.4, "ours-frozen": 0.4},
    ),
    "fast prediction with masks, 320x256": Case(
        ("fast", "published"), "published", 20, {"fast": 0.333}
    ),
}


def make_step(case: str, side: str) -> Callable[[], None]:
    """Build the step that is timed for one side of one case."""
    if case.startswith("fast"):
        return fast_step(side) if "step" in case else prediction(side)
    ours = side.startswith(("ours", "all"))
    if case.startswith("boxes"):
        config, size = (SMALL, 256) if "small" in case else (FULL, 512)
        return (
            our_boxes_step(config, size, side=side)
            if ours
            else peer_step(config, size, masks=False)
        )
    if case.startswith("masks"):
        return our_masks_step(512, side=side) if ours else peer_step(FULL, 512, masks=True)
    return our_inference(512, every=side == "all") if ours else peer_inference(512)


def measure(case: str, side: str) -> None:
    """Print the share of each part; then peak memory (MB), and seconds and CPU seconds per step."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if side != "peer":
        keep_freed_memory()
    step, taken = make_step(case, side), []
    for number in range(WARM + CASES[case].steps):
        if number == WARM:
            CLOCK.seconds.clear()
        start, busy = time.perf_counter(), time.process_time()
        step()
        taken += [time.perf_counter() - start, time.process_time() - busy]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    whole = sum(taken[2 * WARM :: 2])
    print(*(f"{part} {seconds / whole:.0%}" for part, seconds in CLOCK.seconds.items()), sep=", ")
    print(peak, *taken[2 * WARM :])


def compare(case: str) -> None:
    """Print the time and peak memory of each side, also relative to the side `beside`.

    CPU seconds are more reliable than seconds if other programs are running.
    """
    sides, beside = CASES[case].sides, CASES[case].beside
    taken: dict[str, list[float]] = {side: [] for side in sides}
    peak, parts = dict.fromkeys(sides, 0), dict.fromkeys(sides, "")
    for _ in range(ROUNDS):
        for side in sides:
            words = ["-m", "benchmarks.detr_steps", "--case", case, "--side", side]
            settings = {**os.environ, **({"GOMP_SPINCOUNT": SPINS} if side == "peer" else {})}
            done = subprocess.run(
                [sys.executable, *words], env=settings, capture_output=True, text=True, check=True
            )
            parts[side], last = done.stdout.splitlines()[-2:]
            memory, *each = last.split()
            taken[side] += map(float, each)
            peak[side] = max(peak[side], int(memory))
    wall = {side: statistics.median(values[::2]) for side, values in taken.items()}
    busy = {side: statistics.median(values[1::2]) for side, values in taken.items()}
    print(f"{case} (targets: {CASES[case].targets()})")
    for side in sides:
        print(
            f"  {side:19} {wall[side]:7.3f} s, {wall[side] / wall[beside]:.3f} of {beside};"
            f" CPU {busy[side]:7.3f} s, {busy[side] / busy[beside]:.3f};"
            f" {peak[side]:5d} MB, {peak[side] / peak[beside]:.2f}; {parts[side]}",
            flush=True,
        )


def main() -> None:
    """Compare all cases or those selected by --only, or time one side of one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run only cases whose name contains this text")
    parser.add_argument("--case", help="time one side of this case in this process")
    parser.add_argument("--side", help="the side to time with --case")
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.side)
        return
    for case in CASES:
        if options.only in case:
            compare(case)


if __name__ == "__main__":
    main()
