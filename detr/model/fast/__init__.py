"""`variant: fast`: a panoptic DETR meant for sets of a few hundred photos."""
