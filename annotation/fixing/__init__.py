"""Safe repairs of annotation files, and undoing them."""
