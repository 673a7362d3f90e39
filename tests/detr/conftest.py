"""One thread: the models are tiny, and more only get in each other's way."""

import os

import detr  # noqa: F401  before torch: sets how its threads wait

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start

import torch

torch.set_num_threads(1)
