"""Photo files: listing and reading them, and grouping those that look alike."""
