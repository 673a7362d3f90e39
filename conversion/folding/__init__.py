"""Folds: data sets that train on most photos of a set, and test on the others."""
