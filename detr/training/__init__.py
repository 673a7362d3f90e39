"""Training: the loop, its schedule, log, scores and several processes."""
