"""DETR: the model, its training, its predictions."""

import os

# A thread of torch that waits for the other must sleep: where another program wants the processor,
# threads that wait by spinning make training ten times slower. Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
