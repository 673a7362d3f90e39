"""Error analysis: the segments of a prediction that are wrong, and the photos to annotate again."""
