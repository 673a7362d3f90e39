"""Shapes to pixels, mask arithmetic, and segment ids."""
