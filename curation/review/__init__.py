"""Predictions beside the ground truth in FiftyOne."""
