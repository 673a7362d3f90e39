"""Files of weights: published ones, checkpoints, and starting from others."""
