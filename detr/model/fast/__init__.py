"""`variant: fast`: a panoptic DETR that learns from a few hundred photos in minutes."""
