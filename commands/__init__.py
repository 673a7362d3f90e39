"""The subcommands of `pipeline.py`, one file per part of the loop."""
