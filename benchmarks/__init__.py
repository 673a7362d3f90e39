"""Benchmarks of speed and memory; README.md in this folder describes them."""
