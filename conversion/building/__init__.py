"""Building `panoptic/`: the plan, the splits, the workers, and placing the files."""
