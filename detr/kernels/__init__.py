"""Layers and settings that make training and prediction fast on CPUs."""
