"""Use one thread: for such small models, several threads are slower."""

import os

import detr  # noqa: F401  before torch, because it configures torch's threads

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start

import torch

torch.set_num_threads(1)
