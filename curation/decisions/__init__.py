"""Carrying decisions and corrections made in FiftyOne's App back to the data set's files."""
