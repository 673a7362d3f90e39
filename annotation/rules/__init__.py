"""The rules of validation, a file a kind; each yields complaints, none raises for bad input."""
