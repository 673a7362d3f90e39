"""The findings of validation for people: in the terminal and as an HTML page with pictures."""
