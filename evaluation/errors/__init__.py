"""Error analysis: the kinds of errors and their prices, and the photos to annotate again."""
