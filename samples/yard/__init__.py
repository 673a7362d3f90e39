"""yard: synthetic construction-yard scenes, drawn as an annotator would leave them."""
