"""`variant: fast`: a panoptic DETR for data sets of a few hundred photos."""
