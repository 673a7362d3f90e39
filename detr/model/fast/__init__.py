"""`variant: fast`: a DETR that learns panoptic segmentation from a few hundred photos in minutes."""
