"""Synthetic sample sets."""
