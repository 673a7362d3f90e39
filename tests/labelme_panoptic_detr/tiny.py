"""Settings with which training takes seconds."""

from __future__ import annotations

TINY = """\
hidden_dim: 128
dec_layers: 1
dim_feedforward: 128
num_queries: 12
batch_size: 1
epochs: 2
min_size: 96
max_size: 128
num_workers: 0
threshold: 0.05
tune: 0.0
lr_backbone: 0.0
"""
