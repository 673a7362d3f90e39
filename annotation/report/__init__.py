"""Showing the findings of validation in the terminal and on an HTML page with pictures."""
