"""FiftyOne's App and the database behind it."""
