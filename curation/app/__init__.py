"""FiftyOne's App, its database, and how a data set looks in it."""
