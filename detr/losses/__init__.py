"""Matching of queries to segments, and the losses of what is matched."""
