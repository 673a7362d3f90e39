"""Files, parsing, errors, progress and processes, for all packages and independent of photos."""
