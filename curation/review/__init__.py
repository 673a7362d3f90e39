"""Load predictions into FiftyOne beside the ground truth and mark every segment."""
