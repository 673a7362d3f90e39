"""Validation: one rule or family of rules per file, and the check of a whole data set."""
