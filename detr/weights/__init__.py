"""Weights files: checkpoints and published weights, and initialising a model from them."""
