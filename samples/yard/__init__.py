"""Yard: rendered photos of construction yards, with the shapes that a person would draw."""
