"""DETR: the model, its training, its predictions."""

import os

# A thread of torch that waits for the other spins for a while before it sleeps. With libgomp's own
# 300,000 turns training takes a third longer where another program wants the processor; with a
# hundred, a third longer where none does. Read once, when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
