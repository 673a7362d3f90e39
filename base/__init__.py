"""Files, parsing, errors, progress and processes: general code that all packages use."""
