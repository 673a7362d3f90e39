"""Training: the loop in `train.py`, and the parts that it calls."""
