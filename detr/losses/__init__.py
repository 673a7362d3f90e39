"""The matching of queries to segments, and the losses."""
