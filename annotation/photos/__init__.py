"""Photo files: their headers, pixels and likeness, and which photo an annotation describes."""
