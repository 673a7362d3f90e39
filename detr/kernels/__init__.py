"""Layers and settings for fast training and prediction on CPUs, and explanations of errors."""
