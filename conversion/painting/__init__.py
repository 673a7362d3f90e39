"""Painting shapes as pixels, mask arithmetic, and segment ids."""
