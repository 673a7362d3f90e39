"""The health of a built set: photos, categories, sizes, void, and the places of segments."""
