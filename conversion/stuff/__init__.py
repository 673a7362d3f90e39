"""Stuff sources: which stuff category lies at each pixel of a photo."""
