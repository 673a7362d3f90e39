"""The report: an HTML page of scores, priced errors, curves and pictures, and Markdown."""
