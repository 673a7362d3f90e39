"""Training a run: the loop in `train.py`, and what it calls."""
